//! `wasi:blobstore@0.2.0-draft` over folders, S3 and memory.
//!
//! A container is a resource of the Directive: its name is known when the node
//! binds it to a [`Bucket`], and the function reads or writes it as it was
//! granted. Functions make and delete no containers.
//!
//! # Guarantees
//! - What was acknowledged is durable as far as the store is: a folder's files
//!   are synced. `write-data` acknowledges a value whose body is whole; otherwise
//!   `finish` does. Before that nothing is visible.
//! - `get-data` asks for each byte once and streams. When reading breaks off it
//!   goes on from where it stood, for [`Config::retry_for`] without a byte; when
//!   the object changed meanwhile the stream ends in an error, never in a mixture.
//! - No name leads out of a bucket's prefix or folder. Names are UTF-8 of up to
//!   1024 bytes without empty parts, `.`, `..` and control characters.
//!
//! # Limits
//! - A stream of `get-data` holds [`Config::read_ahead`] bytes; what is consumed
//!   at once may have [`Config::at_once`]; a value being written holds two parts
//!   of [`Config::part`]. All of it is charged to the node's memory budget.
//! - An instance has [`Config::values`] values open and buffers of
//!   [`Config::buffers`], so that one guest takes neither the node's memory nor its
//!   descriptors. Beyond them it gets the interface's error. `new-outgoing-value`
//!   has none: what it gives then fails when it is used.
//! - A bucket in memory has [`MEMORY`] bytes. In a folder a name has 64
//!   parts at most.
//! - An object may have 10,000 parts. Until `write-data` said where a value goes,
//!   two parts of it may be written.
//! - `read-stream-object-names` gives 1,000 names at most.
//!
//! `created-at` of a container is 0: no store tells when it was made. That of an
//! object is when it was written last, in seconds since 1970.

mod access;
mod account;
mod failure;
mod host;
mod memory;
mod names;
mod object;
mod pipe;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use strand_engine::{Capability, Ctx, CtxBuilder, MemoryBudget};
use strand_objects::Bucket;
use wasmtime::component::Linker;

use crate::access::Containers;
use crate::account::Account;
use crate::host::{HasView, View, bindings};

pub use crate::access::Access;
pub use crate::memory::{MEMORY, memory};

/// How the node reads and writes for functions.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of an object that are read ahead of the guest. 2 MiB by default, 256
    /// KiB at least.
    pub read_ahead: u64,
    /// Bytes that `incoming-value-consume-sync` gives. 4 MiB by default.
    pub at_once: u64,
    /// Bytes of a part of an object that is written. 8 MiB by default; S3 takes
    /// no less than 5 MiB.
    pub part: usize,
    /// How long reading is tried again while no byte comes. 10 s by default. A
    /// store that is silent for half of it is asked again.
    pub retry_for: Duration,
    /// Values that an instance has open at once: those it reads, until it has read
    /// them to their end or dropped them, and those it writes, until they are
    /// finished, or cleared away when they were dropped. 64 by default. A listing
    /// counts as 16 until its end.
    pub values: u64,
    /// Bytes that the buffers of an instance's values have together. 64 MiB by
    /// default: eight parts, or 32 streams that are read ahead.
    pub buffers: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            read_ahead: 2 << 20,
            at_once: 4 << 20,
            part: 8 << 20,
            retry_for: Duration::from_secs(10),
            values: 64,
            buffers: 64 << 20,
        }
    }
}

/// What the Directive gives to a function: containers by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// What it may do with each.
    pub containers: BTreeMap<String, Access>,
}

/// A granted container that the node has no place for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`blobs.{0}` has no place on this node: bind it \
     (`--bind blobs.{0}=s3://BUCKET/PREFIX`), or give it a folder for development \
     (`spec.resources.blobs.{0}.dev`)"
)]
pub struct Unbound(pub String);

/// The containers of one function, ready to be linked.
pub struct Blobstore(Arc<Containers>);

impl Blobstore {
    /// The containers that are granted, each in its bucket.
    ///
    /// # Errors
    /// When a container has no bucket.
    pub fn new(
        config: &Config,
        budget: &Arc<MemoryBudget>,
        grant: Grant,
        buckets: &BTreeMap<String, Bucket>,
    ) -> Result<Self, Unbound> {
        let containers = Containers::new(config, budget, grant, buckets)?;
        Ok(Self(Arc::new(containers)))
    }
}

/// What a store of a function has in its slot.
struct Instance {
    containers: Arc<Containers>,
    account: Arc<Account>,
}

impl Capability for Blobstore {
    fn add_to_linker(&self, linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
        fn view(ctx: &mut Ctx) -> View<'_> {
            // `attach` fills the slot of every store that this linker serves.
            let (instance, table) = ctx.slot::<Instance>().expect("attached to the store");
            View {
                containers: Arc::clone(&instance.containers),
                account: Arc::clone(&instance.account),
                table,
            }
        }
        bindings::wasi::blobstore::types::add_to_linker::<Ctx, HasView>(linker, view)?;
        bindings::wasi::blobstore::container::add_to_linker::<Ctx, HasView>(linker, view)?;
        bindings::wasi::blobstore::blobstore::add_to_linker::<Ctx, HasView>(linker, view)
    }

    fn attach(&self, builder: &mut CtxBuilder) {
        builder.insert(Instance {
            containers: Arc::clone(&self.0),
            account: Account::new(&self.0.config, &self.0.budget),
        });
    }
}
