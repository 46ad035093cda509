//! Signatures over the exact bytes of an invoice, in an envelope of their own.
//!
//! The envelope is [DSSE](https://github.com/secure-systems-lab/dsse/blob/master/envelope.md), with
//! Ed25519. What it says is signed as it is, groups, conditions and features too, so that nobody
//! between the author and the device can make it choose another alternative.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::document::{DocumentError, Format, MAX_INVOICE_BYTES};
use crate::keys::Bad;
use crate::signature::list;
use crate::{Document, Keyring, Role, SecretKey, Sha256};

/// What the payload of an [`Envelope`] of an invoice is.
pub const INVOICE_PAYLOAD_TYPE: &str = "application/vnd.strand.bindle.invoice.v1+toml";

/// Most signatures of an envelope. Each is over all of the payload.
const MAX_SIGNATURES: usize = 16;

/// Signed bytes, with their signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EnvelopeSignature {
    /// Which key it is to be verified with. That it is by that one is not believed.
    keyid: String,
    sig: String,
}

/// What an envelope says, and who stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The invoice, as it was signed.
    pub document: Document,
    /// The labels of the keys that signed it and are known in the role that was asked for, each
    /// once.
    pub by: Vec<String>,
}

/// An envelope is not good.
#[derive(Debug, Error)]
pub enum EnvelopeError {
    /// It is no envelope.
    #[error("the signed invoice cannot be read: {0}")]
    Read(String),
    /// The invoice is written in JSON.
    #[error("an envelope has an invoice in TOML, and this one is in JSON: write it in TOML")]
    Json,
    /// It is about something else.
    #[error("what is signed is `{0}`, not an invoice")]
    Type(String),
    /// No signature is by a known key.
    #[error("the exact invoice is not signed by a key that is known as {0}")]
    NoKnownKey(Role),
    /// It is signed by a known key, which is known as something else.
    #[error(
        "the exact invoice is signed by `{by}`, who is not trusted as {role}, but as {}",
        list(roles)
    )]
    NotItsRole {
        /// The key's label.
        by: String,
        /// As what it is to be known.
        role: Role,
        /// As what it is.
        roles: Vec<Role>,
    },
    /// A signature says that it is by a known key, but it is of something else.
    #[error("the signature of `{0}` is not of this exact invoice: one of them was changed")]
    Wrong(String),
    /// What is signed is no invoice.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl Envelope {
    /// Puts an invoice into an envelope, signed by this key. It says that its owner stands for it;
    /// as what, the keyring says of whoever reads it.
    ///
    /// # Errors
    /// An invoice in JSON: an envelope has one in TOML.
    pub fn sign(document: &Document, key: &SecretKey) -> Result<Self, EnvelopeError> {
        if document.format() != Format::Toml {
            return Err(EnvelopeError::Json);
        }
        let mut envelope = Self {
            payload: STANDARD.encode(document.bytes()),
            payload_type: INVOICE_PAYLOAD_TYPE.to_owned(),
            signatures: Vec::new(),
        };
        envelope.push(document.bytes(), key);
        Ok(envelope)
    }

    /// Signs it with one more key; what that has signed stays as it is.
    ///
    /// # Errors
    /// If what is in it is no invoice, or it has as many signatures as there may be.
    pub fn add(&mut self, key: &SecretKey) -> Result<(), EnvelopeError> {
        let payload = self.payload()?;
        Document::from_toml(payload.clone())?;
        let keyid = key_id(&key.public());
        if self
            .signatures
            .iter()
            .any(|signature| signature.keyid == keyid)
        {
            return Ok(());
        }
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(too_many(self.signatures.len() + 1));
        }
        self.push(&payload, key);
        Ok(())
    }

    fn push(&mut self, payload: &[u8], key: &SecretKey) {
        let sig = key.sign(&authenticated(&self.payload_type, payload));
        self.signatures.push(EnvelopeSignature {
            keyid: key_id(&key.public()),
            sig,
        });
    }

    /// Reads an envelope, which is JSON.
    ///
    /// # Errors
    /// What is none, or larger than one of the largest invoice.
    pub fn from_json(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let most = MAX_INVOICE_BYTES.div_ceil(3) * 4 + (64 << 10);
        if bytes.len() > most {
            let size = bytes.len();
            return Err(EnvelopeError::Read(format!(
                "{size} bytes, and at most {most} are read"
            )));
        }
        let envelope: Self = serde_json::from_slice(bytes)
            .map_err(|error| EnvelopeError::Read(error.to_string()))?;
        let count = envelope.signatures.len();
        if count > MAX_SIGNATURES {
            return Err(too_many(count));
        }
        Ok(envelope)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None that is known of.
    pub fn to_json(&self) -> Result<Vec<u8>, EnvelopeError> {
        serde_json::to_vec(self).map_err(|error| EnvelopeError::Read(error.to_string()))
    }

    /// Looks who signed it, and reads what is signed. One signature by a key that is known in this
    /// role is enough; those of others are not looked at.
    ///
    /// # Errors
    /// If there is none such, or it is of something else.
    pub fn open(&self, keyring: &Keyring, role: Role) -> Result<Signed, EnvelopeError> {
        let payload = self.payload()?;
        let message = authenticated(&self.payload_type, &payload);
        let mut by = Vec::new();
        let mut problem = None;
        for signature in &self.signatures {
            match self::signer(signature, &message, keyring, role) {
                Ok(Some(label)) if by.contains(&label) => {}
                Ok(Some(label)) => by.push(label),
                Ok(None) => {}
                Err(error) => problem = Some(error),
            }
        }
        if by.is_empty() {
            return Err(problem.unwrap_or(EnvelopeError::NoKnownKey(role)));
        }
        let document = Document::read(payload, Format::Toml)?;
        Ok(Signed { document, by })
    }

    fn payload(&self) -> Result<Vec<u8>, EnvelopeError> {
        if self.payload_type != INVOICE_PAYLOAD_TYPE {
            let kind = crate::text::shortened(&self.payload_type);
            return Err(EnvelopeError::Type(kind));
        }
        decode(&self.payload)
            .ok_or_else(|| EnvelopeError::Read("its payload is not base64".to_owned()))
    }
}

