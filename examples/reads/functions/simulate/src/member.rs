//! One member of gzip (RFC 1952) of many blocks.
//!
//! A file of several members is gzip too, but as the coding of an answer over HTTP it is not safe:
//! browsers and wget leave out what follows the first member and say nothing, curl fails there.

use crc32fast::Hasher;
use reads_guest::bgzf::{Block, LAST, NotOurs};

/// What the member begins with: deflated, without a time or a name.
pub const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A member that is made. [`HEAD`] comes first, then what [`join`](Self::join) gives, and
/// [`end`](Self::end) last.
#[derive(Default)]
pub struct Member {
    /// The start of a block: less than 64 KiB.
    pending: Vec<u8>,
    /// Of all content.
    checksum: Hasher,
    /// Of all content, modulo 2^32.
    length: u32,
}

impl Member {
    /// Takes bytes of blocks, wherever they were cut, and gives what is in those that are whole.
    ///
    /// # Errors
    /// If they are no blocks.
    pub fn join(&mut self, bytes: &[u8]) -> Result<Vec<u8>, NotOurs> {
        self.pending.extend_from_slice(bytes);
        let mut deflated = Vec::with_capacity(self.pending.len());
        let mut taken = 0;
        while let Some(block) = Block::first(&self.pending[taken..])? {
            deflated.extend_from_slice(block.deflated);
            let length = block.length;
            let content = Hasher::new_with_initial_len(block.checksum, length.into());
            self.checksum.combine(&content);
            self.length = self.length.wrapping_add(length);
            taken += block.size;
        }
        self.pending.drain(..taken);
        Ok(deflated)
    }

    /// What the member ends with.
    ///
    /// # Errors
    /// If the last block is not whole.
    pub fn end(self) -> Result<Vec<u8>, NotOurs> {
        if !self.pending.is_empty() {
            return Err(NotOurs);
        }
        let mut end = LAST.to_vec();
        end.extend_from_slice(&self.checksum.finalize().to_le_bytes());
        end.extend_from_slice(&self.length.to_le_bytes());
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::bufread::GzDecoder;
    use reads_guest::bgzf::{MOST, Packer};

    use super::*;

    /// A member of the blocks of all parts, which arrive in pieces of so many bytes.
    fn joined(parts: &[Vec<u8>], piece: usize) -> Vec<u8> {
        let mut packer = Packer::new();
        let packed = parts.iter().map(|part| packer.pack(part));
        let mut member = Member::default();
        let mut bytes = HEAD.to_vec();
        for arrived in packed.collect::<Vec<_>>().concat().chunks(piece) {
            bytes.extend(member.join(arrived).expect("blocks"));
        }
        bytes.extend(member.end().expect("whole blocks"));
        bytes
    }

    #[test]
    fn many_blocks_are_one_member() {
        let text = |count: usize| -> Vec<u8> {
            let lines = (0..).flat_map(|k: usize| format!("@{k}\nACGTTGCA\n").into_bytes());
            lines.take(count).collect()
        };
        for parts in [
            vec![],
            vec![b"A".to_vec()],
            vec![text(3 * MOST + 1), Vec::new(), text(2), text(MOST)],
        ] {
            for piece in [1, 17, 18, 4096, 1 << 20] {
                let bytes = joined(&parts, piece);
                let mut decoder = GzDecoder::new(bytes.as_slice());
                let mut found = Vec::new();
                // It compares the checksum and the length too.
                decoder.read_to_end(&mut found).expect("a member");
                assert!(found == parts.concat());
                assert!(decoder.into_inner().is_empty(), "one member and no more");
            }
        }
    }

    #[test]
    fn what_is_no_block_or_cut_off_is_told() {
        assert_eq!(Member::default().join(b"@read"), Err(NotOurs));
        let packed = Packer::new().pack(b"ACGT");
        let mut member = Member::default();
        let (start, _) = packed.split_at(packed.len() - 1);
        assert_eq!(member.join(start), Ok(Vec::new()));
        assert_eq!(member.end(), Err(NotOurs));
    }
}
