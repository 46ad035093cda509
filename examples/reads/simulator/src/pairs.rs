//! Draws pairs of reads and writes them as FASTQ.

use std::fmt;

use crate::mutate::{Change, Diploid};
use crate::params::Params;
use crate::rng::{Chance, Rng};
use crate::sequence::Sequence;
use crate::text::{FORWARD, REVERSE, letter, misread, push_decimal, push_hexadecimal};

/// Bases that are decoded at once.
const STRIDE: usize = 32;

/// Room behind a read for the insertion that overshoots it.
const SLACK: usize = STRIDE;

/// Times that a pair is drawn, if a read of it has too many N each time in a row; then it is left
/// out.
const AMBIGUOUS_TRIES: u32 = 1001;

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

/// One read while it is made.
#[derive(Debug, Default)]
struct Read {
    letters: Vec<u8>,
    len: usize,
    /// The position of its first base, from 0.
    start: usize,
    errors: u32,
    substitutions: u32,
    indels: u32,
    has_n: bool,
}

/// The pairs of a sequence, written in pieces.
#[derive(Debug)]
pub struct Pairs<'a> {
    sequence: &'a Sequence,
    diploid: &'a Diploid,
    rng: &'a mut Rng,
    params: &'a Params,
    mates: Mates,
    error: Chance,
    /// The most N that the first and the second read may have.
    most_n: [usize; 2],
    next: u64,
    pairs: u64,
    left: Read,
    right: Read,
    /// `@` and the sequence's name, and the rest of a record's first line as it is made.
    title: Vec<u8>,
    named: usize,
    /// What follows the bases of the first and the second read.
    tails: [Vec<u8>; 2],
}

impl<'a> Pairs<'a> {
    /// `pairs` pairs of the sequence with this name.
    pub fn new(
        name: &str,
        sequence: &'a Sequence,
        diploid: &'a Diploid,
        pairs: u64,
        params: &'a Params,
        mates: Mates,
        rng: &'a mut Rng,
    ) -> Self {
        let lengths = [params.length1 as usize, params.length2 as usize];
        let longest = params.longest_read() as usize;
        let read = || Read {
            letters: vec![0; longest.next_multiple_of(STRIDE) + SLACK],
            ..Read::default()
        };
        let title = format!("@{name}_").into_bytes();
        Self {
            sequence,
            diploid,
            rng,
            params,
            mates,
            error: Chance::new(params.error),
            most_n: lengths.map(|length| params.most_ambiguous(length)),
            next: 0,
            pairs,
            left: read(),
            right: read(),
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
        while self.next < self.pairs && out.len() < limit {
            if let Some(flip) = self.draw()? {
                self.write(flip, out);
            }
            self.next += 1;
        }
        Ok(self.next < self.pairs)
    }

    /// Pairs that are done.
    pub fn done(&self) -> u64 {
        self.next
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
                sequence: self.sequence,
                diploid: self.diploid,
                haplotype,
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
            if misread_some(&mut self.left, self.error, self.rng) <= most_n[0]
                && misread_some(&mut self.right, self.error, self.rng) <= most_n[1]
            {
                return Ok(Some(flip));
            }
            ambiguous += 1;
            if ambiguous >= AMBIGUOUS_TRIES {
                return Ok(None);
            }
        }
        Err(Stuck { pair: self.next })
    }

    /// Draws the position and the distance of a pair, if they are within the sequence.
    #[inline]
    fn place(&mut self) -> Option<(usize, usize)> {
        let wanted =
            self.rng.normal() * f64::from(self.params.deviation) + f64::from(self.params.distance);
        // The casts cut the fraction off, as C's do; no value is beyond 32 bits.
        let distance = ((wanted + 0.5) as i64).max(i64::from(self.params.longest_read()));
        let len = self.sequence.len() as i64;
        let position = ((len - distance + 1) as f64 * self.rng.draw().uniform()) as i64;
        let fits = position >= 0 && position < len && position + distance <= len;
        fits.then_some((position as usize, distance as usize))
    }

    fn write(&mut self, flip: bool, out: &mut Vec<u8>) {
        if self.mates == Mates::Neither {
            return;
        }
        self.title.truncate(self.named);
        push_decimal(&mut self.title, self.left.start as u64 + 1);
        self.title.push(b'_');
        push_decimal(&mut self.title, self.right.start as u64 + 1);
        for read in [&self.left, &self.right] {
            self.title.push(b'_');
            push_decimal(&mut self.title, u64::from(read.errors));
            self.title.push(b':');
            push_decimal(&mut self.title, u64::from(read.substitutions));
            self.title.push(b':');
            push_decimal(&mut self.title, u64::from(read.indels));
        }
        self.title.push(b'_');
        push_hexadecimal(&mut self.title, self.next);
        let (first, second) = if flip {
            (&self.right, &self.left)
        } else {
            (&self.left, &self.right)
        };
        if self.mates != Mates::Second {
            out.extend_from_slice(&self.title);
            out.extend_from_slice(b"/1\n");
            out.extend_from_slice(&first.letters[..first.len]);
            out.extend_from_slice(&self.tails[0]);
        }
        if self.mates != Mates::First {
            out.extend_from_slice(&self.title);
            out.extend_from_slice(b"/2\n");
            out.extend_from_slice(&second.letters[..second.len]);
            out.extend_from_slice(&self.tails[1]);
        }
    }
}

/// One haplotype of a sequence, from which reads are taken.
struct Source<'a> {
    sequence: &'a Sequence,
    diploid: &'a Diploid,
    haplotype: u16,
}

impl Source<'_> {
    /// Takes the read that goes forward from `position`. `false`: the sequence ends before it.
    fn left(&self, position: usize, read: &mut Read) -> bool {
        if !self.is_plain(position, position + read.len) {
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

    /// Takes the read that goes backward from `position`, complemented. `false`: the sequence begins
    /// behind its end, or an insertion goes over it.
    fn right(&self, position: usize, read: &mut Read) -> bool {
        if !(position + 1)
            .checked_sub(read.len)
            .is_some_and(|s| self.is_plain(s, position + 1))
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
        for i in position..self.sequence.len() {
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
        for i in (0..=position).rev() {
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

impl Read {
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
}

fn complement(code: u8) -> u8 {
    if code < 4 { 3 - code } else { code }
}

/// Misreads bases, N excepted, each with the same chance, and tells how many N there are.
#[inline]
fn misread_some(read: &mut Read, error: Chance, rng: &mut Rng) -> usize {
    read.errors = 0;
    let letters = &mut read.letters[..read.len];
    if read.has_n {
        let mut n = 0;
        for letter in letters {
            if *letter == b'N' {
                n += 1;
            } else if rng.draw().hits(error) {
                *letter = misread(*letter);
                read.errors += 1;
            }
        }
        return n;
    }
    for word in letters.chunks_mut(64) {
        let mut wrong = rng.hits(error, word.len());
        read.errors += wrong.count_ones();
        while wrong != 0 {
            let letter = &mut word[wrong.trailing_zeros() as usize];
            *letter = misread(*letter);
            wrong &= wrong - 1;
        }
    }
    0
}
