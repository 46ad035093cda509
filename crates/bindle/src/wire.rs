//! What Bindle's HTTP interface answers, beside invoices.
//!
//! TOML cannot write a list at its top, which is why all of these are tables.

use serde::{Deserialize, Serialize};

use crate::invoice::or_default;
use crate::{Invoice, Label, Query};

/// `POST /v1/_i`: the invoice is there, and these of its parcels are not yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    /// The invoice, with the host's signature.
    pub invoice: Invoice,
    /// What is to be uploaded.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub missing: Vec<Label>,
}

/// `GET /v1/_r/missing/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// What is to be uploaded.
    pub missing: Vec<Label>,
}

/// What is told of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// What happened, and what to do.
    pub error: String,
}

/// `GET /v1/_q`: a page of what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matches {
    /// The words.
    pub query: String,
    /// Whether they must stand in the name.
    pub strict: bool,
    /// How many were left out at the beginning.
    pub offset: u64,
    /// How many there can be here.
    pub limit: u8,
    /// When: seconds since 1970.
    #[serde(default)]
    pub timestamp: u64,
    /// Whether yanked bindles are among them.
    pub yanked: bool,
    /// How many were found in all.
    pub total: u64,
    /// Whether there are some behind these.
    pub more: bool,
    /// What was found.
    #[serde(default)]
    pub invoices: Vec<Invoice>,
}

impl Matches {
    /// The answer to a query that found so many, of which these are the page that it asks for.
    pub fn new(query: &Query, total: u64, invoices: Vec<Invoice>, timestamp: u64) -> Self {
        Self {
            query: query.terms.clone(),
            strict: query.strict,
            offset: query.offset,
            limit: query.limit,
            timestamp,
            yanked: query.yanked,
            total,
            more: query.offset.saturating_add(invoices.len() as u64) < total,
            invoices,
        }
    }
}
