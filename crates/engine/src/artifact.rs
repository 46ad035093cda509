//! Compiled code that this installation made, and the proof that it did.
//!
//! Compiled code runs outside the sandbox's own checks: mapping bytes that
//! somebody else made hands them the process. So artefacts carry a keyed hash
//! (BLAKE3) under a key that only this installation has, over the code and over
//! what it is (the digest of the source, Wasmtime's version, the target and the
//! configuration). The only way to an [`Artifact`] is [`ArtifactKey::open`].
//!
//! On disk: 8 bytes of magic, 32 of hash, the length of the identity as a
//! little-endian u32, the identity, the code.

use std::ops::Range;

use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"STRNDAR1";
const HASH: Range<usize> = 8..40;
const LENGTH: Range<usize> = 40..44;

/// Why bytes are not an artefact of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArtifactError {
    /// Too short, or not an artefact at all.
    #[error("it is not an artefact, or cut short")]
    Malformed,
    /// Made by another installation, or changed since.
    #[error("its hash does not match: another installation made it, or it was changed")]
    Tampered,
    /// Ours, but made from other source, or for another engine.
    #[error("it was made from other source or for another engine")]
    OtherIdentity,
}

/// What an artefact was made from and for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// BLAKE3 of the source as it was given, in hexadecimal.
    pub source: String,
    /// Wasmtime's version, target and configuration, as one hash.
    pub engine: String,
}

/// The secret under which this installation vouches for its artefacts.
#[derive(Clone)]
pub struct ArtifactKey([u8; 32]);

impl ArtifactKey {
    /// A key from 32 bytes of randomness.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Seals code that the compiler has just made.
    pub fn seal(&self, identity: &Identity, code: &[u8]) -> Vec<u8> {
        let identity = identity_bytes(identity);
        let mut bytes = Vec::with_capacity(LENGTH.end + identity.len() + code.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 32]);
        // An identity is a few hundred bytes.
        bytes.extend_from_slice(&(identity.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&identity);
        bytes.extend_from_slice(code);
        let hash = blake3::keyed_hash(&self.0, &bytes[LENGTH.start..]);
        bytes[HASH].copy_from_slice(hash.as_bytes());
        bytes
    }

    /// Checks sealed bytes.
    ///
    /// # Errors
    /// When the bytes are not an artefact, were not sealed with this key, or are
    /// of another identity.
    pub fn open(&self, bytes: Vec<u8>, expected: &Identity) -> Result<Artifact, ArtifactError> {
        if bytes.len() < LENGTH.end || !bytes.starts_with(MAGIC) {
            return Err(ArtifactError::Malformed);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(&bytes[HASH]);
        // Comparing `Hash` values takes constant time.
        if blake3::Hash::from_bytes(hash) != blake3::keyed_hash(&self.0, &bytes[LENGTH.start..]) {
            return Err(ArtifactError::Tampered);
        }
        let mut length = [0; 4];
        length.copy_from_slice(&bytes[LENGTH]);
        let start = LENGTH.end + u32::from_le_bytes(length) as usize;
        let identity = bytes
            .get(LENGTH.end..start)
            .ok_or(ArtifactError::Malformed)?;
        if identity != identity_bytes(expected) {
            return Err(ArtifactError::OtherIdentity);
        }
        Ok(Artifact { bytes, start })
    }

    /// A hash of other bytes that only this installation can make. It depends on their
    /// purpose, too, so that what is made for one proves nothing for another, nor for
    /// artefacts. Comparing two takes constant time.
    pub fn authenticate(&self, purpose: &str, bytes: &[u8]) -> blake3::Hash {
        let key = blake3::derive_key(purpose, &self.0);
        blake3::keyed_hash(&key, bytes)
    }
}

impl std::fmt::Debug for ArtifactKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ArtifactKey(…)")
    }
}

fn identity_bytes(identity: &Identity) -> Vec<u8> {
    format!("{}\n{}\n", identity.source, identity.engine).into_bytes()
}

/// Code that this installation compiled. Its bytes cannot change any more.
#[derive(Debug)]
pub struct Artifact {
    bytes: Vec<u8>,
    start: usize,
}

impl Artifact {
    pub(crate) fn code(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            source: "abc".into(),
            engine: "48".into(),
        }
    }

    #[test]
    fn what_was_sealed_opens() {
        let key = ArtifactKey::new([7; 32]);
        let sealed = key.seal(&identity(), b"code");
        let artifact = key.open(sealed, &identity()).expect("opens");
        assert_eq!(artifact.code(), b"code");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let key = ArtifactKey::new([7; 32]);
        let sealed = key.seal(&identity(), b"code");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = key.open(changed, &identity()).expect_err("refuses");
            let expected = if bit < 64 {
                ArtifactError::Malformed
            } else {
                ArtifactError::Tampered
            };
            assert_eq!(error, expected, "bit {bit}");
        }
    }

    #[test]
    fn every_length_is_survived() {
        let key = ArtifactKey::new([7; 32]);
        let sealed = key.seal(&identity(), b"code");
        for length in 0..sealed.len() {
            assert!(key.open(sealed[..length].to_vec(), &identity()).is_err());
        }
    }

    #[test]
    fn another_key_or_identity_does_not_open() {
        let key = ArtifactKey::new([7; 32]);
        let sealed = key.seal(&identity(), b"code");
        let other = ArtifactKey::new([8; 32]);
        assert_eq!(
            other
                .open(sealed.clone(), &identity())
                .expect_err("refuses"),
            ArtifactError::Tampered
        );
        let mut newer = identity();
        newer.engine = "49".into();
        assert_eq!(
            key.open(sealed, &newer).expect_err("refuses"),
            ArtifactError::OtherIdentity
        );
    }
}
