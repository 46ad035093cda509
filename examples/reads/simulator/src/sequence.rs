//! A sequence in two bits a base, and its loading from the bytes of a FASTA file.

use std::fmt;
use std::ops::Range;

use crate::fai::Entry;
use crate::nmask::NMask;

/// Bases in a packed word.
const PER_WORD: usize = 32;

/// Words before the first base and after the last one, so that a window may begin before the sequence
/// or end behind it.
const PADDING: usize = 1;

/// The packed sequence: A, C, G, T as 0 to 3, everything else marked as N.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    words: Vec<u64>,
    len: usize,
    n: NMask,
}

impl Sequence {
    /// An empty sequence with room for `len` bases, so that nothing grows (and moves) while loading.
    pub fn with_capacity(len: usize) -> Self {
        let mut sequence = Self::default();
        sequence.reserve(len);
        sequence
    }

    /// Its length in bases.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bases.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The base at `i` (from 0): 0 to 3 for A, C, G, T, and 4 for anything else.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    #[inline]
    pub fn base(&self, i: usize) -> u8 {
        assert!(i < self.len, "base {i} of {}", self.len);
        if self.n.is_marked(i) {
            return 4;
        }
        (self.words[i / PER_WORD + PADDING] >> (i % PER_WORD * 2)) as u8 & 3
    }

    /// The 32 bases from `start`, the first in the lowest bits; what is N or outside is arbitrary.
    /// `start` may be as low as -32 and at most the length.
    #[inline]
    pub(crate) fn window(&self, start: isize) -> u64 {
        let from = (start + (PADDING * PER_WORD) as isize) as usize;
        let (word, shift) = (from / PER_WORD, (from % PER_WORD * 2) as u32);
        // Two shifts, because a shift by 64 would be none.
        (self.words[word] >> shift) | ((self.words[word + 1] << 1) << (63 - shift))
    }

    /// Where its bases other than A, C, G and T are.
    pub(crate) fn n(&self) -> &NMask {
        &self.n
    }

    /// Bytes of linear memory that `len` bases take at most.
    pub(crate) fn memory(len: u64) -> u64 {
        let block = crate::nmask::BLOCK as u64;
        let words = (len / PER_WORD as u64 + 1 + 3 * PADDING as u64) * 8;
        // A mixed block has a bit a base, a word in the list of blocks, one in the list of bits (which
        // may be twice as long as it need be), and what the allocator adds.
        words + (len / block + 1) * (block / 8 + 4 + 8 + 16)
    }

    fn clear(&mut self) {
        self.words.clear();
        self.n.clear();
        self.len = 0;
    }

    fn reserve(&mut self, len: usize) {
        let words = len / PER_WORD + 1 + 3 * PADDING;
        self.words
            .reserve_exact(words.saturating_sub(self.words.len()));
        self.n.reserve(len);
    }
}

