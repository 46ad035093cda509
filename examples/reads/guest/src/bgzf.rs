//! BGZF: gzip in blocks that can be made apart, as section 4.1 of the SAM specification has it
//! (<https://samtools.github.io/hts-specs/SAMv1.pdf>). A block is a member of gzip (RFC 1952) of at most
//! 64 KiB that tells its size in a field of its own.
//!
//! Our blocks have one property more: what is deflated ends with a whole byte, and an empty last part
//! of two bytes follows. So they can be joined to one member without being unpacked.

use std::fmt;

use flate2::{Compress, Compression, FlushCompress, Status};

/// Bytes that a block is made of at most: then also what cannot be compressed stays within 64 KiB.
pub const MOST: usize = 0xff00;

/// The block without content that says that the file is whole.
pub const END: [u8; 28] = [
    0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0, 0, 0,
    0, 0,
];

/// What a block begins with: gzip's head without a time, and with the field `BC` of two bytes.
const HEAD: [u8; 16] = *END.first_chunk().expect("it is longer");

/// The empty last part of what is deflated.
pub const LAST: [u8; 2] = [3, 0];

/// Bytes of a block's size, less one.
const SIZE: usize = 2;

/// The longest block.
const LONGEST: usize = 1 << 16;

/// How hard zlib tries. Of a million pairs of reads, which are 421 MB, a core of a server makes 114 MB in
/// 1.4 s at level 1, 77 MB in 2.3 s at level 2, 73 MB in 3.1 s at level 3, and 70 MB in 5.1 s at level 4.
const LEVEL: u32 = 2;

/// Makes blocks, with some hundred kilobytes of memory that are used again for each.
pub struct Packer(Compress);

impl Packer {
    /// One for any number of blocks.
    pub fn new() -> Self {
        Self(Compress::new(Compression::new(LEVEL), false))
    }

    /// The blocks of these bytes: as many as are full, and one for the rest.
    pub fn pack(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut blocks = Vec::new();
        for content in bytes.chunks(MOST) {
            self.block(content, &mut blocks);
        }
        blocks
    }

    fn block(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&HEAD);
        out.extend_from_slice(&[0; SIZE]);
        out.reserve(LONGEST);
        self.0.reset();
        let status = self.0.compress_vec(content, out, FlushCompress::Sync);
        // zlib adds less than 40 bytes to so many, and where there is room left it is done.
        assert!(
            matches!(status, Ok(Status::Ok))
                && self.0.total_in() == content.len() as u64
                && out.len() < out.capacity(),
            "{} bytes were not deflated: {status:?}",
            content.len()
        );
        out.extend_from_slice(&LAST);
        out.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
        out.extend_from_slice(&(content.len() as u32).to_le_bytes());
        let size = out.len() - start;
        assert!(size <= LONGEST, "a block of {size} bytes");
        out[start + HEAD.len()..][..SIZE].copy_from_slice(&((size - 1) as u16).to_le_bytes());
    }
}

impl Default for Packer {
    fn default() -> Self {
        Self::new()
    }
}

/// A block of a [`Packer`], taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The deflated content, up to a whole byte and without [`LAST`].
    pub deflated: &'a [u8],
    /// The content's checksum.
    pub checksum: u32,
    /// The content's length in bytes.
    pub length: u32,
    /// The block's own.
    pub size: usize,
}

impl<'a> Block<'a> {
    /// The block that bytes begin with; `None` if it is not all there.
    ///
    /// # Errors
    /// If it is no block of a [`Packer`].
    pub fn first(bytes: &'a [u8]) -> Result<Option<Self>, NotOurs> {
        let head = bytes.len().min(HEAD.len());
        if bytes[..head] != HEAD[..head] {
            return Err(NotOurs);
        }
        let Some(size) = bytes[head..].first_chunk::<SIZE>() else {
            return Ok(None);
        };
        let size = usize::from(u16::from_le_bytes(*size)) + 1;
        let Some(block) = bytes.get(..size) else {
            return Ok(None);
        };
        let rest = block.get(HEAD.len() + SIZE..).ok_or(NotOurs)?;
        let (rest, length) = rest.split_last_chunk().ok_or(NotOurs)?;
        let (rest, checksum) = rest.split_last_chunk().ok_or(NotOurs)?;
        Ok(Some(Self {
            deflated: rest.strip_suffix(&LAST).ok_or(NotOurs)?,
            checksum: u32::from_le_bytes(*checksum),
            length: u32::from_le_bytes(*length),
            size,
        }))
    }
}

