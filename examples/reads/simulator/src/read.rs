//! One read: the bases of a haplotype, forward or backward, with the errors of reading them.

use std::ops::Range;

use crate::mutate::{Change, Diploid};
use crate::rng::{Chance, Rng};
use crate::sequence::Sequence;
use crate::text::{FORWARD, REVERSE, letter, misread};

/// Bases that are decoded at once.
const STRIDE: usize = 32;

/// Room behind a read for the insertion that overshoots it.
const SLACK: usize = STRIDE;

/// One read while it is made.
#[derive(Debug, Default)]
pub(crate) struct Read {
    letters: Vec<u8>,
    pub(crate) len: usize,
    /// The position of its first base, from 0.
    pub(crate) start: usize,
    pub(crate) errors: u32,
    pub(crate) substitutions: u32,
    pub(crate) indels: u32,
    has_n: bool,
}

impl Read {
    /// A read of up to `longest` bases.
    pub(crate) fn with_room(longest: usize) -> Self {
        Self {
            letters: vec![0; longest.next_multiple_of(STRIDE) + SLACK],
            ..Self::default()
        }
    }

    /// Its bases.
    pub(crate) fn letters(&self) -> &[u8] {
        &self.letters[..self.len]
    }

    fn begin(&mut self) {
        (self.substitutions, self.indels, self.has_n) = (0, 0, false);
    }

    #[inline]
    fn plain(&mut self, start: usize) {
        self.begin();
        self.start = start;
    }

    /// Puts a code (4 for N) at `at` and goes on.
    fn put(&mut self, at: &mut usize, code: u8) {
        self.letters[*at] = letter(code);
        self.has_n |= code > 3;
        *at += 1;
    }

    /// Misreads bases, N excepted, each with the same chance, and tells how many N there are.
    #[inline]
    pub(crate) fn misread_some(&mut self, error: Chance, rng: &mut Rng) -> usize {
        self.errors = 0;
        let letters = &mut self.letters[..self.len];
        if self.has_n {
            let mut n = 0;
            for letter in letters {
                if *letter == b'N' {
                    n += 1;
                } else if rng.draw().hits(error) {
                    *letter = misread(*letter);
                    self.errors += 1;
                }
            }
            return n;
        }
        for word in letters.chunks_mut(64) {
            let mut wrong = rng.hits(error, word.len());
            self.errors += wrong.count_ones();
            while wrong != 0 {
                let letter = &mut word[wrong.trailing_zeros() as usize];
                *letter = misread(*letter);
                wrong &= wrong - 1;
            }
        }
        0
    }
}

/// One haplotype of a sequence, from which reads are taken.
pub(crate) struct Source<'a> {
    pub(crate) sequence: &'a Sequence,
    pub(crate) diploid: &'a Diploid,
    pub(crate) haplotype: u16,
    /// The positions that reads may cover.
    pub(crate) bounds: Range<usize>,
}

