//! Bindles: what an app, a model or a genome is delivered as.
//!
//! A bindle is an *invoice* (a name, a version, and a label for each *parcel*) and the parcels
//! themselves, which are named by their SHA-256. This crate has what can be said of them without
//! touching a disk or a network: reading and writing invoices ([`Document`], [`Invoice`]), what is
//! wrong with one ([`Invoice::check`]), keys and signatures ([`SecretKey`], [`Keyring`],
//! [`Strategy`], [`Envelope`]), queries ([`Query`]), and which parcels a device is to have
//! ([`resolve`]). Clock and randomness are arguments. It runs in a browser, too.
//!
//! The format is that of the crate `bindle` 0.9.1, the only other implementation: what one writes
//! the other reads.
//!
//! ```
//! use strand_bindle::{Device, Document, Wanted, resolve};
//!
//! let invoice = br#"
//! bindleVersion = "1.0.0"
//! bindle = { name = "example.com/hello", version = "1.0.0" }
//!
//! [[group]]
//! name = "genome"
//! required = true
//! satisfiedBy = "oneOf"
//!
//! [[parcel]]
//! conditions.memberOf = ["genome"]
//! label.name = "human.fa"
//! label.mediaType = "text/x-fasta"
//! label.sha256 = "6e2f38bdfd2f3ae6a2f1b5a4e0d1e7a6b9a5e4b7a2c1d0f9e8d7c6b5a4938271"
//! label.size = 3_100_000_000
//! label.feature.strand.memory = "4Gi"
//!
//! [[parcel]]
//! conditions.memberOf = ["genome"]
//! label.name = "lambda.fa"
//! label.mediaType = "text/x-fasta"
//! label.sha256 = "0f2f38bdfd2f3ae6a2f1b5a4e0d1e7a6b9a5e4b7a2c1d0f9e8d7c6b5a4938271"
//! label.size = 48_502
//! "#;
//! let document = Document::from_toml(invoice.to_vec())?;
//! let small = Device { memory: 64 << 20, ..Device::default() };
//! let choice = resolve(document.invoice(), &small, &Wanted::default())?;
//! let names: Vec<&str> = choice.labels(document.invoice()).map(|label| &*label.name).collect();
//! assert_eq!(names, ["lambda.fa"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// A test that unwraps the wrong thing fails, which is what it is for.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod check;
mod device;
mod document;
mod envelope;
mod hex;
mod id;
mod invoice;
mod keys;
mod query;
mod resolve;
mod role;
mod signature;
pub mod standalone;
mod strategy;
mod text;
pub mod wire;

pub use check::{Invalid, MAX_GROUPS, MAX_PARCELS, MAX_PROBLEMS, Problem};
pub use device::{Device, DeviceError};
pub use document::{Document, DocumentError, Format, MAX_INVOICE_BYTES};
pub use envelope::{Envelope, EnvelopeError, INVOICE_PAYLOAD_TYPE, Signed};
pub use hex::{Sha256, Sha256Error};
pub use id::{Id, IdError, MAX_NAME};
pub use invoice::{
    Annotations, BINDLE_VERSION, Conditions, Features, Group, Invoice, Label, Parcel, SatisfiedBy,
    Spec,
};
pub use keys::{KeyEntry, KeyError, Keyring, PublicKey, SecretKey, SecretKeyEntry, SecretKeyFile};
pub use query::{Query, QueryError, VersionRange};
pub use resolve::{Choice, Conflict, Prefer, Reason, ResolveError, Satisfied, Wanted, resolve};
pub use role::{Role, RoleError};
pub use signature::{SignError, Signature, sign};
pub use strategy::{Strategy, StrategyError, VerifyError};
