//! Draws pairs of reads and writes them as FASTQ.

use std::fmt;
use std::ops::Range;

use crate::grid::Stretch;
use crate::mutate::Diploid;
use crate::params::Params;
use crate::read::{Read, Source};
use crate::rng::{Chance, Rng};
use crate::sequence::Sequence;
use crate::text::{push_decimal, push_hexadecimal};

/// Times that wgsim draws a pair, if a read of it has too many N each time in a row; then it is left
/// out.
pub(crate) const AMBIGUOUS_TRIES: u32 = 1001;

/// Times that a place for a pair is sought before giving up. wgsim would seek for ever; a sequence
/// that is nearly all deleted never has one.
const TRIES: u32 = 10_000_000;

/// No place for a pair was found in a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The pair's number, from 0.
    pub pair: u64,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no place for pair {} was found in {TRIES} tries: the sequence is too short for its reads, \
             or nearly all of it is deleted; ask for shorter reads, a smaller distance or fewer mutations",
            self.pair
        )
    }
}

impl std::error::Error for Stuck {}

/// Which reads of the pairs to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mates {
    /// None: only the random numbers are used up.
    Neither,
    /// The first ones: wgsim's first file.
    First,
    /// The second ones: wgsim's second file.
    Second,
    /// Both, each first read followed by its mate.
    Both,
}

/// What reads are taken from.
#[derive(Clone, Debug)]
pub struct Template<'a> {
    /// The sequence's name.
    pub(crate) name: &'a str,
    /// What of it is in memory.
    pub(crate) sequence: &'a Sequence,
    /// The mutations of that.
    pub(crate) diploid: &'a Diploid,
    /// Where the pairs lie.
    pub(crate) stretch: Stretch,
    /// Times that a pair is drawn which has too many N, before it is left out.
    pub(crate) ambiguous_tries: u32,
}

impl<'a> Template<'a> {
    /// All of a sequence.
    pub fn whole(name: &'a str, sequence: &'a Sequence, diploid: &'a Diploid) -> Self {
        Self {
            name,
            sequence,
            diploid,
            stretch: Stretch::whole(sequence),
            ambiguous_tries: AMBIGUOUS_TRIES,
        }
    }
}

/// Pairs of a sequence, written in pieces.
#[derive(Debug)]
pub struct Pairs<'a> {
    template: Template<'a>,
    rng: &'a mut Rng,
    params: &'a Params,
    mates: Mates,
    error: Chance,
    /// The most N that the first and the second read may have.
    most_n: [usize; 2],
    pairs: Range<u64>,
    left: Read,
    right: Read,
    /// `@` and the sequence's name, and the rest of a record's first line as it is made.
    title: Vec<u8>,
    named: usize,
    /// What follows the bases of the first and the second read.
    tails: [Vec<u8>; 2],
}

impl<'a> Pairs<'a> {
    /// The pairs with these numbers, which are in the reads' names.
    pub fn new(
        template: Template<'a>,
        pairs: Range<u64>,
        params: &'a Params,
        mates: Mates,
        rng: &'a mut Rng,
    ) -> Self {
        let lengths = [params.length1 as usize, params.length2 as usize];
        let longest = params.longest_read() as usize;
        let title = format!("@{}_", template.name).into_bytes();
        Self {
            template,
            rng,
            params,
            mates,
            error: Chance::new(params.error),
            most_n: lengths.map(|length| params.most_ambiguous(length)),
            pairs,
            left: Read::with_room(longest),
            right: Read::with_room(longest),
            named: title.len(),
            title,
            tails: lengths.map(|length| {
                let mut tail = b"\n+\n".to_vec();
                tail.resize(tail.len() + length, params.quality());
                tail.push(b'\n');
                tail
            }),
        }
    }

    /// Appends whole records until `out` has `limit` bytes or more. `false`: that was the last one.
    /// With [`Mates::Neither`] all are drawn in one go.
    ///
    /// # Errors
    /// [`Stuck`], after which nothing more can be had.
    pub fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<bool, Stuck> {
        while out.len() < limit && !self.pairs.is_empty() {
            if let Some(flip) = self.draw()? {
                self.write(flip, out);
            }
            self.pairs.start += 1;
        }
        Ok(!self.pairs.is_empty())
    }

