//! The mutations of a sequence, as a sparse list.

use std::ops::Range;

use crate::params::Params;
use crate::rng::{Chance, Rng};
use crate::sequence::Sequence;

/// The probability that a mutation is on both haplotypes, as wgsim writes it.
const BOTH: f64 = 0.333333;

/// The longest insertion in bases.
const LONGEST_INSERTION: u8 = 4;

/// Bases that share a word in the table of first variants.
const BUCKET: usize = 2048;

/// What happens to one base on one or both haplotypes, in 16 bits: from the lowest, two for the
/// haplotypes, two for the kind, two for the new base or the insertion's length less one, and eight
/// for the inserted bases, the last drawn lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell(u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The base is another one: 0 to 3.
    Substitution(u8),
    /// The base is not there.
    Deletion,
    /// `count` bases follow it, which `bases` has from its lowest bits on.
    Insertion { count: u8, bases: u8 },
}

/// Haplotypes as bits.
pub(crate) const HAPLOTYPES: u16 = 3;

impl Cell {
    fn new(haplotypes: u16, change: Change) -> Self {
        let rest = match change {
            Change::Substitution(base) => u16::from(base) << 4,
            Change::Deletion => 1 << 2,
            Change::Insertion { count, bases } => {
                (2 << 2) | (u16::from(count - 1) << 4) | (u16::from(bases) << 6)
            }
        };
        Self(haplotypes | rest)
    }

    /// The haplotypes that it is on, as bits.
    pub(crate) fn haplotypes(self) -> u16 {
        self.0 & HAPLOTYPES
    }

    pub(crate) fn change(self) -> Change {
        let two = (self.0 >> 4 & 3) as u8;
        match self.0 >> 2 & 3 {
            0 => Change::Substitution(two),
            1 => Change::Deletion,
            _ => Change::Insertion {
                count: two + 1,
                bases: (self.0 >> 6) as u8,
            },
        }
    }
}

/// The variants of a diploid individual against its reference, in order of position; at most one a
/// position.
#[derive(Clone, Debug, Default)]
pub struct Diploid {
    positions: Vec<u32>,
    cells: Vec<Cell>,
    /// For each bucket of the sequence, the first variant in it or behind it; one more at the end.
    first: Vec<u32>,
}

impl Diploid {
    /// An empty list with room for the variants of `len` bases, so that those of shorter sequences
    /// fit too and nothing grows (and moves) from one to the next.
    pub fn with_capacity(len: usize, params: &Params) -> Self {
        Self::default().emptied(len, params)
    }

    /// Without variants, and with room for those of `len` bases.
    fn emptied(self, len: usize, params: &Params) -> Self {
        let room = expected(len as u64, params) as usize;
        Self {
            positions: emptied(self.positions, room),
            cells: emptied(self.cells, room),
            first: emptied(self.first, len / BUCKET + 2),
        }
    }

    /// The number of positions with a variant.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The first variant at or behind a position.
    #[inline]
    pub(crate) fn at_or_after(&self, position: usize) -> usize {
        let bucket = position / BUCKET;
        let Some(end) = self.first.get(bucket + 1) else {
            return self.len();
        };
        let start = self.first[bucket] as usize;
        let in_bucket = &self.positions[start..*end as usize];
        start + in_bucket.partition_point(|p| (*p as usize) < position)
    }

    #[inline]
    pub(crate) fn position(&self, index: usize) -> Option<usize> {
        self.positions.get(index).map(|p| *p as usize)
    }

    #[inline]
    pub(crate) fn cell(&self, index: usize) -> Cell {
        self.cells[index]
    }

    /// Bytes of linear memory that the variants of `len` bases take, but for a chance below 1e-15.
    pub(crate) fn memory(len: u64, params: &Params) -> u64 {
        let one = (size_of::<u32>() + size_of::<Cell>()) as u64;
        expected(len, params).saturating_mul(one) + (len / BUCKET as u64 + 3) * 4
    }

    fn push(&mut self, position: usize, cell: Cell) {
        if self.positions.len() == self.positions.capacity() {
            // Beyond what was expected: grow by little, since doubling could take all the memory.
            let more = self.positions.len() / 8 + 1024;
            self.positions.reserve_exact(more);
            self.cells.reserve_exact(more);
        }
        self.positions.push(position as u32);
        self.cells.push(cell);
    }

