//! What may be asked of the simulator.

use std::fmt;

/// The parameters of a simulation; the defaults are wgsim's, but for the number of pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Pairs of reads over all sequences (`-N`).
    pub pairs: u32,
    /// Probability that a base is read wrongly (`-e`).
    pub error: f64,
    /// Seed of the random numbers (`-S`).
    pub seed: u32,
    /// Length of the first read in bases (`-1`).
    pub length1: u32,
    /// Length of the second read in bases (`-2`).
    pub length2: u32,
    /// Mean distance in bases between the outer ends of a pair (`-d`).
    pub distance: u32,
    /// Its standard deviation in bases (`-s`).
    pub deviation: u32,
    /// Probability that a base of the genome is mutated (`-r`).
    pub mutation: f64,
    /// Share of insertions and deletions in the mutations (`-R`).
    pub indel: f64,
    /// Probability that an insertion or deletion goes on (`-X`).
    pub extend: f64,
    /// Largest share of N that a read may have (`-A`).
    pub ambiguous: f64,
    /// Only mutations of both haplotypes (`-h`).
    pub haploid: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            pairs: 1000,
            error: 0.02,
            seed: 1,
            length1: 70,
            length2: 70,
            distance: 500,
            deviation: 50,
            mutation: 0.001,
            indel: 0.15,
            extend: 0.3,
            ambiguous: 0.05,
            haploid: false,
        }
    }
}

/// Ranges of the parameters, by the names that the API gives them.
///
/// An error rate between 0 and 1e-9 would give a quality that is not a printable character. Lengths
/// are bounded by the memory that a record takes, the rest by what 32-bit positions allow.
const RANGES: [(&str, &str); 11] = [
    ("n", "a whole number from 1 to 100000000"),
    ("error", "0, or a number from 1e-9 to 1"),
    ("seed", "a whole number from 1 to 2147483647"),
    ("length1", "a whole number from 1 to 65536"),
    ("length2", "a whole number from 1 to 65536"),
    ("distance", "a whole number from 0 to 10000000"),
    ("stdev", "a whole number from 0 to 1000000"),
    ("mutation", "a number from 0 to 1"),
    ("indel", "a number from 0 to 1"),
    ("extend", "a number from 0 to 1"),
    ("ambiguous", "a number from 0 to 1"),
];

/// The range of a parameter in words, by the name that the API gives it.
pub fn range(name: &str) -> Option<&'static str> {
    RANGES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, range)| *range)
}

/// A parameter out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// The parameter's name.
    pub name: &'static str,
    /// Its range in words.
    pub range: &'static str,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.name, self.range)
    }
}

impl std::error::Error for OutOfRange {}

impl Params {
    /// Checks every range.
    ///
    /// # Errors
    /// The first parameter that is out of its range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let share = |p: f64| (0.0..=1.0).contains(&p);
        let lengths = 1..=65_536;
        let fine = [
            (1..=100_000_000).contains(&self.pairs),
            self.error == 0.0 || (1e-9..=1.0).contains(&self.error),
            (1..=i32::MAX as u32).contains(&self.seed),
            lengths.contains(&self.length1),
            lengths.contains(&self.length2),
            self.distance <= 10_000_000,
            self.deviation <= 1_000_000,
            share(self.mutation),
            share(self.indel),
            share(self.extend),
            share(self.ambiguous),
        ];
        match fine.iter().zip(RANGES).find(|(fine, _)| !**fine) {
            Some((_, (name, range))) => Err(OutOfRange { name, range }),
            None => Ok(()),
        }
    }

    /// The longer of the two read lengths.
    pub fn longest_read(&self) -> u32 {
        self.length1.max(self.length2)
    }

    /// The shortest sequence that is simulated; shorter ones are skipped and their share of the pairs
    /// is lost.
    pub fn shortest_sequence(&self) -> u64 {
        u64::from(self.distance) + 3 * u64::from(self.deviation)
    }

    /// The quality of every base, as its character.
    pub(crate) fn quality(&self) -> u8 {
        if self.error == 0.0 {
            return b'I';
        }
        (-10.0 * self.error.ln() / 10f64.ln() + 0.499) as u8 + 33
    }

    /// The most N that a read of `length` bases may have.
    pub(crate) fn most_ambiguous(&self, length: usize) -> usize {
        (0..=length)
            .rev()
            .find(|n| *n as f64 / length as f64 <= self.ambiguous)
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static str, fn(&mut Params));

    #[test]
    fn the_defaults_and_the_ends_of_the_ranges_are_fine() {
        let ends: [fn(&mut Params); 10] = [
            |_| (),
            |p| p.pairs = 100_000_000,
            |p| p.error = 0.0,
            |p| (p.error, p.mutation, p.indel) = (1e-9, 0.0, 0.0),
            |p| (p.error, p.mutation, p.indel) = (1.0, 1.0, 1.0),
            |p| (p.length1, p.length2) = (1, 65_536),
            |p| (p.length1, p.length2) = (65_536, 1),
            |p| (p.distance, p.deviation) = (0, 0),
            |p| (p.distance, p.deviation) = (10_000_000, 1_000_000),
            |p| p.seed = 2_147_483_647,
        ];
        for end in ends {
            let mut params = Params::default();
            end(&mut params);
            assert_eq!(params.check(), Ok(()), "{params:?}");
        }
    }

    #[test]
    fn beyond_its_range_each_parameter_is_named() {
        let cases: [Case; 19] = [
            ("n", |p| p.pairs = 0),
            ("n", |p| p.pairs = 100_000_001),
            ("error", |p| p.error = 0.9e-9),
            ("error", |p| p.error = -0.1),
            ("error", |p| p.error = 1.0001),
            ("error", |p| p.error = f64::NAN),
            ("seed", |p| p.seed = 0),
            ("seed", |p| p.seed = 1 << 31),
            ("length1", |p| p.length1 = 0),
            ("length1", |p| p.length1 = 65_537),
            ("length2", |p| p.length2 = 0),
            ("length2", |p| p.length2 = 65_537),
            ("distance", |p| p.distance = 10_000_001),
            ("stdev", |p| p.deviation = 1_000_001),
            ("mutation", |p| p.mutation = 1.1),
            ("indel", |p| p.indel = -0.1),
            ("extend", |p| p.extend = f64::INFINITY),
            ("ambiguous", |p| p.ambiguous = f64::NAN),
            ("ambiguous", |p| p.ambiguous = 1.1),
        ];
        for (name, change) in cases {
            let mut params = Params::default();
            change(&mut params);
            let error = params.check().expect_err(name);
            assert_eq!((error.name, Some(error.range)), (name, range(name)));
        }
        assert_eq!(range("chrom"), None);
    }

    #[test]
    fn the_most_n_of_a_read_are_those_that_wgsim_lets_pass() {
        for ambiguous in [0.0, 0.05, 0.1, 0.3, 1.0 / 3.0, 0.999, 1.0] {
            let params = Params {
                ambiguous,
                ..Params::default()
            };
            for length in [1usize, 2, 3, 10, 20, 70, 100, 151] {
                let most = params.most_ambiguous(length);
                for n in 0..=length {
                    assert_eq!(
                        n as f64 / length as f64 > ambiguous,
                        n > most,
                        "{n}/{length}"
                    );
                }
            }
        }
    }
}