/// Bytes are no block of a [`Packer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOurs;

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what should be a block of BGZF is none, or was made by another program")
    }
}

impl std::error::Error for NotOurs {}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use flate2::read::{GzDecoder, MultiGzDecoder};

    use super::*;

    /// Bytes that cannot be compressed.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 42_u64;
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    /// Bytes like those of reads.
    fn letters(count: usize) -> Vec<u8> {
        let bases = noise(count).into_iter();
        bases.map(|byte| b"ACGT"[usize::from(byte & 3)]).collect()
    }

    /// Blocks as the specification describes them, each with the bytes that it says it has.
    fn blocks(mut bytes: &[u8]) -> Vec<(&[u8], usize)> {
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[..4], [31, 139, 8, 4]);
            assert_eq!(bytes[10..16], [6, 0, 66, 67, 2, 0]);
            let size = usize::from(u16::from_le_bytes([bytes[16], bytes[17]])) + 1;
            let (block, rest) = bytes.split_at(size);
            let length = block.last_chunk().expect("a length");
            blocks.push((block, u32::from_le_bytes(*length) as usize));
            bytes = rest;
        }
        blocks
    }

    #[test]
    fn what_is_packed_comes_back() {
        let mut packer = Packer::new();
        for content in [
            Vec::new(),
            b"A".to_vec(),
            letters(MOST - 1),
            letters(MOST),
            letters(MOST + 1),
            vec![b'2'; 3 * MOST],
            noise(3 * MOST + 17),
            letters(1_000_000),
        ] {
            let packed = packer.pack(&content);
            let blocks = blocks(&packed);
            assert_eq!(blocks.len(), content.len().div_ceil(MOST));
            for ((block, length), part) in blocks.into_iter().zip(content.chunks(MOST)) {
                let mut found = Vec::new();
                GzDecoder::new(block)
                    .read_to_end(&mut found)
                    .expect("a member");
                assert!(found == part && length == part.len());
            }
            let mut whole = Vec::new();
            MultiGzDecoder::new([packed.as_slice(), &END].concat().as_slice())
                .read_to_end(&mut whole)
                .expect("gzip");
            assert!(whole == content);
        }
        // Two bits a base, and what codes take.
        let text = letters(1_000_000);
        assert!(packer.pack(&text).len() * 3 < text.len());
    }

    #[test]
    fn gzip_reads_it() {
        let content = letters(200_000);
        let mut gzip = Command::new("gzip")
            .arg("-dc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("gzip is part of every Debian");
        let mut input = gzip.stdin.take().expect("a pipe");
        let packed = Packer::new().pack(&content);
        let writing = std::thread::spawn(move || {
            input.write_all(&packed)?;
            input.write_all(&END)
        });
        let output = gzip.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout == content);
        writing.join().expect("no panic").expect("all is read");
    }

    #[test]
    fn a_block_is_taken_apart() {
        let content = letters(1000);
        let packed = Packer::new().pack(&content);
        for end in 0..packed.len() {
            assert_eq!(Block::first(&packed[..end]), Ok(None), "{end} bytes");
        }
        let followed = [packed.as_slice(), b"and more"].concat();
        let block = Block::first(&followed).expect("ours").expect("all of it");
        assert_eq!((block.size, block.length), (packed.len(), 1000));
        assert_eq!(block.checksum, crc32fast::hash(&content));
        let deflated = [block.deflated, &LAST].concat();
        let mut found = Vec::new();
        flate2::read::DeflateDecoder::new(deflated.as_slice())
            .read_to_end(&mut found)
            .expect("deflated bytes");
        assert_eq!(found, content);
    }

    #[test]
    fn what_others_made_is_refused() {
        let packed = Packer::new().pack(b"ACGT");
        let changed = |at: usize, byte: u8| {
            let mut changed = packed.clone();
            changed[at] = byte;
            changed
        };
        for (bytes, what) in [
            (b"@read".to_vec(), "no gzip"),
            (changed(3, 0), "gzip without a field"),
            (changed(12, b'X'), "another field"),
            (changed(16, 17), "a size without room for its head"),
            (changed(16, 27), "a size without room for an end"),
            (changed(packed.len() - 9, 1), "another last part"),
        ] {
            assert_eq!(Block::first(&bytes), Err(NotOurs), "{what}");
        }
    }
}
