//! What a request's path asks a test guest to do, the same for the guests of WASI 0.2 and 0.3, and
//! the attacks that need no interface of the host.
//!
//! Only names and numbers are told apart here, so that the tests of this crate run natively.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test's panic is its report

pub mod attacks;
mod blob;
mod case;
mod hostile;
mod pattern;
mod probe;
mod target;

pub use blob::Blob;
pub use case::case_name;
pub use hostile::{Count, Hostile};
pub use pattern::Pattern;
pub use probe::Probe;
pub use target::{Url, UrlError};
