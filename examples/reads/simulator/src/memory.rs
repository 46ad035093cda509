//! How much memory a simulation takes.

use crate::mutate::Diploid;
use crate::params::Params;
use crate::sequence::Sequence;

/// What a guest takes beside the sequence, its variants and the index, in bytes: its stack and static
/// data, the pieces that are read and written, the records under way and what the allocator loses.
/// Measured at less than half of this.
pub const FIXED: u64 = 6 << 20;

/// Bytes of linear memory that simulating a sequence of `length` bases takes at most. For several, one
/// after the other, that is the number for the longest, if [`Sequence::with_capacity`] and
/// [`Diploid::with_capacity`] make the memory for that one before the first.
///
/// - two bits a base, and one more for where N is (none, but for a word in 4096 bases, where a
///   block of 4096 bases has no N or nothing else): `length * 3/8`
/// - six bytes a variant, for `length * mutation * (1 + indel/2 * extend/(1-extend))` of them and
///   eight standard deviations, at most one a base
/// - four bytes in 2048 bases, to find the variants
/// - [`FIXED`]
pub fn memory_needed(length: u64, params: &Params) -> u64 {
    FIXED + Sequence::memory(length) + Diploid::memory(length, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_human_chromosome_fits_at_the_defaults_and_many_mutations_do_not() {
        let limit = 128 << 20;
        let params = Params::default();
        assert!(memory_needed(250_000_000, &params) <= limit);
        assert!(memory_needed(400_000_000, &params) > limit);
        let many = Params {
            mutation: 0.1,
            ..params
        };
        assert!(memory_needed(250_000_000, &many) > limit);
        assert!(
            memory_needed(
                5_000_000,
                &Params {
                    mutation: 1.0,
                    ..many
                }
            ) <= limit
        );
    }

    #[test]
    fn no_length_overflows() {
        let params = Params {
            mutation: 1.0,
            extend: 1.0,
            ..Params::default()
        };
        assert!(memory_needed(crate::fai::LONGEST, &params) > 1 << 33);
    }
}
