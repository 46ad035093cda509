//! A sequence as long as a chromosome of ours.

use std::path::Path;

use strand_tests::write_genome;

/// Its bases.
pub(crate) const BASES: u64 = 250_000_000;
/// The pairs that are simulated of it.
pub(crate) const PAIRS: u64 = 1_000_000;
/// The reference's name.
pub(crate) const NAME: &str = "chromosome";

/// Writes it into a folder of genomes; the bytes that hold the sequence.
pub(crate) fn write(folder: &Path) -> u64 {
    std::fs::create_dir_all(folder).unwrap();
    println!("making a sequence of {BASES} bases");
    write_genome(&folder.join(format!("{NAME}.fa")), NAME, BASES, 42).unwrap()
}

/// The request for its reads.
pub(crate) fn path(mate: &str) -> String {
    format!("/reads?reference={NAME}&n={PAIRS}&seed=42&mate={mate}")
}

/// Bytes as people read them.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