/// Why bytes are not the sequence that the index promises.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// A byte that cannot be where it is: the index belongs to another file.
    Mismatch {
        /// The byte's offset in the file.
        offset: u64,
        /// The byte.
        found: u8,
        /// What should be there: `a base` or `a line end`.
        expected: &'static str,
    },
    /// The bytes ended early.
    Short {
        /// Bases that are there.
        found: u64,
        /// Bases of the sequence.
        expected: u64,
    },
    /// More bytes were given than the sequence has.
    Long {
        /// The offset behind the sequence's last base.
        offset: u64,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch {
                offset,
                found,
                expected,
            } => write!(
                f,
                "the file and its index differ: byte {offset} should be {expected} but is \"{}\"; \
                 build the index again",
                found.escape_ascii()
            ),
            Self::Short { found, expected } => write!(
                f,
                "the file ended after {found} of {expected} bases; it was cut, or its index belongs to \
                 another file"
            ),
            Self::Long { offset } => {
                write!(
                    f,
                    "bytes behind the sequence's end (offset {offset}) were given"
                )
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// Takes the bytes of a sequence as they come, cut anywhere, and packs them.
///
/// The first byte is the one at [`Entry::offset`], the last one that of [`Entry::last_byte`].
#[derive(Debug)]
pub struct Loader {
    sequence: Sequence,
    /// Packed bases that do not fill a word yet.
    pending: u64,
    expected: usize,
    line_bases: u64,
    line_width: u64,
    /// Bytes of the current line that are done.
    in_line: u64,
    offset: u64,
}

impl Loader {
    /// A loader for a sequence, into the memory of an earlier one (or of
    /// [`Sequence::with_capacity`]): freed memory may be too scattered for the next large sequence.
    pub fn new(entry: &Entry, reuse: Sequence) -> Self {
        Self::part(entry, 0..entry.length, reuse)
    }

    /// A loader for some bases of a sequence. The first byte is the one at [`Entry::offset_of`] the
    /// first of them, the last byte that of the last.
    pub fn part(entry: &Entry, bases: Range<u64>, mut reuse: Sequence) -> Self {
        let expected = (bases.end - bases.start) as usize;
        reuse.clear();
        reuse.reserve(expected);
        reuse.words.extend([0; PADDING]);
        Self {
            sequence: reuse,
            pending: 0,
            expected,
            line_bases: entry.line_bases,
            line_width: entry.line_width,
            in_line: bases.start.checked_rem(entry.line_bases).unwrap_or(0),
            offset: entry.offset_of(bases.start),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`LoadError::Mismatch`] or [`LoadError::Long`].
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), LoadError> {
        while !bytes.is_empty() {
            let left = self.expected - self.sequence.len;
            if left == 0 {
                return Err(LoadError::Long {
                    offset: self.offset,
                });
            }
            let in_bases = self.line_bases.saturating_sub(self.in_line);
            let taken = if in_bases > 0 {
                let take = in_bases.min(bytes.len() as u64).min(left as u64) as usize;
                self.bases(&bytes[..take])?;
                take
            } else {
                if !matches!(bytes[0], b'\n' | b'\r') {
                    return Err(self.mismatch(0, bytes[0], "a line end"));
                }
                1
            };
            self.offset += taken as u64;
            self.in_line += taken as u64;
            if self.in_line >= self.line_width {
                self.in_line = 0;
            }
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// The sequence, when all its bytes were given.
    ///
    /// # Errors
    /// [`LoadError::Short`].
    pub fn finish(mut self) -> Result<Sequence, LoadError> {
        if self.sequence.len < self.expected {
            return Err(LoadError::Short {
                found: self.sequence.len as u64,
                expected: self.expected as u64,
            });
        }
        self.sequence.words.push(self.pending);
        self.sequence.words.extend([0; 2 * PADDING]);
        self.sequence.n.finish(self.sequence.len);
        Ok(self.sequence)
    }

    fn bases(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let (eights, rest) = bytes.as_chunks::<8>();
        for (k, eight) in eights.iter().enumerate() {
            match pack_eight(u64::from_le_bytes(*eight)) {
                Some(codes) => self.append(codes, 8),
                None => self.one_by_one(k * 8, eight)?,
            }
        }
        self.one_by_one(eights.len() * 8, rest)
    }

    fn one_by_one(&mut self, done: usize, bytes: &[u8]) -> Result<(), LoadError> {
        for (k, byte) in bytes.iter().enumerate() {
            match CODES[*byte as usize] {
                INVALID => return Err(self.mismatch(done + k, *byte, "a base")),
                4 => {
                    self.sequence.n.mark(self.sequence.len);
                    self.append(0, 1);
                }
                code => self.append(u64::from(code), 1),
            }
        }
        Ok(())
    }

    /// Appends `count` (at most 8) packed bases.
    #[inline]
    fn append(&mut self, codes: u64, count: usize) {
        let at = self.sequence.len % PER_WORD * 2;
        self.pending |= codes << at;
        self.sequence.len += count;
        if at + count * 2 >= 64 {
            self.sequence.words.push(self.pending);
            self.pending = (codes >> 1) >> (63 - at);
        }
    }

    fn mismatch(&self, ahead: usize, found: u8, expected: &'static str) -> LoadError {
        LoadError::Mismatch {
            offset: self.offset + ahead as u64,
            found,
            expected,
        }
    }
}

const INVALID: u8 = u8::MAX;

/// The code of a byte: 0 to 3, 4 for other letters and the few marks that stand for a base, or
/// [`INVALID`]. A gap (`-`) belongs to an alignment: wgsim would write a NUL where it deletes one.
const CODES: [u8; 256] = {
    let mut codes = [INVALID; 256];
    let mut letter = 0;
    while letter < 26 {
        codes[b'A' as usize + letter] = 4;
        codes[b'a' as usize + letter] = 4;
        letter += 1;
    }
    let marks = b"*.?";
    let mut k = 0;
    while k < marks.len() {
        codes[marks[k] as usize] = 4;
        k += 1;
    }
    let acgt = b"ACGT";
    let mut code = 0;
    while code < 4 {
        codes[acgt[code] as usize] = code as u8;
        codes[acgt[code].to_ascii_lowercase() as usize] = code as u8;
        code += 1;
    }
    codes
};

/// Whether a byte can stand for a base in a FASTA file.
pub(crate) fn is_base(byte: u8) -> bool {
    CODES[byte as usize] != INVALID
}

/// Packs eight letters at once into 16 bits, if all are of ACGTacgt.
#[inline]
fn pack_eight(letters: u64) -> Option<u64> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let upper = letters & !(0x20 * ONES);
    // Bits 1 and 2 of the letters are 0, 1, 3, 2 for A, C, G, T.
    let gray = (upper >> 1) & (3 * ONES);
    let is_t = (gray >> 1) & !gray & ONES;
    // A, C and G are 0x41 + 2 * gray; T is 0x54, where that formula gives 0x45.
    if upper != (0x41 * ONES + 2 * gray) ^ (0x11 * is_t) {
        return None;
    }
    let codes = gray ^ ((gray >> 1) & ONES);
    let pairs = (codes | (codes >> 6)) & 0x000F_000F_000F_000F;
    let fours = (pairs | (pairs >> 12)) & 0x0000_00FF_0000_00FF;
    Some((fours | (fours >> 24)) & 0xFFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(length: u64, line_bases: u64, line_width: u64) -> Entry {
        Entry {
            name: "s".into(),
            length,
            offset: 10,
            line_bases,
            line_width,
        }
    }

    fn load(text: &[u8], entry: &Entry, piece: usize) -> Result<Sequence, LoadError> {
        let mut loader = Loader::new(entry, Sequence::default());
        for bytes in text.chunks(piece) {
            loader.push(bytes)?;
        }
        loader.finish()
    }

    #[test]
    fn bases_come_out_as_they_went_in_however_the_bytes_are_cut() {
        let letters: Vec<u8> = (0..1000usize)
            .map(|i| b"ACGTacgtNnRACGTTGCA.ac"[(i * i / 7 + i) % 22])
            .collect();
        for (width, end) in [(1, "\n"), (7, "\r\n"), (60, "\n"), (61, "\n"), (1000, "\n")] {
            let text = letters
                .chunks(width)
                .map(|line| String::from_utf8(line.to_vec()).expect("ASCII"))
                .collect::<Vec<_>>()
                .join(end);
            let entry = entry(1000, width as u64, (width + end.len()) as u64);
            for piece in [1, 2, 9, 64, 333, 4096] {
                let sequence = load(text.as_bytes(), &entry, piece).expect("well formed");
                for (i, letter) in letters.iter().enumerate() {
                    let code = b"ACGT"
                        .iter()
                        .position(|b| *b == letter.to_ascii_uppercase());
                    assert_eq!(
                        sequence.base(i),
                        code.unwrap_or(4) as u8,
                        "{i}, {width}, {piece}"
                    );
                }
                for start in -32..=1000isize {
                    let window = sequence.window(start);
                    for k in 0..32 {
                        let i = start + k;
                        if (0..1000).contains(&i) && sequence.base(i as usize) < 4 {
                            assert_eq!((window >> (2 * k)) as u8 & 3, sequence.base(i as usize));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn eight_letters_are_taken_together_only_if_all_are_bases() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut letters = *b"GATTACAC";
                letters[place] = byte;
                let expected = letters
                    .iter()
                    .enumerate()
                    .try_fold(0u64, |sum, (k, letter)| {
                        let code = CODES[*letter as usize];
                        (code < 4).then(|| sum | (u64::from(code) << (2 * k)))
                    });
                assert_eq!(
                    pack_eight(u64::from_le_bytes(letters)),
                    expected,
                    "{letters:?}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_index_is_noticed() {
        let text = b"ACGT\nACGT\nAC";
        assert_eq!(load(text, &entry(10, 4, 5), 5).map(|s| s.len()), Ok(10));
        let mismatch = |offset, found, expected| {
            Err(LoadError::Mismatch {
                offset,
                found,
                expected,
            })
        };
        assert_eq!(
            load(text, &entry(10, 5, 6), 5).map(|s| s.len()),
            mismatch(14, b'\n', "a base")
        );
        assert_eq!(
            load(text, &entry(10, 3, 4), 5).map(|s| s.len()),
            mismatch(13, b'T', "a line end")
        );
        assert_eq!(
            load(b"AC>T", &entry(4, 4, 5), 5).map(|s| s.len()),
            mismatch(12, b'>', "a base")
        );
        assert_eq!(
            load(text, &entry(11, 4, 5), 5).map(|s| s.len()),
            Err(LoadError::Short {
                found: 10,
                expected: 11
            })
        );
        assert_eq!(
            load(text, &entry(9, 4, 5), 5).map(|s| s.len()),
            Err(LoadError::Long { offset: 21 })
        );
        let shown = load(b"AC\x00T", &entry(4, 4, 5), 5)
            .expect_err("NUL")
            .to_string();
        assert_eq!(
            shown,
            "the file and its index differ: byte 12 should be a base but is \"\\x00\"; build the index again"
        );
    }
}
