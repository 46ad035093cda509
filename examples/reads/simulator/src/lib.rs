//! Simulates paired sequencing reads of a genome, byte for byte as wgsim 1.16.1 does: the same FASTQ
//! and the same table of variants for the same parameters and seed.
//!
//! Without I/O: bytes of a FASTA file go in, bytes of FASTQ come out, both in pieces. A sequence is
//! kept in two bits a base with a sparse list of its variants ([`memory_needed`] has the formula),
//! since reads are drawn from anywhere in it after all its variants.
//!
//! The steps, for each sequence of a reference in its order, with one [`Rng`] through all of them:
//! [`Loader`] → [`mutate`] → [`Rows`] and then [`Pairs`], the number of which is the sequence's
//! [`share`]. Sequences below [`Params::shortest_sequence`] are skipped.
//!
//! Windowed mode ([`Grid`] → [`Part`]) has random numbers for each window instead, so that windows can
//! be simulated anywhere and at the same time. Its bytes are not wgsim's.
//!
//! Everything but the normal deviates is whole-number arithmetic or exact in double precision. Those
//! take one logarithm, whose last bit may differ between mathematics libraries: that shows only when
//! a distance lies within 1e-13 of a half.

pub mod fai;
mod grid;
mod index;
mod memory;
mod mutate;
mod nmask;
mod pairs;
mod params;
mod part;
mod read;
mod rng;
mod rows;
mod sequence;
mod share;
mod text;

pub use grid::{Grid, LONGEST_REACH, Place, WINDOW};
pub use index::{Builder, FastaError, FastaProblem};
pub use memory::{FIXED, memory_needed};
pub use mutate::{Diploid, mutate};
pub use pairs::{Mates, Pairs, Stuck, Template};
pub use params::{OutOfRange, Params, range};
pub use part::Part;
pub use rng::{Chance, Draw, Rng};
pub use rows::Rows;
pub use sequence::{LoadError, Loader, Sequence};
pub use share::share;