/// Which key of a keyring has made a signature, if it is known in this role.
fn signer(
    signature: &EnvelopeSignature,
    message: &[u8],
    keyring: &Keyring,
    role: Role,
) -> Result<Option<String>, EnvelopeError> {
    let Some(bytes) = decode(&signature.sig) else {
        return Ok(None);
    };
    let mut problem = None;
    for entry in &keyring.key {
        let Ok(key) = entry.public() else { continue };
        if key_id(&key) != signature.keyid {
            continue;
        }
        match key.verify(message, &bytes) {
            Ok(()) if entry.roles.contains(&role) => return Ok(Some(entry.label.clone())),
            Ok(()) => {
                let (by, roles) = (entry.label.clone(), entry.roles.clone());
                problem = Some(EnvelopeError::NotItsRole { by, role, roles });
            }
            Err(Bad::Wrong | Bad::Corrupt) => {
                problem = problem.or(Some(EnvelopeError::Wrong(entry.label.clone())));
            }
        }
    }
    problem.map_or(Ok(None), Err)
}

fn too_many(count: usize) -> EnvelopeError {
    let text = format!("{count} signatures, and at most {MAX_SIGNATURES} are read");
    EnvelopeError::Read(text)
}

fn key_id(key: &crate::PublicKey) -> String {
    format!("SHA256:{}", Sha256::of(key.as_bytes()))
}

/// DSSE lets both alphabets stand there.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .ok()
}

/// DSSE's pre-authentication encoding, which is what is signed.
fn authenticated(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_as_the_protocol_s_own_example_has_it() {
        // https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
        let message = authenticated("http://example.com/HelloWorld", b"hello world");
        assert_eq!(
            message,
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
