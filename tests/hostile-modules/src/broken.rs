//! Bytes that are not, or no longer, WebAssembly.

use crate::random::Random;

/// Bytes at the beginning that a corrupted file keeps, so that it is still taken for WebAssembly:
/// the magic number and the version.
const PREAMBLE: usize = 8;

/// A text that is not WebAssembly.
pub fn not_wasm() -> Vec<u8> {
    b"#!/bin/sh\necho This is not WebAssembly.\n".to_vec()
}

/// The first `part` (of `parts`) of a file, as a download that broke off leaves it: never all.
pub fn truncated(bytes: &[u8], part: usize, parts: usize) -> &[u8] {
    let length = bytes.len() * part / parts.max(1);
    &bytes[..length.min(bytes.len().saturating_sub(1))]
}

/// A file with `changes` bytes behind its preamble changed, each to another value, chosen by the
/// seed. Now and then the result is still valid, and means something else.
pub fn corrupted(bytes: &[u8], seed: u64, changes: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let Some(body) = bytes.get_mut(PREAMBLE..).filter(|body| !body.is_empty()) else {
        return bytes;
    };
    let mut random = Random::new(seed);
    for _ in 0..changes {
        let position = random.below(body.len() as u64) as usize;
        let change = 1 + random.below(255) as u8;
        body[position] ^= change;
    }
    bytes
}
