//! The variants as wgsim's table: name, position (from 1), reference, alternative, and `-` for both
//! haplotypes or `+` for one of them, separated by tabs.

use std::ops::Range;

use crate::mutate::{Cell, Change, Diploid, HAPLOTYPES};
use crate::sequence::Sequence;
use crate::text::{LETTERS, letter, push_decimal};

/// The letter for a base and its substitute together, by their bits.
const EITHER: &[u8; 16] = b"XACMGRSVTWYHKDBN";

/// Writes the variants of a sequence in pieces.
#[derive(Debug)]
pub struct Rows<'a> {
    name: &'a str,
    sequence: &'a Sequence,
    diploid: &'a Diploid,
    /// The position in the sequence of the first base in memory.
    origin: u64,
    variants: Range<usize>,
}

impl<'a> Rows<'a> {
    /// The rows of a sequence with this name.
    pub fn new(name: &'a str, sequence: &'a Sequence, diploid: &'a Diploid) -> Self {
        Self {
            name,
            sequence,
            diploid,
            origin: 0,
            variants: 0..diploid.len(),
        }
    }

    /// The rows of a part of what is in memory, where the first base is base `origin` of the sequence.
    pub(crate) fn part(
        name: &'a str,
        sequence: &'a Sequence,
        diploid: &'a Diploid,
        part: Range<usize>,
        origin: u64,
    ) -> Self {
        Self {
            name,
            sequence,
            diploid,
            origin,
            variants: diploid.at_or_after(part.start)..diploid.at_or_after(part.end),
        }
    }

    /// Appends whole rows until `out` has `limit` bytes or more. `false`: that was the last one.
    pub fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        while out.len() < limit && !self.variants.is_empty() {
            let Some(position) = self.diploid.position(self.variants.start) else {
                return false;
            };
            self.variants.start += self.row(position, out);
        }
        !self.variants.is_empty()
    }

    /// Writes the row of the next variant, and tells how many variants it is for.
    fn row(&self, position: usize, out: &mut Vec<u8>) -> usize {
        let cell = self.diploid.cell(self.variants.start);
        let both = cell.haplotypes() == HAPLOTYPES;
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'\t');
        push_decimal(out, self.origin + position as u64 + 1);
        out.push(b'\t');
        let mut count = 1;
        let mut mark = if both { b'-' } else { b'+' };
        match cell.change() {
            Change::Substitution(new) => {
                // Only A, C, G and T are substituted.
                let base = self.sequence.base(position) & 3;
                let either = EITHER[1 << base | 1 << new];
                let new = if both {
                    LETTERS[usize::from(new)]
                } else {
                    either
                };
                out.extend_from_slice(&[LETTERS[usize::from(base)], b'\t', new]);
            }
            Change::Deletion => {
                count = self.deletion(position, cell, out);
                out.extend_from_slice(b"\t-");
                // wgsim marks every deletion so.
                mark = b'-';
            }
            Change::Insertion { count, bases } => {
                out.extend_from_slice(b"-\t");
                out.extend((0..count).map(|k| LETTERS[usize::from(bases >> (2 * k) & 3)]));
            }
        }
        out.extend_from_slice(&[b'\t', mark, b'\n']);
        count
    }

    /// Writes the bases from `start` that are deleted on the same haplotypes, by one mutation or
    /// several that adjoin, and tells how many there are. They begin with a base, but may go on over N.
    fn deletion(&self, start: usize, cell: Cell, out: &mut Vec<u8>) -> usize {
        let first = self.variants.start;
        let same = |k: &usize| {
            self.diploid.position(first + k) == Some(start + k)
                && self.diploid.cell(first + k) == cell
        };
        let run = (0..self.variants.len()).take_while(same).count();
        out.extend((start..start + run).map(|i| letter(self.sequence.base(i))));
        run
    }
}
