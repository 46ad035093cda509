//! Content by digest over a bucket that many servers share.
//!
//! [`Store`] keeps content under its SHA-256, once however many refer to it, and what refers to
//! it. ARCHITECTURE.md has the names of the objects and why no server needs to know of another.
//!
//! # Guarantees
//! - What was acknowledged is durable as far as the bucket is.
//! - Content is there whole and with the digest that it is called after, or not at all.
//! - No [collection](Store::collect) removes what somebody refers to, or has leased within the
//!   last [`LEASE`], however slow or dead it, others and those who put things are.
//!
//! # Limits
//! [`Limits`] has them. The clocks of all servers and of the bucket must agree within an hour.

// A test that unwraps the wrong thing fails, which is what it is for.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod auth;
mod blob;
mod clock;
mod collect;
mod error;
pub mod http;
mod invoices;
mod layout;
mod lease;
mod objects;
pub mod registry;
mod repository;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use strand_objects::Bucket;
use tokio::sync::Semaphore;

pub use blob::Blob;
pub use clock::{Clock, System};
pub use collect::Collected;
pub use error::StoreError;
pub use invoices::{Bindle, BindleError};
pub use lease::LEASE;
pub use repository::{Repository, RepositoryError};
pub use upload::{Upload, UploadId};

use crate::objects::Objects;

/// What a store takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a blob. 64 GiB by default.
    pub blob: u64,
    /// Bytes of a piece, which is what an upload has in memory before it is in the bucket. 8 MiB
    /// by default.
    pub piece: usize,
    /// Bytes of all pieces that are in memory at once; uploads wait for each other there. At
    /// least one piece. 64 MiB by default.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blob: 64 << 30,
            piece: 8 << 20,
            memory: 64 << 20,
        }
    }
}

/// Content by digest, and what refers to it. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    objects: Objects,
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// A place for each piece in memory.
    pieces: Arc<Semaphore>,
}

impl Store {
    /// The store in a bucket.
    pub fn new(bucket: &Bucket, limits: Limits) -> Self {
        Self::with_clock(bucket, limits, Arc::new(System))
    }

    /// The same, where time and randomness come from elsewhere.
    pub fn with_clock(bucket: &Bucket, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let places = limits.memory.checked_div(limits.piece).unwrap_or(1).max(1);
        Self(Arc::new(Inner {
            objects: Objects::new(bucket),
            clock,
            limits,
            pieces: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
        }))
    }

    /// What it takes.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    fn objects(&self) -> &Objects {
        &self.0.objects
    }
}
