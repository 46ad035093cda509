//! Genomes that are made up.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Bases in a line of the file.
const LINE: u64 = 60;
/// Bases of a stretch.
pub const STRETCH: u64 = 1_000_000;
/// Bases at the start of each stretch that are not known.
pub const UNKNOWN: u64 = 1_000;

/// A small generator, so that a seed says all.
pub struct Draws(pub u64);

impl Draws {
    /// A number below the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// One of the values.
    pub fn of<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()]
    }
}

/// Writes a FASTA file with one sequence of so many bases, runs of N among them, and
/// the index beside it. Gives the bytes that hold the sequence.
pub fn write_genome(path: &Path, name: &str, bases: u64, seed: u64) -> io::Result<u64> {
    let mut draws = Draws(seed);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let header = format!(">{name} made up\n");
    file.write_all(header.as_bytes())?;
    let mut line = Vec::new();
    let mut written = 0;
    while written < bases {
        line.clear();
        for position in written..bases.min(written + LINE) {
            line.push(match position % STRETCH {
                0..UNKNOWN => b'N',
                _ => b"ACGT"[usize::try_from(draws.below(4)).unwrap()],
            });
        }
        written += line.len() as u64;
        line.push(b'\n');
        file.write_all(&line)?;
    }
    file.flush()?;
    let (offset, width) = (header.len(), LINE + 1);
    let index = format!("{name}\t{bases}\t{offset}\t{LINE}\t{width}\n");
    let beside = path.with_extension("fa.fai");
    std::fs::write(beside, index)?;
    Ok(bases + bases.div_ceil(LINE))
}
