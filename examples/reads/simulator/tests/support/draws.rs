//! Parameter sets and FASTA files drawn from a seed.

use reads_simulator::Params;

/// The seed of a test run: `READS_TEST_SEED`, or a new one. Printed, so that a run can be repeated.
pub fn seed() -> u64 {
    let given = std::env::var("READS_TEST_SEED").ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("READS_TEST_SEED={text} is not a whole number"))
    });
    let seed = given.unwrap_or_else(|| {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    });
    println!("READS_TEST_SEED={seed}");
    seed
}

/// SplitMix64.
pub struct Draws(pub u64);

impl Draws {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Parameters with which wgsim ends: it does not where a sequence is long enough for the distance,
    /// but not for the reads.
    pub fn params_for(&mut self, lengths: &[u64]) -> Params {
        loop {
            let params = self.params();
            let fits = params.shortest_sequence()..u64::from(params.longest_read());
            if !lengths.iter().any(|length| fits.contains(length)) {
                return params;
            }
        }
    }

    fn params(&mut self) -> Params {
        let length1 = 1 + self.below(150) as u32;
        Params {
            pairs: 1 + self.below(3000) as u32,
            error: self.of(&[0.0, 0.001, 0.02, 0.1, 0.37, 1.0]),
            seed: 1 + self.below(0x7FFF_FFFF) as u32,
            length1,
            length2: if self.one_in(3) {
                length1
            } else {
                1 + self.below(150) as u32
            },
            distance: self.below(600) as u32,
            deviation: self.below(80) as u32,
            mutation: self.of(&[0.0, 0.001, 0.01, 0.1, 0.3]),
            indel: self.of(&[0.0, 0.15, 0.5, 1.0]),
            extend: self.of(&[0.0, 0.3, 0.6, 0.8]),
            ambiguous: self.of(&[0.0, 0.05, 0.3, 0.5, 1.0]),
            haploid: self.one_in(4),
        }
    }

    /// A FASTA file of a few sequences: with N, lowercase, other codes, one too short for most
    /// parameters, lines of any width with either line end, and blank lines at the end.
    pub fn fasta(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let count = 1 + self.below(5);
        let short = self.below(count + 1);
        let end: &[u8] = if self.one_in(4) { b"\r\n" } else { b"\n" };
        for k in 0..count {
            let len = if k == short {
                1 + self.below(60)
            } else {
                400 + self.below(20_000)
            } as usize;
            let bases = self.bases(len);
            let comment = if self.one_in(2) {
                " with a comment"
            } else {
                ""
            };
            out.extend_from_slice(format!(">seq_{k}|x{comment}").as_bytes());
            out.extend_from_slice(end);
            let width = 2 + self.below(120) as usize;
            for line in bases.chunks(width) {
                out.extend_from_slice(line);
                out.extend_from_slice(end);
            }
        }
        match self.below(4) {
            0 => (0..=self.below(2)).for_each(|_| out.extend_from_slice(end)),
            1 => out.truncate(out.len() - end.len()),
            _ => (),
        }
        out
    }

    fn bases(&mut self, len: usize) -> Vec<u8> {
        let mut bases: Vec<u8> = (0..len).map(|_| self.of(b"ACGT")).collect();
        let spots = if self.one_in(3) { 0 } else { self.below(8) };
        for _ in 0..spots {
            let start = self.below(len as u64) as usize;
            let longest = if self.one_in(2) { 3 } else { 400 };
            let end = (start + 1 + self.below(longest) as usize).min(len);
            let kind = self.below(6);
            for base in &mut bases[start..end] {
                match kind {
                    0 | 1 => *base = b'N',
                    2 => *base = b'n',
                    3 => *base = self.of(b"RYKMSWBDHVryk"),
                    4 => *base = self.of(b"*.N"),
                    _ => base.make_ascii_lowercase(),
                }
            }
        }
        bases
    }
}
