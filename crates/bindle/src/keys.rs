//! Keys of signers: secret ones, public ones, and the files that they stand in.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::Role;
use crate::check::problem_of_text;

/// The version of the files of keys.
const VERSION: &str = "1.0";

/// A key cannot be used. Nothing of a secret one is repeated.
#[derive(Debug, Error)]
pub enum KeyError {
    /// A public key is no Ed25519 key in base64.
    #[error("`{label}`: its key is not an Ed25519 key in base64")]
    Public {
        /// Whose it is.
        label: String,
    },
    /// A secret key is no Ed25519 key pair in base64.
    #[error("a keypair is not 64 bytes in base64, the seed and the public key of it")]
    Secret,
    /// What a secret key signs with cannot stand in a line.
    #[error("the label of a secret key: {0}")]
    SecretLabel(&'static str),
    /// A file of secret keys is none. Nothing that stands in it is told.
    #[error(
        "the secret keys cannot be read: {0}; a file of them has `version = \"1.0\"`, and for each \
         `[[key]]` a `label`, a `keypair` and `roles`"
    )]
    SecretFile(String),
    /// A label is signed, but not with its key.
    #[error("`{label}`: the signature of the label is not by its key")]
    Label {
        /// Whose it is.
        label: String,
    },
    /// The file has a version that is not known.
    #[error("keys of version `{0}` cannot be read: `{VERSION}` is known")]
    Version(String),
    /// The file is no TOML, or no file of keys.
    #[error("the keys cannot be read: {0}")]
    Read(String),
    /// The file cannot be written.
    #[error("the keys cannot be written: {0}")]
    Write(#[from] toml::ser::Error),
}

/// A key that signs. Its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct SecretKey {
    label: String,
    roles: Vec<Role>,
    key: SigningKey,
}

impl SecretKey {
    /// The key of a seed, which is 32 bytes that nobody can guess.
    pub fn from_seed(seed: &[u8; 32], label: impl Into<String>, roles: Vec<Role>) -> Self {
        Self {
            label: label.into(),
            roles,
            key: SigningKey::from_bytes(seed),
        }
    }

    /// Whose it is: `Ada <ada@example.com>`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// As what it signs.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// What others know it by.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// What is given to those who are to trust it.
    pub fn to_entry(&self) -> KeyEntry {
        KeyEntry {
            label: self.label.clone(),
            roles: self.roles.clone(),
            key: self.public().to_string(),
            label_signature: Some(self.sign(self.label.as_bytes())),
        }
    }

    /// What is kept in a file that nobody else reads.
    pub fn to_secret_entry(&self) -> SecretKeyEntry {
        let bytes = Zeroizing::new(self.key.to_keypair_bytes());
        SecretKeyEntry {
            label: self.label.clone(),
            keypair: Zeroizing::new(STANDARD.encode(bytes.as_slice())),
            roles: self.roles.clone(),
        }
    }

    /// A signature in base64.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.key.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("label", &self.label)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// A key that is verified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Whether and how a signature is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// It is no signature.
    Corrupt,
    /// It is one, but not by this key of this message.
    Wrong,
}

impl PublicKey {
    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Bad> {
        let signature =
            ed25519_dalek::Signature::from_slice(signature).map_err(|_| Bad::Corrupt)?;
        self.0
            .verify_strict(message, &signature)
            .map_err(|_| Bad::Wrong)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let error = || KeyError::Public {
            label: crate::text::shortened(text),
        };
        let bytes = STANDARD.decode(text).map_err(|_| error())?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| error())?;
        VerifyingKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| error())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0.as_bytes()))
    }
}

/// The public keys that somebody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Keyring {
    version: String,
    /// One for each key.
    #[serde(default)]
    pub key: Vec<KeyEntry>,
}

/// A public key, and as what its owner signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyEntry {
    /// Whose it is, for people.
    pub label: String,
    /// As what it is known. A signature in another role is not good.
    pub roles: Vec<Role>,
    /// The key, in base64.
    pub key: String,
    /// The label, signed with the key, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_signature: Option<String>,
}

impl Default for Keyring {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Keyring {
    /// A keyring of these keys.
    pub fn new(key: Vec<KeyEntry>) -> Self {
        Self {
            version: VERSION.to_owned(),
            key,
        }
    }

