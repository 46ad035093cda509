//! What a signer is to a bindle.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::text::shortened;

/// As what somebody signs a bindle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Made it.
    Creator,
    /// Passes it on for somebody else.
    Proxy,
    /// Stores it and hands it out.
    Host,
    /// Says that it is good.
    Approver,
}

/// A text names no role.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` is not a role: there are creator, approver, host and proxy", shortened(.0))]
pub struct RoleError(String);

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Creator, Self::Approver, Self::Host, Self::Proxy];

    /// As invoices write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creator => "creator",
            Self::Proxy => "proxy",
            Self::Host => "host",
            Self::Approver => "approver",
        }
    }

    /// Reads `a,b`. The names may be shortened to a letter, and in upper case.
    ///
    /// # Errors
    /// The first that names no role.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, RoleError> {
        text.split(',').map(str::parse).collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        match &*text.trim().to_lowercase() {
            "c" | "creator" => Ok(Self::Creator),
            "p" | "proxy" => Ok(Self::Proxy),
            "h" | "host" => Ok(Self::Host),
            "a" | "approver" => Ok(Self::Approver),
            _ => Err(RoleError(text.to_owned())),
        }
    }
}