impl Source<'_> {
    /// Takes the read that goes forward from `position`. `false`: the bounds end before it.
    pub(crate) fn left(&self, position: usize, read: &mut Read) -> bool {
        let end = position + read.len;
        if end > self.bounds.end || !self.is_plain(position, end) {
            return self.left_by_base(position, read);
        }
        read.plain(position);
        let (chunks, _) = read.letters.as_chunks_mut::<STRIDE>();
        for (k, chunk) in chunks
            .iter_mut()
            .take(read.len.div_ceil(STRIDE))
            .enumerate()
        {
            let window = self.sequence.window((position + k * STRIDE) as isize);
            let (fours, _) = chunk.as_chunks_mut::<4>();
            for (four, packed) in fours.iter_mut().zip(window.to_le_bytes()) {
                *four = FORWARD[usize::from(packed)];
            }
        }
        true
    }

    /// Takes the read that goes backward from `position`, complemented. `false`: the bounds begin
    /// behind its end, or an insertion goes over it.
    pub(crate) fn right(&self, position: usize, read: &mut Read) -> bool {
        if !(position + 1)
            .checked_sub(read.len)
            .is_some_and(|s| s >= self.bounds.start && self.is_plain(s, position + 1))
        {
            return self.right_by_base(position, read);
        }
        read.plain(position);
        let (chunks, _) = read.letters.as_chunks_mut::<STRIDE>();
        for (k, chunk) in chunks
            .iter_mut()
            .take(read.len.div_ceil(STRIDE))
            .enumerate()
        {
            let start = position as isize + 1 - ((k + 1) * STRIDE) as isize;
            let window = self.sequence.window(start);
            let (fours, _) = chunk.as_chunks_mut::<4>();
            for (four, packed) in fours.iter_mut().zip(window.to_be_bytes()) {
                *four = REVERSE[usize::from(packed)];
            }
        }
        true
    }

    /// Whether `start..end` has neither variants nor N.
    #[inline]
    fn is_plain(&self, start: usize, end: usize) -> bool {
        let variant = self.diploid.position(self.diploid.at_or_after(start));
        variant.is_none_or(|position| position >= end) && !self.sequence.n().any_in(start, end)
    }

    #[cold]
    fn left_by_base(&self, position: usize, read: &mut Read) -> bool {
        read.begin();
        let mut variant = self.diploid.at_or_after(position);
        let mut at = 0;
        let mut started = false;
        for i in position..self.bounds.end {
            if at >= read.len {
                break;
            }
            let change = if self.diploid.position(variant) == Some(i) {
                variant += 1;
                self.change(variant - 1)
            } else {
                None
            };
            if !started {
                if matches!(change, Some(Change::Deletion | Change::Insertion { .. })) {
                    continue;
                }
                started = true;
                read.start = i;
            }
            let base = self.sequence.base(i);
            match change {
                None => read.put(&mut at, base),
                Some(Change::Substitution(new)) => {
                    read.substitutions += 1;
                    read.put(&mut at, new);
                }
                Some(Change::Deletion) => read.indels += 1,
                Some(Change::Insertion { count, bases }) => {
                    read.indels += 1;
                    read.put(&mut at, base);
                    for k in 0..count {
                        if at < read.len {
                            read.put(&mut at, bases >> (2 * k) & 3);
                        }
                    }
                }
            }
        }
        at == read.len
    }

    #[cold]
    fn right_by_base(&self, position: usize, read: &mut Read) -> bool {
        read.begin();
        // The next variant to meet is the one before this.
        let mut variant = self.diploid.at_or_after(position + 1);
        let mut at = 0;
        let mut started = false;
        for i in (self.bounds.start..=position).rev() {
            if at >= read.len {
                break;
            }
            let before = variant.checked_sub(1);
            let change = match before {
                Some(before) if self.diploid.position(before) == Some(i) => {
                    variant = before;
                    self.change(before)
                }
                _ => None,
            };
            if !started {
                if matches!(change, Some(Change::Deletion | Change::Insertion { .. })) {
                    continue;
                }
                started = true;
                read.start = i;
            }
            let base = self.sequence.base(i);
            match change {
                None => read.put(&mut at, complement(base)),
                Some(Change::Substitution(new)) => {
                    read.substitutions += 1;
                    read.put(&mut at, complement(new));
                }
                Some(Change::Deletion) => read.indels += 1,
                Some(Change::Insertion { count, bases }) => {
                    read.indels += 1;
                    for k in (0..count).rev() {
                        if at < read.len {
                            read.put(&mut at, complement(bases >> (2 * k) & 3));
                        }
                    }
                    // Where the insertion reaches the read's end this goes one over it, and the pair
                    // is drawn again: as in wgsim.
                    read.put(&mut at, complement(base));
                }
            }
        }
        at == read.len
    }

    fn change(&self, variant: usize) -> Option<Change> {
        let cell = self.diploid.cell(variant);
        (cell.haplotypes() & self.haplotype != 0).then(|| cell.change())
    }
}

fn complement(code: u8) -> u8 {
    if code < 4 { 3 - code } else { code }
}