    /// Reads a keyring.
    ///
    /// # Errors
    /// What is no keyring, and each key of it that is none, or whose label is signed by another.
    pub fn from_toml(text: &str) -> Result<Self, KeyError> {
        let ring: Self = toml::from_str(text).map_err(|error| KeyError::Read(error.to_string()))?;
        if ring.version != VERSION {
            return Err(KeyError::Version(ring.version));
        }
        ring.key.iter().try_for_each(KeyEntry::check)?;
        Ok(ring)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None that is known of.
    pub fn to_toml(&self) -> Result<String, KeyError> {
        Ok(toml::to_string(self)?)
    }

    /// The entries of a key: of who has several roles there may be more than one.
    pub(crate) fn entries(&self, key: &PublicKey) -> impl Iterator<Item = &KeyEntry> {
        let key = key.to_string();
        self.key.iter().filter(move |entry| entry.key == key)
    }

    /// Those that are known in one of these roles; all, if none is asked for.
    pub fn with_roles(&self, roles: &[Role]) -> Self {
        let has = |entry: &&KeyEntry| {
            roles.is_empty() || entry.roles.iter().any(|role| roles.contains(role))
        };
        Self::new(self.key.iter().filter(has).cloned().collect())
    }
}

impl KeyEntry {
    /// The key.
    ///
    /// # Errors
    /// If it is no Ed25519 key in base64.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        self.key.parse().map_err(|_| KeyError::Public {
            label: self.label.clone(),
        })
    }

    fn check(&self) -> Result<(), KeyError> {
        let key = self.public()?;
        let Some(signature) = &self.label_signature else {
            return Ok(());
        };
        let error = || KeyError::Label {
            label: self.label.clone(),
        };
        let signature = STANDARD.decode(signature).map_err(|_| error())?;
        key.verify(self.label.as_bytes(), &signature)
            .map_err(|_| error())
    }
}

/// The secret keys of somebody.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyFile {
    version: String,
    /// One for each key.
    #[serde(default)]
    pub key: Vec<SecretKeyEntry>,
}

/// A secret key as it stands in a file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyEntry {
    /// Whose it is.
    pub label: String,
    /// Seed and public key, 64 bytes in base64.
    #[serde(with = "zeroizing")]
    pub keypair: Zeroizing<String>,
    /// As what it signs.
    pub roles: Vec<Role>,
}

impl fmt::Debug for SecretKeyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKeyEntry")
            .field("label", &self.label)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl SecretKeyEntry {
    /// The key.
    ///
    /// # Errors
    /// If it is no key pair in base64, the public half is not that of the secret one, or its label
    /// would not stand in a line. They repeat nothing of it: what should be a label may be a key.
    pub fn secret(&self) -> Result<SecretKey, KeyError> {
        let decoded = STANDARD.decode(&*self.keypair).map(Zeroizing::new);
        let bytes = decoded.map_err(|_| KeyError::Secret)?;
        let bytes: &[u8; 64] = bytes[..].try_into().map_err(|_| KeyError::Secret)?;
        let key = SigningKey::from_keypair_bytes(bytes).map_err(|_| KeyError::Secret)?;
        if let Some(problem) = problem_of_text(&self.label) {
            return Err(KeyError::SecretLabel(problem));
        }
        Ok(SecretKey {
            label: self.label.clone(),
            roles: self.roles.clone(),
            key,
        })
    }
}

impl Default for SecretKeyFile {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl SecretKeyFile {
    /// A file of these keys.
    pub fn new(key: Vec<SecretKeyEntry>) -> Self {
        Self {
            version: VERSION.to_owned(),
            key,
        }
    }

    /// Reads a file of secret keys.
    ///
    /// # Errors
    /// What is none. The error repeats nothing of it.
    pub fn from_toml(text: &str) -> Result<Self, KeyError> {
        let file: Self = toml::from_str(text).map_err(|error| {
            // Only where: what is wrong may be a key.
            let begin = error.span().map_or(0, |span| span.start);
            let line = 1 + text[..begin].matches('\n').count();
            KeyError::SecretFile(format!("line {line} is wrong"))
        })?;
        if file.version != VERSION {
            return Err(KeyError::Version(file.version));
        }
        for (index, entry) in file.key.iter().enumerate() {
            let wrong = |error| KeyError::SecretFile(format!("key[{index}]: {error}"));
            entry.secret().map_err(wrong)?;
        }
        Ok(file)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None that is known of.
    pub fn to_toml(&self) -> Result<Zeroizing<String>, KeyError> {
        Ok(Zeroizing::new(toml::to_string(self)?))
    }
}

mod zeroizing {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(
        text: &Zeroizing<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}
