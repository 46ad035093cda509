//! Single objects: found by name, copied, moved, deleted.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt as _};
use strand_objects::Bucket;

use crate::access::Containers;
use crate::account::Account;
use crate::failure::{describe, describe_copy};
use crate::pipe::Pipe;
use crate::read::Source;
use crate::write::{Place, Upload};

/// An object as a guest names it.
#[derive(Clone, Copy)]
pub(crate) struct ObjectId<'a> {
    pub(crate) container: &'a str,
    pub(crate) object: &'a str,
}

/// Where an object that a guest names is.
pub(crate) struct Found {
    pub(crate) bucket: Bucket,
    pub(crate) location: Path,
}

/// # Errors
/// When the name is none.
pub(crate) fn find(bucket: &Bucket, name: &str) -> Result<Found, String> {
    Ok(Found {
        bucket: bucket.clone(),
        location: bucket.locate(name)?,
    })
}

pub(crate) async fn head(found: &Found, name: &str) -> Result<ObjectMeta, String> {
    let head = found.bucket.store().head(&found.location).await;
    head.map_err(|error| describe(name, &error))
}

/// Deletes an object; that it is not there is no error.
pub(crate) async fn delete(found: &Found, name: &str) -> Result<(), String> {
    match found.bucket.store().delete(&found.location).await {
        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(describe(name, &error)),
    }
}

/// A copy that is given up leaves nothing.
struct AbandonOnDrop<'a>(Option<&'a Pipe>);

impl Drop for AbandonOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(pipe) = self.0 {
            pipe.abandon();
        }
    }
}

impl Containers {
    pub(crate) fn place(&self, found: Found, name: String) -> Place {
        Place {
            store: Arc::clone(found.bucket.store()),
            location: found.location,
            name,
            part: self.config.part,
        }
    }

    /// The two ends of a copy.
    fn ends(&self, from: ObjectId<'_>, to: ObjectId<'_>) -> Result<(Found, Found), String> {
        let source = self.get(from.container)?.readable()?;
        let target = self.get(to.container)?.writable()?;
        Ok((find(source, from.object)?, find(target, to.object)?))
    }

    /// Copies an object, over what has the name.
    pub(crate) async fn copy(
        &self,
        account: &Arc<Account>,
        from: ObjectId<'_>,
        to: ObjectId<'_>,
    ) -> Result<(), String> {
        let (source, target) = self.ends(from, to)?;
        if !source.bucket.same_store(&target.bucket) {
            return self.carry(account, (source, from), (target, to)).await;
        }
        if source.location == target.location {
            return head(&source, from.object).await.map(|_| ());
        }
        let store = source.bucket.store();
        let copied = store.copy(&source.location, &target.location).await;
        copied.map_err(|error| describe_copy(from.object, to.object, &error))
    }

    /// Moves an object, over what has the name.
    pub(crate) async fn rename(
        &self,
        account: &Arc<Account>,
        from: ObjectId<'_>,
        to: ObjectId<'_>,
    ) -> Result<(), String> {
        let (source, target) = self.ends(from, to)?;
        // What is moved is deleted where it was.
        self.get(from.container)?.writable()?;
        if !source.bucket.same_store(&target.bucket) {
            let again = find(&source.bucket, from.object)?;
            self.carry(account, (source, from), (target, to)).await?;
            return delete(&again, from.object).await;
        }
        // Onto itself: to copy and delete would lose it.
        if source.location == target.location {
            return head(&source, from.object).await.map(|_| ());
        }
        let store = source.bucket.store();
        let moved = store.rename(&source.location, &target.location).await;
        moved.map_err(|error| describe_copy(from.object, to.object, &error))
    }

    /// Copies from one store to another, through this node.
    async fn carry(
        &self,
        account: &Arc<Account>,
        (source, from): (Found, ObjectId<'_>),
        (target, to): (Found, ObjectId<'_>),
    ) -> Result<(), String> {
        let charge = account.value()?;
        let mut source = Source::open(
            source.bucket.store(),
            &source.location,
            from.object,
            (0, u64::MAX),
            self.config.retry_for,
        )
        .await?;
        let pipe = Arc::new(Pipe::new(2 * self.config.part, charge));
        let mut guard = AbandonOnDrop(Some(&pipe));
        let upload = Upload::start(&pipe, self.place(target, to.object.to_owned()));
        while let Some(piece) = source.next().await {
            pipe.write_all(piece?).await?;
        }
        pipe.close();
        guard.0 = None;
        upload.commit().await
    }
}