    fn build_index(&mut self, len: usize) {
        let mut next = 0;
        for bucket in 0..=len / BUCKET + 1 {
            while self
                .positions
                .get(next)
                .is_some_and(|p| (*p as usize) < bucket * BUCKET)
            {
                next += 1;
            }
            self.first.push(next as u32);
        }
    }
}

/// An empty vector with room for `room` values: the same one if it has that. Else it goes before the
/// new one comes, because growing it would need the memory of both at once.
fn emptied<T>(mut old: Vec<T>, room: usize) -> Vec<T> {
    old.clear();
    if old.capacity() >= room {
        return old;
    }
    drop(old);
    let mut new = Vec::new();
    new.reserve_exact(room);
    new
}

/// How many variants to make room for: the mean and eight standard deviations, at most one a base.
fn expected(len: u64, params: &Params) -> u64 {
    let bases = len as f64;
    // A deletion goes on for a geometric number of further bases, with this mean.
    let further = params.extend / (1.0 - params.extend);
    let deletions = params.indel / 2.0;
    let mean = bases * params.mutation * (1.0 + deletions * further);
    let square = 1.0 + deletions * (3.0 * further + 2.0 * further * further);
    let spread = (bases * params.mutation * square).sqrt();
    let most = mean + 8.0 * spread + 64.0;
    // Without an end to deletions the numbers above are infinite or none at all.
    if most < bases { most as u64 } else { len }
}

/// Draws the mutations of a sequence, base by base from its start, into the memory of an earlier one
/// (or of [`Diploid::with_capacity`]).
pub fn mutate(sequence: &Sequence, params: &Params, rng: &mut Rng, reuse: Diploid) -> Diploid {
    let mut mutator = Mutator::new(sequence, params, reuse);
    mutator.mutate(0..sequence.len(), rng);
    mutator.finish()
}

/// Draws the mutations of a sequence part by part.
pub(crate) struct Mutator<'a> {
    sequence: &'a Sequence,
    chances: Chances,
    diploid: Diploid,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(sequence: &'a Sequence, params: &Params, reuse: Diploid) -> Self {
        Self {
            sequence,
            chances: Chances::new(params),
            diploid: reuse.emptied(sequence.len(), params),
        }
    }

    /// Draws the mutations of the next part. Of a part that is cut short they are the same up to there.
    pub(crate) fn mutate(&mut self, part: Range<usize>, rng: &mut Rng) {
        let (chances, n) = (&self.chances, self.sequence.n());
        let len = part.end;
        let mut i = part.start;
        // The end of the stretch without N that `i` is in.
        let mut end = i;
        while i < len {
            if i >= end {
                i = n.next(i, len, false);
                end = n.next(i, len, true);
            }
            match rng.misses(chances.mutation, end - i) {
                None => i = end,
                Some(missed) => {
                    i += missed;
                    let cell = chances.cell(self.sequence.base(i), rng);
                    self.diploid.push(i, cell);
                    i += 1;
                    if cell.change() == Change::Deletion {
                        // The deletion goes on over anything, N too.
                        while i < len && rng.draw().hits(chances.extend) {
                            self.diploid.push(i, cell);
                            i += 1;
                        }
                        // The draw that ended it was for base `i`, which can have its own mutation.
                    }
                }
            }
        }
    }

    pub(crate) fn finish(mut self) -> Diploid {
        self.diploid.build_index(self.sequence.len());
        self.diploid
    }
}

struct Chances {
    mutation: Chance,
    indel: Chance,
    extend: Chance,
    both: Chance,
    haploid: bool,
}

impl Chances {
    fn new(params: &Params) -> Self {
        Self {
            mutation: Chance::new(params.mutation),
            indel: Chance::new(params.indel),
            extend: Chance::new(params.extend),
            both: Chance::new(BOTH),
            haploid: params.haploid,
        }
    }

