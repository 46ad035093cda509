//! The signatures that stand in an invoice.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::check::problem_of_text;
use crate::text::listed;
use crate::{Invoice, Role, SecretKey};

/// One signature. It is over who signs as what, the bindle's name and version, and the digests of
/// its parcels; not over groups, conditions, features and the time, for which there is
/// [`Envelope`](crate::Envelope).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Signature {
    /// Who signs.
    pub by: String,
    /// 64 bytes of Ed25519, in base64.
    pub signature: String,
    /// The signer's public key, in base64.
    pub key: String,
    /// As what.
    pub role: Role,
    /// When: seconds since 1970.
    pub at: u64,
}

/// An invoice was not signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignError {
    /// A key signs an invoice once.
    #[error("the key of `{0}` has signed this invoice already")]
    Twice(String),
    /// What it signs with would not be read again.
    #[error("the label of the key cannot stand in a signature: {0}")]
    Label(&'static str),
    /// The key is for something else.
    #[error(
        "the key of `{label}` does not sign as {role}: it has the roles {}",
        list(roles)
    )]
    Role {
        /// Whose key it is.
        label: String,
        /// As what it was to sign.
        role: Role,
        /// As what it may.
        roles: Vec<Role>,
    },
}

/// Signs an invoice, at this many seconds since 1970.
///
/// # Errors
/// If the key has signed it already, does not have the role, or has a label of several lines.
pub fn sign(invoice: &mut Invoice, role: Role, key: &SecretKey, at: u64) -> Result<(), SignError> {
    if !key.roles().contains(&role) {
        return Err(SignError::Role {
            label: key.label().to_owned(),
            role,
            roles: key.roles().to_vec(),
        });
    }
    if let Some(problem) = problem_of_text(key.label()) {
        return Err(SignError::Label(problem));
    }
    let public = key.public().to_string();
    if invoice
        .signature
        .iter()
        .any(|signature| signature.key == public)
    {
        return Err(SignError::Twice(key.label().to_owned()));
    }
    let signature = key.sign(&signed_with(invoice, &digests(invoice), key.label(), role));
    let by = key.label().to_owned();
    invoice.signature.push(Signature {
        by,
        signature,
        key: public,
        role,
        at,
    });
    Ok(())
}

/// The part of what is signed that is the same for all who sign.
pub(crate) fn digests(invoice: &Invoice) -> String {
    let digests = invoice.parcel.iter().map(|parcel| parcel.label.sha256);
    digests.map(|digest| format!("\n{digest}")).collect()
}

/// What a signature is over.
pub(crate) fn signed_with(invoice: &Invoice, digests: &str, by: &str, role: Role) -> Vec<u8> {
    let id = invoice.id();
    format!("{by}\n{}\n{}\n{role}\n~{digests}", id.name(), id.version()).into_bytes()
}

/// `creator, approver`, or `none`.
pub(crate) fn list(roles: &[Role]) -> String {
    listed(roles.iter().map(|role| role.as_str()))
}
