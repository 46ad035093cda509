//! The mutations of a sequence, as a sparse list.

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
        self.first.clear();
        self.first.reserve_exact(len / BUCKET + 2);
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

/// Draws the mutations of a sequence, base by base from its start. `reuse` gives its memory.
pub fn mutate(sequence: &Sequence, params: &Params, rng: &mut Rng, mut reuse: Diploid) -> Diploid {
    let len = sequence.len();
    reuse.positions.clear();
    reuse.cells.clear();
    let room = expected(len as u64, params) as usize;
    reuse.positions.reserve_exact(room);
    reuse.cells.reserve_exact(room);
    let chances = Chances::new(params);
    let n = sequence.n();
    let mut i = 0;
    // The end of the stretch without N that `i` is in.
    let mut end = 0;
    while i < len {
        if i >= end {
            i = n.next(i, len, false);
            end = n.next(i, len, true);
        }
        match rng.misses(chances.mutation, end - i) {
            None => i = end,
            Some(missed) => {
                i += missed;
                let cell = chances.cell(sequence.base(i), rng);
                reuse.push(i, cell);
                i += 1;
                if cell.change() == Change::Deletion {
                    // The deletion goes on over anything, N too.
                    while i < len && rng.draw().hits(chances.extend) {
                        reuse.push(i, cell);
                        i += 1;
                    }
                    // The draw that ended it was for base `i`, which can have its own mutation.
                }
            }
        }
    }
    reuse.build_index(len);
    reuse
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
            let mut sequence = crate::Loader::new(
                &crate::fai::Entry {
                    name: "s".into(),
                    length: 20_000,
                    offset: 0,
                    line_bases: 20_000,
                    line_width: 20_001,
                },
                Sequence::default(),
            );
            sequence.push(&[b'A'; 20_000]).expect("bases");
            let sequence = sequence.finish().expect("all of them");
            let diploid = mutate(&sequence, &params, &mut Rng::new(seed), Diploid::default());
            let room = expected(20_000, &params) as usize;
            assert!(
                diploid.len() <= room && diploid.positions.capacity() == room,
                "{seed}"
            );
        }
    }
}
