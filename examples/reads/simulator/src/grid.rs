//! The grid of windowed mode: a sequence in windows of [`WINDOW`] bases, each with random numbers of its
//! own, so that windows can be simulated anywhere, in any order and at the same time, and come out the
//! same.
//!
//! A window has one stream of random numbers for its mutations, and one for each batch of its pairs:
//! deep windows are divided further, into pieces of about the same number of bytes. Where a pair begins
//! is the sequence's uniform distribution cut into the windows' parts, so a pair may lie some bases
//! before its window or behind it. There it meets the neighbour's mutations, drawn again from the
//! neighbour's stream.

use std::ops::Range;

use crate::params::Params;
use crate::sequence::Sequence;

/// Bases of a window; the last one of a sequence has what is left.
pub const WINDOW: u64 = 100_000;

/// The most bases beyond its window that a pair may need ([`Grid::reach`]).
pub const LONGEST_REACH: u64 = 500_000;

/// Bytes of FASTQ that a batch of pairs has at most, unless it is one pair alone.
const BATCH: u64 = 512 << 10;

/// Bytes that a unit is filled up to.
const UNIT: u64 = 2 << 20;

/// The part of a sequence that is in memory, and where in it the pairs lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The position in the sequence of the first base in memory.
    pub(crate) origin: u64,
    /// What reads may cover, counted from there.
    pub(crate) bounds: Range<usize>,
    /// Bases of the whole sequence.
    length: i64,
    /// The bases whose share of all places is drawn from.
    window: Range<i64>,
}

impl Stretch {
    /// All of a sequence.
    pub(crate) fn whole(sequence: &Sequence) -> Self {
        let length = sequence.len() as i64;
        Self {
            origin: 0,
            bounds: 0..sequence.len(),
            length,
            window: 0..length,
        }
    }

    /// A window of a sequence of `length` bases, with `held` of it in memory, whose reads may go
    /// `reach` bases beyond the window.
    pub(crate) fn of_window(
        length: u64,
        window: &Range<u64>,
        reach: u64,
        held: &Range<u64>,
    ) -> Self {
        let part = |base: u64| (base.clamp(held.start, held.end) - held.start) as usize;
        Self {
            origin: held.start,
            bounds: part(window.start.saturating_sub(reach))..part(window.end + reach),
            length: length as i64,
            window: window.start as i64..window.end as i64,
        }
    }

    /// Where pairs of this distance may begin, counted from the first base in memory: the first place
    /// and the number of places. If the sequence is shorter than the distance the number makes no sense,
    /// and no pair there is within the bounds.
    pub(crate) fn places(&self, distance: i64) -> (i64, i64) {
        // All below 2^31, so that nothing overflows.
        let all = self.length - distance + 1;
        let before = |base: i64| all * base / self.length.max(1);
        let first = before(self.window.start);
        (first - self.origin as i64, before(self.window.end) - first)
    }
}

/// A place between the batches of a sequence: in front of one of a window's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The window, from 0.
    pub window: u64,
    /// The batch in it, from 0.
    pub batch: u64,
}

impl Place {
    /// In front of all.
    pub const START: Self = Self::before(0);

    /// In front of a window.
    pub const fn before(window: u64) -> Self {
        Self { window, batch: 0 }
    }
}

/// A sequence's windows, and the pairs that each of them gets.
#[derive(Clone, Copy, Debug)]
pub struct Grid<'a> {
    pub(crate) name: &'a str,
    pub(crate) length: u64,
    /// Its pairs; for its variants there are none to divide.
    pairs: Option<u64>,
    pub(crate) params: &'a Params,
}

impl<'a> Grid<'a> {
    /// Windows that a unit fills at most: each of them has to be read, whatever comes out of it.
    pub const UNIT_WINDOWS: u64 = 20;

    /// The grid for the reads of the sequence with this name and length, which gets so many pairs.
    pub fn of_reads(name: &'a str, length: u64, pairs: u64, params: &'a Params) -> Self {
        Self {
            pairs: Some(pairs),
            ..Self::of_variants(name, length, params)
        }
    }

    /// The grid for the variants of the sequence with this name and length.
    pub fn of_variants(name: &'a str, length: u64, params: &'a Params) -> Self {
        Self {
            name,
            length,
            pairs: None,
            params,
        }
    }

    /// The number of windows.
    pub fn windows(&self) -> u64 {
        self.length.div_ceil(WINDOW)
    }

