//! How many of the pairs a sequence gets.
//!
//! wgsim computes `length / total * pairs + 0.5` in the 80-bit numbers of the x87, and cuts the
//! fraction off. Where the exact value lies on a half, the roundings decide, so they are done here as
//! there: 64 bits of significand, to the nearest, ties to even.

/// A positive number `significand * 2^exponent` with the significand's top bit set, or zero.
#[derive(Clone, Copy)]
struct Extended {
    significand: u64,
    exponent: i32,
}

/// `value * 2^exponent`, with something nonzero but less than one unit below it if `more`.
fn round(value: u128, more: bool, exponent: i32) -> Extended {
    let bits = 128 - value.leading_zeros() as i32;
    if bits == 0 {
        return Extended {
            significand: 0,
            exponent: 0,
        };
    }
    if bits <= 64 {
        return Extended {
            significand: (value << (64 - bits)) as u64,
            exponent: exponent - (64 - bits),
        };
    }
    let cut = bits - 64;
    let mut significand = value >> cut;
    let rest = value & ((1 << cut) - 1);
    let half = 1u128 << (cut - 1);
    let mut exponent = exponent + cut;
    if rest > half || (rest == half && (more || significand & 1 == 1)) {
        significand += 1;
        if significand >> 64 == 1 {
            significand >>= 1;
            exponent += 1;
        }
    }
    Extended {
        significand: significand as u64,
        exponent,
    }
}

/// The share of `pairs` (below 2^32) of a sequence of `length` bases out of `total` (below 2^62).
pub fn share(length: u64, total: u64, pairs: u32) -> u64 {
    if length == 0 || total == 0 {
        return 0;
    }
    let shift = u128::from(length).leading_zeros();
    let dividend = u128::from(length) << shift;
    let total = u128::from(total);
    let ratio = round(
        dividend / total,
        !dividend.is_multiple_of(total),
        -(shift as i32),
    );
    let product = round(
        u128::from(ratio.significand) * u128::from(pairs),
        false,
        ratio.exponent,
    );
    // A fixed point 70 bits from the right has room for 32 bits of pairs and for every bit that can
    // take part in the rounding.
    const POINT: i32 = 70;
    let shift = product.exponent + POINT;
    let significand = u128::from(product.significand);
    let (fixed, more) = if shift >= 0 {
        (significand << shift, false)
    } else if shift > -64 {
        (
            significand >> -shift,
            significand & ((1 << -shift) - 1) != 0,
        )
    } else {
        (0, significand != 0)
    };
    let sum = round(fixed + (1 << (POINT - 1)), more, -POINT);
    if sum.exponent >= 0 {
        sum.significand << sum.exponent
    } else {
        sum.significand
            .checked_shr(sum.exponent.unsigned_abs())
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn plain_shares() {
        assert_eq!(share(48_502, 48_502, 1000), 1000);
        assert_eq!(share(1, 2, 4), 2);
        assert_eq!(share(1, 3, 100), 33);
        assert_eq!(share(2, 3, 100), 67);
        assert_eq!(share(0, 3, 100), 0);
        assert_eq!(share(1, u64::MAX >> 3, u32::MAX), 0);
        assert_eq!(share(1 << 31, 1 << 31, u32::MAX), u64::from(u32::MAX));
    }

    #[test]
    fn halves_go_up_when_the_quotient_is_exact() {
        assert_eq!(share(1, 2, 1), 1);
        assert_eq!(share(1, 4, 2), 1);
        assert_eq!(share(1, 8, 3), 0);
    }
}