    /// Draws a pair. `None`: it is left out, for it has too many N wherever it was tried; otherwise
    /// whether the left read is the second one.
    fn draw(&mut self) -> Result<Option<bool>, Stuck> {
        let mut ambiguous = 0;
        for _ in 0..TRIES {
            let Some((position, distance)) = self.place() else {
                continue;
            };
            let flip = !self.rng.draw().below_half();
            let haplotype = if self.rng.draw().below_half() { 1 } else { 2 };
            let (first, second) = (self.params.length1 as usize, self.params.length2 as usize);
            (self.left.len, self.right.len) = if flip {
                (second, first)
            } else {
                (first, second)
            };
            let source = Source {
                sequence: self.template.sequence,
                diploid: self.template.diploid,
                haplotype,
                bounds: self.template.stretch.bounds.clone(),
            };
            if !source.left(position, &mut self.left)
                || !source.right(position + distance - 1, &mut self.right)
            {
                // wgsim counts anew after a read that failed.
                ambiguous = 0;
                continue;
            }
            let most_n = if flip {
                [self.most_n[1], self.most_n[0]]
            } else {
                self.most_n
            };
            if self.left.misread_some(self.error, self.rng) <= most_n[0]
                && self.right.misread_some(self.error, self.rng) <= most_n[1]
            {
                return Ok(Some(flip));
            }
            ambiguous += 1;
            if ambiguous >= self.template.ambiguous_tries {
                return Ok(None);
            }
        }
        Err(Stuck {
            pair: self.pairs.start,
        })
    }

    /// Draws the position and the distance of a pair, if they are within the stretch.
    #[inline]
    fn place(&mut self) -> Option<(usize, usize)> {
        let wanted =
            self.rng.normal() * f64::from(self.params.deviation) + f64::from(self.params.distance);
        // The casts cut the fraction off, as C's do; no value is beyond 32 bits.
        let distance = ((wanted + 0.5) as i64).max(i64::from(self.params.longest_read()));
        let (least, places) = self.template.stretch.places(distance);
        let position = least + (places as f64 * self.rng.draw().uniform()) as i64;
        let bounds = &self.template.stretch.bounds;
        let fits = position >= bounds.start as i64 && position + distance <= bounds.end as i64;
        fits.then_some((position as usize, distance as usize))
    }

    fn write(&mut self, flip: bool, out: &mut Vec<u8>) {
        if self.mates == Mates::Neither {
            return;
        }
        self.title.truncate(self.named);
        push_decimal(
            &mut self.title,
            self.template.stretch.origin + self.left.start as u64 + 1,
        );
        self.title.push(b'_');
        push_decimal(
            &mut self.title,
            self.template.stretch.origin + self.right.start as u64 + 1,
        );
        for read in [&self.left, &self.right] {
            self.title.push(b'_');
            push_decimal(&mut self.title, u64::from(read.errors));
            self.title.push(b':');
            push_decimal(&mut self.title, u64::from(read.substitutions));
            self.title.push(b':');
            push_decimal(&mut self.title, u64::from(read.indels));
        }
        self.title.push(b'_');
        push_hexadecimal(&mut self.title, self.pairs.start);
        let (first, second) = if flip {
            (&self.right, &self.left)
        } else {
            (&self.left, &self.right)
        };
        if self.mates != Mates::Second {
            out.extend_from_slice(&self.title);
            out.extend_from_slice(b"/1\n");
            out.extend_from_slice(first.letters());
            out.extend_from_slice(&self.tails[0]);
        }
        if self.mates != Mates::First {
            out.extend_from_slice(&self.title);
            out.extend_from_slice(b"/2\n");
            out.extend_from_slice(second.letters());
            out.extend_from_slice(&self.tails[1]);
        }
    }
}