    /// The bases of a window.
    pub fn bases(&self, window: u64) -> Range<u64> {
        let end = |windows: u64| (windows * WINDOW).min(self.length);
        end(window)..end(window + 1)
    }

    /// The numbers of a window's pairs, counted over the sequence.
    pub fn pairs(&self, window: u64) -> Range<u64> {
        let bases = self.bases(window);
        let before = |base: u64| {
            // Below 2^27 pairs and 2^31 bases.
            let pairs = self.pairs.unwrap_or(0);
            (pairs * base).checked_div(self.length).unwrap_or(0)
        };
        before(bases.start)..before(bases.end)
    }

    /// How far a pair may lie outside of its window, in bases: the longest distance that can be drawn
    /// (the normal deviates here stay within twelve standard deviations), and room for deletions.
    pub fn reach(params: &Params) -> u64 {
        u64::from(params.distance)
            + 12 * u64::from(params.deviation)
            + 2 * u64::from(params.longest_read())
            + 1000
    }

    /// The bases that have to be in memory for the reads of these windows: from the start of a window on.
    pub fn held(&self, windows: Range<u64>) -> Range<u64> {
        let (first, end) = (
            self.bases(windows.start).start,
            self.bases(windows.end).start,
        );
        let reach = Self::reach(self.params);
        let from = first.saturating_sub(reach) / WINDOW * WINDOW;
        from..(end + reach).min(self.length)
    }

    /// Pairs of a batch.
    fn batch(&self) -> u64 {
        (BATCH / self.record()).max(1)
    }

    /// The number of a window's batches, which is never 0: a window without pairs has an empty one.
    pub fn batches(&self, window: u64) -> u64 {
        let pairs = self.pairs(window);
        (pairs.end - pairs.start).div_ceil(self.batch()).max(1)
    }

    /// The numbers of a batch's pairs.
    pub fn batch_pairs(&self, place: Place) -> Range<u64> {
        let pairs = self.pairs(place.window);
        let at = |batch: u64| (pairs.start + batch * self.batch()).min(pairs.end);
        at(place.batch)..at(place.batch + 1)
    }

    /// Bytes that both reads of a pair take at most.
    fn record(&self) -> u64 {
        // Two numbers of ten digits, six of five, one of seven, and what is between them.
        let title = self.name.len() as u64 + 80;
        2 * title + 2 * u64::from(self.params.length1) + 2 * u64::from(self.params.length2) + 12
    }

    /// Bytes that a batch comes to, or a window's variants, of which there are no batches.
    fn weight(&self, place: Place) -> u64 {
        if self.pairs.is_some() {
            let pairs = self.batch_pairs(place);
            return (pairs.end - pairs.start) * self.record();
        }
        // Most are of one base; deletions have a row together.
        let rows = WINDOW as f64 * self.params.mutation;
        rows as u64 * (self.name.len() as u64 + 20)
    }

    /// Divides windows into units that are worth a call each, in order; all are simulated alike
    /// wherever the borders are. A unit of reads has at most 2 MiB and a batch, one of
    /// variants about as much; and none has more than 20 windows.
    pub fn units(self, windows: Range<u64>) -> impl Iterator<Item = Range<Place>> + use<'a> {
        let end = Place::before(windows.end);
        let mut next = Place::before(windows.start);
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let from = next;
            let mut bytes = 0;
            while next < end && next.window - from.window < Self::UNIT_WINDOWS && bytes < UNIT {
                bytes += self.weight(next);
                next = self.following(next);
            }
            Some(from..next)
        })
    }

    /// The batches of a unit.
    pub fn places(self, unit: Range<Place>) -> impl Iterator<Item = Place> + use<'a> {
        let mut next = unit.start;
        std::iter::from_fn(move || {
            let place = (next < unit.end).then_some(next)?;
            next = self.following(place);
            Some(place)
        })
    }

    fn following(&self, place: Place) -> Place {
        let Place { window, batch } = place;
        if batch + 1 < self.batches(window) {
            Place {
                window,
                batch: batch + 1,
            }
        } else {
            Place::before(window + 1)
        }
    }

    /// The windows that a unit has a part of.
    pub fn touched(unit: &Range<Place>) -> Range<u64> {
        let end = unit.end.window + u64::from(unit.end.batch > 0);
        unit.start.window..end
    }
}
