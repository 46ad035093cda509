//! Bytes that tell their position, so that a lost or repeated piece shows.

/// A long period that is prime: pieces of any power of two begin at different values.
const PERIOD: u64 = 251;

/// The pieces of a body of a given length: byte `i` is `i` modulo 251.
#[derive(Debug)]
pub struct Pattern {
    position: u64,
    length: u64,
}

impl Pattern {
    /// The largest piece, in bytes.
    pub const PIECE: u64 = 64 << 10;

    /// A body of `length` bytes.
    pub fn new(length: u64) -> Self {
        Pattern {
            position: 0,
            length,
        }
    }
}

impl Iterator for Pattern {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.position == self.length {
            return None;
        }
        let end = self.length.min(self.position + Self::PIECE);
        let piece = (self.position..end)
            .map(|position| (position % PERIOD) as u8)
            .collect();
        self.position = end;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_one_pattern() {
        let length = 2 * Pattern::PIECE + 3;
        let body: Vec<u8> = Pattern::new(length).flatten().collect();
        assert_eq!(body.len() as u64, length);
        for (position, byte) in body.iter().enumerate() {
            assert_eq!(u64::from(*byte), position as u64 % 251);
        }
    }

    #[test]
    fn nothing_has_no_pieces() {
        assert_eq!(Pattern::new(0).next(), None);
    }
}
