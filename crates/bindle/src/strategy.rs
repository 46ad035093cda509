//! Whether an invoice's signatures are enough.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::keys::Bad;
use crate::role::RoleError;
use crate::signature::{digests, list, signed_with};
use crate::text::shortened;
use crate::{Invoice, Keyring, PublicKey, Role, Signature};

/// Which signatures an invoice must have, and which of them must be by keys that are known.
///
/// No key may have signed twice, whatever the strategy looks at.
///
/// A key is known in the roles that the keyring gives it. An invoice without a signature by a known
/// key is refused in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Strategy {
    /// Creators must have signed, with known keys. Nobody else's signature is looked at.
    CreativeIntegrity,
    /// Of creators and approvers one must be known, and no signature of theirs wrong.
    AuthoritativeIntegrity,
    /// A creator must have signed, and all signatures be right, and by known keys.
    #[default]
    GreedyVerification,
    /// All signatures must be right, and by known keys.
    ExhaustiveVerification,
    /// Each of these roles must have signed, with known keys. Nobody else's signature is looked at.
    MultipleAttestation(Vec<Role>),
    /// Each of these roles must have signed, and all signatures be right, and by known keys.
    MultipleAttestationGreedy(Vec<Role>),
}

/// A text names no strategy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StrategyError {
    /// There is none of that name.
    #[error(
        "`{}` is not a strategy: there are CreativeIntegrity, AuthoritativeIntegrity, \
         GreedyVerification, ExhaustiveVerification, MultipleAttestation[ROLES] and \
         MultipleAttestationGreedy[ROLES]",
        shortened(.0)
    )]
    Unknown(String),
    /// It needs roles.
    #[error("`{}` needs roles, as in MultipleAttestation[creator,approver]", shortened(.0))]
    NoRoles(String),
    /// One of its roles is none.
    #[error(transparent)]
    Role(#[from] RoleError),
}

/// The signatures of an invoice are not enough.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// There is none.
    #[error("nobody has signed it")]
    Unsigned,
    /// A key or a signature is not even one.
    #[error("the {what} of `{by}` ({role}) is corrupt")]
    Corrupt {
        /// `signature` or `key`.
        what: &'static str,
        /// Who is said to have signed.
        by: String,
        /// As what.
        role: Role,
    },
    /// A signature is not of this invoice.
    #[error("the signature of `{by}` ({role}) is not of this invoice: one of them was changed")]
    Wrong {
        /// Who is said to have signed.
        by: String,
        /// As what.
        role: Role,
    },
    /// One key has signed twice.
    #[error("one key has signed twice, as `{0}`")]
    Twice(String),
    /// A key is not known.
    #[error("the key of `{by}` ({role}) is not known: {key}")]
    UnknownKey {
        /// Who is said to have signed.
        by: String,
        /// As what.
        role: Role,
        /// The key, in base64.
        key: String,
    },
    /// A key is known for something else.
    #[error("the key of `{by}` is not trusted as {role}, but as {}", list(roles))]
    NotItsRole {
        /// Who is said to have signed.
        by: String,
        /// As what.
        role: Role,
        /// As what the key is known.
        roles: Vec<Role>,
    },
    /// Nobody has signed as what is asked for.
    #[error("nobody has signed it as {0}")]
    Missing(Role),
    /// None of the keys is known.
    #[error("none of the keys that signed it is known")]
    NoKnownKey,
}

/// What a strategy asks for.
struct Rule<'a> {
    /// The roles that must have signed.
    present: &'a [Role],
    /// Whose signatures are checked; of all, if none.
    checked: Option<&'a [Role]>,
    /// Whether all keys of those must be known, rather than one.
    all_known: bool,
}

impl Strategy {
    fn rule(&self) -> Rule<'_> {
        const CREATOR: &[Role] = &[Role::Creator];
        const AUTHORITIES: &[Role] = &[Role::Creator, Role::Approver];
        let (present, checked, all_known) = match self {
            Self::CreativeIntegrity => (CREATOR, Some(CREATOR), true),
            Self::AuthoritativeIntegrity => (&[][..], Some(AUTHORITIES), false),
            Self::GreedyVerification => (CREATOR, None, true),
            Self::ExhaustiveVerification => (&[][..], None, true),
            Self::MultipleAttestation(roles) => (&**roles, Some(&**roles), true),
            Self::MultipleAttestationGreedy(roles) => (&**roles, None, true),
        };
        Rule {
            present,
            checked,
            all_known,
        }
    }

    /// Looks at an invoice's signatures.
    ///
    /// # Errors
    /// The first thing that the strategy does not allow.
    pub fn verify(&self, invoice: &Invoice, keyring: &Keyring) -> Result<(), VerifyError> {
        if invoice.signature.is_empty() {
            return Err(VerifyError::Unsigned);
        }
        for (index, signature) in invoice.signature.iter().enumerate() {
            if invoice.signature[..index]
                .iter()
                .any(|earlier| earlier.key == signature.key)
            {
                return Err(VerifyError::Twice(signature.by.clone()));
            }
        }
        let rule = self.rule();
        let is_checked = |role: Role| rule.checked.is_none_or(|roles| roles.contains(&role));
        let mut is_one_known = false;
        let mut present = Vec::new();
        let digests = digests(invoice);
        for signature in &invoice.signature {
            if !is_checked(signature.role) {
                continue;
            }
            let key = verify_one(invoice, &digests, signature)?;
            match know(keyring, &key, signature) {
                Ok(()) => {
                    is_one_known = true;
                    present.push(signature.role);
                }
                Err(error) if rule.all_known => return Err(error),
                Err(_) => {}
            }
        }
        if let Some(role) = rule.present.iter().find(|role| !present.contains(role)) {
            return Err(VerifyError::Missing(*role));
        }
        if is_one_known {
            Ok(())
        } else {
            Err(VerifyError::NoKnownKey)
        }
    }
}