    /// Draws what happens to a base that is mutated.
    fn cell(&self, base: u8, rng: &mut Rng) -> Cell {
        let change = if !rng.draw().hits(self.indel) {
            Change::Substitution((base + rng.draw().one_of(3) + 1) & 3)
        } else if rng.draw().below_half() {
            Change::Deletion
        } else {
            let (mut count, mut bases) = (0, 0);
            loop {
                count += 1;
                bases = (bases << 2) | rng.draw().one_of(4);
                if count == LONGEST_INSERTION || !rng.draw().hits(self.extend) {
                    break;
                }
            }
            Change::Insertion { count, bases }
        };
        let haplotypes = if self.haploid || rng.draw().hits(self.both) {
            HAPLOTYPES
        } else if rng.draw().below_half() {
            1
        } else {
            2
        };
        Cell::new(haplotypes, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_keeps_what_it_is_made_of() {
        for haplotypes in 1..=3 {
            let substitutions = (0..4).map(Change::Substitution);
            let insertions = (1..=4)
                .flat_map(|count| (0..=255).map(move |bases| Change::Insertion { count, bases }));
            for change in substitutions.chain(insertions).chain([Change::Deletion]) {
                let cell = Cell::new(haplotypes, change);
                assert_eq!((cell.haplotypes(), cell.change()), (haplotypes, change));
            }
        }
    }

    #[test]
    fn finding_a_variant_is_the_same_as_looking_through_all() {
        let len = 3 * BUCKET + 5;
        let cell = Cell::new(3, Change::Deletion);
        let mut diploid = Diploid::default();
        for i in (0..len).filter(|i| i * i % 91 == 0 || i / 40 == 60) {
            diploid.push(i, cell);
        }
        diploid.build_index(len);
        for i in 0..=len {
            let expected = diploid
                .positions
                .iter()
                .filter(|p| (**p as usize) < i)
                .count();
            assert_eq!(diploid.at_or_after(i), expected, "{i}");
        }
    }

    #[test]
    fn room_is_made_for_what_comes() {
        for (mutation, indel, extend, most) in [
            (0.001, 0.15, 0.3, 250_000_000 / 900),
            (0.0, 0.15, 0.3, 64),
            (1.0, 0.0, 0.0, 250_000_000),
            (0.001, 0.15, 1.0, 250_000_000),
            (0.0, 0.15, 1.0, 250_000_000),
        ] {
            let params = Params {
                mutation,
                indel,
                extend,
                ..Params::default()
            };
            let room = expected(250_000_000, &params);
            assert!(room <= most, "{room} for {params:?}");
        }
        for seed in 1..20 {
            let params = Params {
                mutation: 0.05,
                indel: 1.0,
                extend: 0.9,
                ..Params::default()
            };
            let sequence = plain(20_000);
            let diploid = mutate(&sequence, &params, &mut Rng::new(seed), Diploid::default());
            let room = expected(20_000, &params) as usize;
            assert!(
                diploid.len() <= room && diploid.positions.capacity() == room,
                "{seed}"
            );
        }
    }

    /// A sequence without N.
    fn plain(len: usize) -> Sequence {
        let entry = crate::fai::Entry {
            name: "s".into(),
            length: len as u64,
            offset: 0,
            line_bases: len as u64,
            line_width: len as u64 + 1,
        };
        let mut loader = crate::Loader::new(&entry, Sequence::default());
        loader.push(&vec![b'A'; len]).expect("bases");
        loader.finish().expect("all of them")
    }

    /// Where the memory of a list is, and how much it is in bytes.
    fn memory_of(diploid: &Diploid) -> ([usize; 3], usize) {
        let Diploid {
            positions,
            cells,
            first,
        } = diploid;
        let places = [
            positions.as_ptr().addr(),
            cells.as_ptr().addr(),
            first.as_ptr().addr(),
        ];
        let bytes = positions.capacity() * size_of::<u32>()
            + cells.capacity() * size_of::<Cell>()
            + first.capacity() * size_of::<u32>();
        (places, bytes)
    }

    #[test]
    fn memory_that_is_made_for_the_longest_sequence_is_that_of_all() {
        let params = Params {
            mutation: 0.8,
            ..Params::default()
        };
        let lengths = [19_000, 20_000, 1, 20_000];
        let mut rng = Rng::new(1);
        let mut diploid = Diploid::with_capacity(20_000, &params);
        let made = memory_of(&diploid);
        assert!(
            made.1 as u64 <= Diploid::memory(20_000, &params),
            "{made:?}"
        );
        for len in lengths {
            diploid = mutate(&plain(len), &params, &mut rng, diploid);
            assert_eq!(memory_of(&diploid), made, "{len}");
        }
        // Less than that grows, and only then.
        let mut small = Diploid::with_capacity(19_000, &params);
        let made = memory_of(&small);
        small = mutate(&plain(19_000), &params, &mut rng, small);
        assert_eq!(memory_of(&small), made);
        small = mutate(&plain(20_000), &params, &mut rng, small);
        assert!(memory_of(&small).1 > made.1);
    }
}
