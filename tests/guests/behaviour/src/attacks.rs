//! Attacks that need nothing but the instructions of WebAssembly.

use std::hint::black_box;
use std::iter;

/// Bytes taken at a time.
const PIECE: usize = 1 << 20;

/// Computes for ever.
pub fn spin() -> ! {
    let mut state = 1u64;
    loop {
        state = black_box(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        );
    }
}

/// Computes a little, about a tenth of a millisecond.
pub fn spin_a_little() {
    compute(100_000);
}

/// Does the same work each time, of less than a nanosecond a round.
pub fn compute(rounds: u64) {
    for round in 0..rounds {
        black_box(round);
    }
}

/// Takes memory, touching all of it, until there is no more; then fails as programs do.
pub fn allocate_without_end() -> ! {
    let mut pieces = Vec::new();
    loop {
        pieces.push(black_box(vec![1u8; PIECE]));
    }
}

/// Takes memory, touching all of it, until it is refused, and returns how many bytes that were.
/// All but the last piece stay taken as long as the instance lives.
pub fn allocate_politely() -> u64 {
    let mut pieces: Vec<Vec<u8>> = iter::from_fn(piece).collect();
    let taken = pieces.len() as u64 * PIECE as u64;
    // The answer needs room as well.
    pieces.pop();
    std::mem::forget(black_box(pieces));
    taken
}

fn piece() -> Option<Vec<u8>> {
    let mut piece = Vec::new();
    piece.try_reserve_exact(PIECE).ok()?;
    piece.resize(PIECE, 1);
    Some(black_box(piece))
}

/// Calls itself until the stack of WebAssembly is full. Nothing goes to the stack that compilers
/// keep in linear memory, which would be full much sooner and fail in another way.
pub fn recurse() -> u64 {
    descend(0, black_box(u64::MAX))
}

// The bound is unknown when this is compiled and the rotation is no accumulation: it can neither be
// seen that this never returns, nor can it become a loop.
#[inline(never)]
fn descend(depth: u64, bound: u64) -> u64 {
    if depth == bound {
        return depth;
    }
    descend(depth + 1, bound).rotate_left(3) ^ depth
}