/// Whether a signature is by the key that it names.
fn verify_one(
    invoice: &Invoice,
    digests: &str,
    signature: &Signature,
) -> Result<PublicKey, VerifyError> {
    let Signature { by, role, .. } = signature;
    let corrupt = |what| VerifyError::Corrupt {
        what,
        by: by.clone(),
        role: *role,
    };
    let key: PublicKey = signature.key.parse().map_err(|_| corrupt("key"))?;
    let bytes = STANDARD
        .decode(&signature.signature)
        .map_err(|_| corrupt("signature"))?;
    match key.verify(&signed_with(invoice, digests, by, *role), &bytes) {
        Ok(()) => Ok(key),
        Err(Bad::Corrupt) => Err(corrupt("signature")),
        Err(Bad::Wrong) => Err(VerifyError::Wrong {
            by: by.clone(),
            role: *role,
        }),
    }
}

/// Whether a key is known in the role that it signed in.
fn know(keyring: &Keyring, key: &PublicKey, signature: &Signature) -> Result<(), VerifyError> {
    let Signature { by, role, .. } = signature;
    let roles: Vec<Role> = keyring
        .entries(key)
        .flat_map(|entry| entry.roles.iter().copied())
        .collect();
    if roles.contains(role) {
        return Ok(());
    }
    let by = by.clone();
    Err(if keyring.entries(key).next().is_none() {
        VerifyError::UnknownKey {
            by,
            role: *role,
            key: key.to_string(),
        }
    } else {
        VerifyError::NotItsRole {
            by,
            role: *role,
            roles,
        }
    })
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, roles) = match self {
            Self::CreativeIntegrity => ("CreativeIntegrity", None),
            Self::AuthoritativeIntegrity => ("AuthoritativeIntegrity", None),
            Self::GreedyVerification => ("GreedyVerification", None),
            Self::ExhaustiveVerification => ("ExhaustiveVerification", None),
            Self::MultipleAttestation(roles) => ("MultipleAttestation", Some(roles)),
            Self::MultipleAttestationGreedy(roles) => ("MultipleAttestationGreedy", Some(roles)),
        };
        f.write_str(name)?;
        if let Some(roles) = roles {
            let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            write!(f, "[{}]", names.join(","))?;
        }
        Ok(())
    }
}

impl FromStr for Strategy {
    type Err = StrategyError;

    /// Upper and lower case are the same.
    fn from_str(text: &str) -> Result<Self, StrategyError> {
        let unknown = || StrategyError::Unknown(text.to_owned());
        let no_roles = || StrategyError::NoRoles(text.to_owned());
        let lower = text.trim().to_lowercase();
        let (name, roles) = match lower.split_once('[') {
            None => (&*lower, None),
            Some((name, rest)) => (name, Some(rest.strip_suffix(']').ok_or_else(unknown)?)),
        };
        let several = |strategy: fn(Vec<Role>) -> Self| match roles {
            None => Err(no_roles()),
            Some(roles) if roles.trim().is_empty() => Err(no_roles()),
            Some(roles) => Ok(strategy(Role::parse_list(roles)?)),
        };
        match (name, roles) {
            ("creativeintegrity", None) => Ok(Self::CreativeIntegrity),
            ("authoritativeintegrity", None) => Ok(Self::AuthoritativeIntegrity),
            ("greedyverification", None) => Ok(Self::GreedyVerification),
            ("exhaustiveverification", None) => Ok(Self::ExhaustiveVerification),
            ("multipleattestation", _) => several(Self::MultipleAttestation),
            ("multipleattestationgreedy", _) => several(Self::MultipleAttestationGreedy),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for Strategy {
    type Error = StrategyError;

    fn try_from(text: String) -> Result<Self, StrategyError> {
        text.parse()
    }
}

impl From<Strategy> for String {
    fn from(strategy: Strategy) -> Self {
        strategy.to_string()
    }
}
