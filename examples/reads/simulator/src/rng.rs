//! The random numbers of `drand48`, drawn one at a time or in runs.
//!
//! The generator is `x = (x * 0x5DEECE66D + 0xB) mod 2^48`, and a draw is worth `x / 2^48`. The state
//! is kept as `x << 16`: then the word's own overflow is the modulus, and comparing two states
//! compares the two draws, without a mask.

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const INCREMENT: u64 = 0xB << 16;

/// Draws that are computed from one state, independently of each other: the chain of multiplications
/// is what bounds the speed, so it is made shorter by this factor.
const LANES: usize = 8;

/// `JUMP[k]` takes a state `k + 1` draws ahead.
const JUMP: [(u64, u64); LANES] = {
    let mut table = [(0, 0); LANES];
    let (mut multiplier, mut increment) = (1u64, 0u64);
    let mut k = 0;
    while k < LANES {
        multiplier = multiplier.wrapping_mul(MULTIPLIER);
        increment = increment.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        table[k] = (multiplier, increment);
        k += 1;
    }
    table
};

/// A probability, in the form in which it is compared with a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance(u64);

impl Chance {
    /// The chance `p`. A draw hits it exactly when `x / 2^48 < p` holds in double precision: scaling
    /// by a power of two is exact, and `x` is whole, so `x < ceil(p * 2^48)` is the same question.
    /// At most 0 (or not a number) never hits, at least 1 always does.
    pub fn new(p: f64) -> Self {
        let threshold = (p * (1u64 << 48) as f64).ceil() as u64; // saturates at both ends
        // No state has its low 16 bits set, so this maximum is above every one of them.
        Self(if threshold >= 1 << 48 {
            u64::MAX
        } else {
            threshold << 16
        })
    }
}

/// One draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// Whether the draw is below the chance.
    #[inline]
    pub fn hits(self, chance: Chance) -> bool {
        self.0 < chance.0
    }

    /// Whether the draw is below a half.
    #[inline]
    pub fn below_half(self) -> bool {
        self.0 < 1 << 63
    }

    /// `int(u * n)` for an `n` small enough (up to 32) that the product is exact in double precision.
    #[inline]
    pub fn one_of(self, n: u64) -> u8 {
        debug_assert!(n <= 32);
        (((self.0 >> 16) * n) >> 48) as u8
    }

    /// The draw as a number in `[0, 1)`, exactly.
    #[inline]
    pub fn uniform(self) -> f64 {
        (self.0 >> 16) as f64 * (1.0 / (1u64 << 48) as f64)
    }
}

/// What random numbers are for, in windowed mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The mutations of a window.
    Mutations = 1,
    /// A batch of its pairs.
    Reads = 2,
}

/// Spreads each bit of a number over all of them: the finishing step of SplitMix64 (Steele, Lea and
/// Flood, 2014).
fn spread(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The generator, with the second number of the last pair of normal deviates, which is kept for the
/// next call whatever happens in between.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
    spare: Option<f64>,
}

impl Rng {
    /// The generator as `srand48` seeds it.
    pub fn new(seed: u32) -> Self {
        Self {
            state: ((u64::from(seed) << 16) | 0x330E) << 16,
            spare: None,
        }
    }

    /// The generator of a part of a simulation, told by all that names it.
    pub(crate) fn of_part(seed: u32, name: &str, stream: Stream, window: u64, batch: u64) -> Self {
        let numbers = [u64::from(seed), stream as u64, window, batch];
        let name = name.bytes().map(u64::from);
        let state = numbers.into_iter().chain(name).fold(0, |state: u64, next| {
            // The increment of SplitMix64, so that a row of zeros is not one zero.
            spread(state.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ next)
        });
        Self {
            state: state << 16,
            spare: None,
        }
    }

    /// The next draw.
    #[inline]
    pub fn draw(&mut self) -> Draw {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        Draw(self.state)
    }

    /// Makes `count` draws (at most 64); bit `i` of the answer tells whether draw `i` hit.
    #[inline]
    pub fn hits(&mut self, chance: Chance, count: usize) -> u64 {
        debug_assert!(count <= 64);
        let mut mask = 0;
        let mut done = 0;
        while done + LANES <= count {
            let ahead = self.ahead();
            let mut bits = 0;
            for (k, state) in ahead.iter().enumerate() {
                bits |= u64::from(*state < chance.0) << k;
            }
            mask |= bits << done;
            self.state = ahead[LANES - 1];
            done += LANES;
        }
        while done < count {
            mask |= u64::from(self.draw().hits(chance)) << done;
            done += 1;
        }
        mask
    }

