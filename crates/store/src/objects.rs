//! The few things that the store does with its bucket.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
};
use strand_objects::Bucket;

use crate::StoreError;
use crate::layout::Layout;

/// Objects that are read or deleted at once.
pub(crate) const AT_ONCE: usize = 16;

/// The bucket of a store, and what is called how in it.
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    pub(crate) layout: Layout,
}

impl Objects {
    pub(crate) fn new(bucket: &Bucket) -> Self {
        Self {
            store: Arc::clone(bucket.store()),
            layout: Layout::new(bucket.prefix().cloned().unwrap_or_default()),
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Makes an object that is not there. False if it is.
    pub(crate) async fn create(
        &self,
        at: &Path,
        payload: impl Into<PutPayload>,
    ) -> Result<bool, StoreError> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(at, payload.into(), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(StoreError::bucket("putting an object")(error)),
        }
    }

    /// Puts an object, whether or not there is one.
    pub(crate) async fn overwrite(
        &self,
        at: &Path,
        payload: impl Into<PutPayload>,
    ) -> Result<(), StoreError> {
        let put = self.store.put(at, payload.into()).await;
        put.map(drop)
            .map_err(StoreError::bucket("putting an object"))
    }

    /// The whole of a small object, if it is there.
    pub(crate) async fn get(&self, at: &Path) -> Result<Option<Bytes>, StoreError> {
        let got = match self.store.get(at).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StoreError::bucket("reading an object")(error)),
        }
    }

    pub(crate) async fn head(&self, at: &Path) -> Result<Option<ObjectMeta>, StoreError> {
        match self.store.head(at).await {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StoreError::bucket("looking for an object")(error)),
        }
    }

    /// All objects below a prefix, in the order of their names.
    pub(crate) async fn list(&self, below: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let listed = self.store.list(Some(below)).try_collect::<Vec<_>>().await;
        let mut listed = listed.map_err(StoreError::bucket("listing objects"))?;
        listed.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(listed)
    }

    /// The parts that follow a prefix in the names of objects that are deeper below it.
    pub(crate) async fn parts_below(&self, prefix: &Path) -> Result<Vec<String>, StoreError> {
        let listed = self.store.list_with_delimiter(Some(prefix)).await;
        let listed = listed.map_err(StoreError::bucket("listing objects"))?;
        let parts = listed.common_prefixes.iter().filter_map(Path::filename);
        Ok(parts.map(str::to_owned).collect())
    }

    /// Whether there is an object below a prefix of which this holds.
    pub(crate) async fn any(
        &self,
        below: &Path,
        holds: impl Fn(&ObjectMeta) -> bool,
    ) -> Result<bool, StoreError> {
        let mut listed = self.store.list(Some(below));
        while let Some(meta) = listed.next().await {
            let meta = meta.map_err(StoreError::bucket("listing objects"))?;
            if holds(&meta) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes what is there of these.
    pub(crate) async fn delete(&self, locations: Vec<Path>) -> Result<(), StoreError> {
        let locations = futures::stream::iter(locations.into_iter().map(Ok)).boxed();
        let mut deleted = self.store.delete_stream(locations);
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(StoreError::bucket("deleting an object")(error)),
            }
        }
        Ok(())
    }

    pub(crate) async fn copy(&self, from: &Path, to: &Path) -> Result<bool, StoreError> {
        match self.store.copy(from, to).await {
            Ok(()) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(StoreError::bucket("copying an object")(error)),
        }
    }
}
