//! Which containers a function has, and what it may do with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use strand_engine::MemoryBudget;
use strand_objects::Bucket;

use crate::{Config, Grant, Unbound};

/// What a function may do with a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Read and list objects.
    pub read: bool,
    /// Write and delete objects.
    pub write: bool,
}

/// A container of a function.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) bucket: Bucket,
    access: Access,
}

impl Container {
    /// # Errors
    /// When the function may not read it.
    pub(crate) fn readable(&self) -> Result<&Bucket, String> {
        self.access
            .read
            .then_some(&self.bucket)
            .ok_or_else(|| self.denied("read"))
    }

    /// # Errors
    /// When the function may not write to it.
    pub(crate) fn writable(&self) -> Result<&Bucket, String> {
        self.access
            .write
            .then_some(&self.bucket)
            .ok_or_else(|| self.denied("write"))
    }

    fn denied(&self, right: &str) -> String {
        format!(
            "access denied: this function has no `{right}` on the container `{name}`; \
             it would be `grants.blobs.{name}: [{right}]`",
            name = self.name
        )
    }
}

/// All containers of a function.
pub(crate) struct Containers {
    pub(crate) config: Config,
    pub(crate) budget: Arc<MemoryBudget>,
    by_name: BTreeMap<String, Arc<Container>>,
}

impl Containers {
    pub(crate) fn new(
        config: &Config,
        budget: &Arc<MemoryBudget>,
        grant: Grant,
        buckets: &BTreeMap<String, Bucket>,
    ) -> Result<Self, Unbound> {
        let mut by_name = BTreeMap::new();
        for (name, access) in grant.containers {
            let Some(bucket) = buckets.get(&name) else {
                return Err(Unbound(name));
            };
            let container = Arc::new(Container {
                name: name.clone(),
                bucket: bucket.clone(),
                access,
            });
            by_name.insert(name, container);
        }
        Ok(Self {
            config: config.clone(),
            budget: Arc::clone(budget),
            by_name,
        })
    }

    /// # Errors
    /// When there is no such container for this function, whether another one has
    /// it or not.
    pub(crate) fn get(&self, name: &str) -> Result<&Arc<Container>, String> {
        self.by_name.get(name).ok_or_else(|| {
            let names: Vec<_> = self.by_name.keys().map(String::as_str).collect();
            let shown: String = name.chars().take(64).collect();
            format!(
                "no such container: {shown:?}; this function has {}",
                names.join(", ")
            )
        })
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }
}
