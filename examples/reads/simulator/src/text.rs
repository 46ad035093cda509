//! Letters and numbers as text.

/// The letters of the codes 0 to 3.
pub(crate) const LETTERS: [u8; 4] = *b"ACGT";

/// The letter of a code, N for 4.
pub(crate) fn letter(code: u8) -> u8 {
    LETTERS.get(usize::from(code)).copied().unwrap_or(b'N')
}

/// The letters of four packed bases, the first lowest.
pub(crate) const FORWARD: [[u8; 4]; 256] = table(false);

/// The letters of the complements of four packed bases, the last one first.
pub(crate) const REVERSE: [[u8; 4]; 256] = table(true);

const fn table(reverse: bool) -> [[u8; 4]; 256] {
    let mut table = [[0; 4]; 256];
    let mut packed = 0;
    while packed < 256 {
        let mut k = 0;
        while k < 4 {
            let code = packed >> (2 * k) & 3;
            if reverse {
                table[packed][3 - k] = LETTERS[3 - code];
            } else {
                table[packed][k] = LETTERS[code];
            }
            k += 1;
        }
        packed += 1;
    }
    table
}

/// The letter that a wrongly read base shows: the next one of A, C, G, T, around.
#[inline]
pub(crate) fn misread(letter: u8) -> u8 {
    b"CGAT"[usize::from(letter >> 1 & 3)]
}

/// Digits of a number, the first at the end of the array's unused part.
#[inline]
fn digits(mut number: u64, base: u64, text: &mut [u8; 20]) -> usize {
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = b"0123456789abcdef"[(number % base) as usize];
        number /= base;
        if number == 0 {
            return start;
        }
    }
}

/// Appends a number in decimal.
#[inline]
pub(crate) fn push_decimal(out: &mut Vec<u8>, number: u64) {
    let mut text = [0; 20];
    let start = digits(number, 10, &mut text);
    text[start..].iter().for_each(|digit| out.push(*digit));
}

/// Appends a number in lowercase hexadecimal.
#[inline]
pub(crate) fn push_hexadecimal(out: &mut Vec<u8>, number: u64) {
    let mut text = [0; 20];
    let start = digits(number, 16, &mut text);
    text[start..].iter().for_each(|digit| out.push(*digit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_the_standard_library_writes_them() {
        for number in [0, 7, 9, 10, 15, 16, 99, 100, 4_294_967_295, u64::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, number);
            out.push(b' ');
            push_hexadecimal(&mut out, number);
            assert_eq!(out, format!("{number} {number:x}").into_bytes());
        }
    }

    #[test]
    fn letters_follow_each_other() {
        let next: Vec<u8> = b"ACGT".iter().map(|letter| misread(*letter)).collect();
        assert_eq!(next, b"CGTA");
        assert_eq!(FORWARD[0b11_10_01_00], *b"ACGT");
        assert_eq!(FORWARD[0b00_00_00_01], *b"CAAA");
        assert_eq!(REVERSE[0b00_00_00_01], *b"TTTG");
    }
}