    /// Draws until one hits, at most `limit` times. `Some(n)`: `n` draws missed and then one hit.
    /// `None`: all `limit` draws missed.
    #[inline]
    pub fn misses(&mut self, chance: Chance, limit: usize) -> Option<usize> {
        let mut done = 0;
        while done + LANES <= limit {
            let ahead = self.ahead();
            if ahead
                .iter()
                .fold(u64::MAX, |least, state| least.min(*state))
                < chance.0
            {
                break;
            }
            self.state = ahead[LANES - 1];
            done += LANES;
        }
        while done < limit {
            if self.draw().hits(chance) {
                return Some(done);
            }
            done += 1;
        }
        None
    }

    /// A normal deviate by the polar method of Box and Muller.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let v1 = 2.0 * self.draw().uniform() - 1.0;
            let v2 = 2.0 * self.draw().uniform() - 1.0;
            let square = v1 * v1 + v2 * v2;
            if square < 1.0 && square != 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(v1 * factor);
                return v2 * factor;
            }
        }
    }

    #[inline]
    fn ahead(&self) -> [u64; LANES] {
        JUMP.map(|(multiplier, increment)| {
            self.state.wrapping_mul(multiplier).wrapping_add(increment)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: u64) -> Draw {
        Draw(x << 16)
    }

    #[test]
    fn a_chance_is_exactly_the_comparison_in_double_precision() {
        let scale = (1u64 << 48) as f64;
        let top = (1u64 << 48) - 1;
        let chances = [
            0.0,
            f64::MIN_POSITIVE,
            1e-300,
            1.0 / scale,
            1.5 / scale,
            1e-9,
            0.001,
            0.02,
            0.15,
            0.3,
            0.333333,
            1.0 / 3.0,
            0.5,
            0.5 - f64::EPSILON,
            0.999999,
            1.0 - f64::EPSILON / 2.0,
            top as f64 / scale,
            1.0,
            1.5,
        ];
        for p in chances {
            let near = (p * scale).min(top as f64) as u64;
            let mut edges = vec![0, 1, 2, top - 1, top];
            edges.extend((near.saturating_sub(3)..=near + 3).filter(|x| *x <= top));
            for x in edges {
                let exact = x as f64 / scale < p;
                assert_eq!(at(x).hits(Chance::new(p)), exact, "x = {x}, p = {p}");
            }
        }
    }

    #[test]
    fn whole_numbers_are_exactly_those_of_double_precision() {
        let top = (1u64 << 48) - 1;
        for n in [3u64, 4] {
            for k in 0..n {
                let edge = k * (top + 1) / n;
                for x in edge.saturating_sub(2)..=edge + 2 {
                    let u = x as f64 / (1u64 << 48) as f64;
                    assert_eq!(at(x).one_of(n), (u * n as f64) as u8, "x = {x}, n = {n}");
                    assert_eq!(
                        at(x).one_of(n) + 1,
                        (u * n as f64 + 1.0) as u8,
                        "x = {x}, n = {n}"
                    );
                }
            }
            assert_eq!(at(top).one_of(n), n as u8 - 1);
        }
        assert!(at((1 << 47) - 1).below_half() && !at(1 << 47).below_half());
    }

    #[test]
    fn the_first_draws_are_those_of_the_recurrence() {
        // From the recurrence by hand for the seed 0: x0 = 0x330E.
        let mut x = 0x330Eu128;
        let mut rng = Rng::new(0);
        for _ in 0..1000 {
            x = (x * 0x5_DEEC_E66D + 0xB) % (1 << 48);
            assert_eq!(rng.draw(), at(x as u64));
        }
    }

    #[test]
    fn runs_of_draws_are_the_same_as_single_ones() {
        for p in [0.0, 0.003, 0.02, 0.5, 0.98, 1.0] {
            let chance = Chance::new(p);
            let mut single = Rng::new(7);
            let mut run = Rng::new(7);
            for count in (0..=64).chain([1, 64, 7, 8, 9]) {
                let expected = (0..count).fold(0u64, |mask, i| {
                    mask | (u64::from(single.draw().hits(chance)) << i)
                });
                assert_eq!(
                    run.hits(chance, count),
                    expected,
                    "p = {p}, count = {count}"
                );
            }
            for limit in [0, 1, 5, 8, 16, 100, 333] {
                let expected = (0..limit).find(|_| single.draw().hits(chance));
                assert_eq!(
                    run.misses(chance, limit),
                    expected,
                    "p = {p}, limit = {limit}"
                );
            }
            assert_eq!(single.draw(), run.draw());
        }
    }
}
