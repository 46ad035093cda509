//! A bucket in memory, with a bound.
//!
//! Each object holds its part of the bucket's bytes as long as it is there, and so
//! does each part of one that is being written. While an object is written over,
//! the old one and the new one are there.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use strand_engine::{MemoryBudget, Reservation, format_bytes};
use strand_objects::Bucket;
use tokio::sync::Mutex;

const STORE: &str = "memory";
/// What an object takes besides its bytes: its name, which has as many, and what
/// keeps it.
const OBJECT: u64 = 1 << 10;

/// Bytes that a bucket in memory has: 64 MiB, of which each object takes 1 KiB besides its own.
/// They are not charged to the node's memory budget.
pub const MEMORY: u64 = 64 << 20;

/// Objects in the memory of this process, for trying out: [`MEMORY`] bytes of them, while an
/// object is written over that of the old one and of the new one.
pub fn memory() -> Bucket {
    memory_of(MEMORY)
}

/// The same with another number of bytes.
pub(crate) fn memory_of(bytes: u64) -> Bucket {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Bucket::new(format!("memory:{number}"), Arc::new(Memory::new(bytes)), "")
        .expect("no prefix is one")
}

/// There is no room for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this bucket is in memory, of which it may have {}: delete objects, or have the node \
     bind another place",
    format_bytes(*.0)
)]
pub(crate) struct Full(u64);

impl Full {
    pub(crate) fn in_error(error: &object_store::Error) -> Option<Self> {
        match error {
            object_store::Error::Generic { source, .. } => source.downcast_ref().copied(),
            _ => None,
        }
    }
}

/// Objects in memory, up to so many bytes.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    inner: Arc<InMemory>,
    room: Arc<MemoryBudget>,
    kept: Arc<Mutex<HashMap<Path, Reservation>>>,
}

impl Memory {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            inner: Arc::default(),
            room: MemoryBudget::new(bytes),
            kept: Arc::default(),
        }
    }

    /// Room for an object.
    fn reserve(&self, bytes: u64) -> Result<Reservation> {
        let mut reservation = self.room.empty_reservation();
        grow(&mut reservation, bytes.saturating_add(OBJECT))?;
        Ok(reservation)
    }
}

fn grow(reservation: &mut Reservation, bytes: u64) -> Result<()> {
    if reservation.grow(bytes) {
        return Ok(());
    }
    Err(object_store::Error::Generic {
        store: STORE,
        source: Box::new(Full(reservation.budget().limit())),
    })
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait]
impl ObjectStore for Memory {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let reservation = self.reserve(payload.content_length() as u64)?;
        // Held over the write, so that what is kept is what is there.
        let mut kept = self.kept.lock().await;
        let put = self.inner.put_opts(to, payload, options).await?;
        kept.insert(to.clone(), reservation);
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload {
            reservation: Some(self.reserve(0)?),
            inner: self.inner.put_multipart_opts(to, options).await?,
            memory: self.clone(),
            to: to.clone(),
        }))
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(from, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let memory = self.clone();
        locations
            .then(move |location| {
                let memory = memory.clone();
                async move {
                    let location = location?;
                    let mut kept = memory.kept.lock().await;
                    memory.inner.delete(&location).await?;
                    kept.remove(&location);
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mut kept = self.kept.lock().await;
        let size = self.inner.head(from).await?.size;
        let reservation = self.reserve(size)?;
        self.inner.copy_opts(from, to, options).await?;
        kept.insert(to.clone(), reservation);
        Ok(())
    }
}

#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    /// There until the object is.
    reservation: Option<Reservation>,
    memory: Memory,
    to: Path,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if let Some(reservation) = &mut self.reservation
            && let Err(error) = grow(reservation, data.content_length() as u64)
        {
            return Box::pin(std::future::ready(Err(error)));
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let mut kept = self.memory.kept.lock().await;
        let put = self.inner.complete().await?;
        if let Some(reservation) = self.reservation.take() {
            kept.insert(self.to.clone(), reservation);
        }
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await?;
        self.reservation = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> Path {
        Path::from(path)
    }

    async fn put(memory: &Memory, to: &str, bytes: usize) -> Result<PutResult> {
        memory.put(&at(to), vec![0; bytes].into()).await
    }

    #[tokio::test]
    async fn objects_hold_their_bytes_as_long_as_they_are_there() {
        let memory = Memory::new(10 << 10);
        put(&memory, "a", 4 << 10).await.expect("room");
        put(&memory, "b", 3 << 10).await.expect("room");
        assert_eq!(memory.room.used(), 9 << 10);
        let error = put(&memory, "c", 1).await.expect_err("full");
        assert_eq!(Full::in_error(&error), Some(Full(10 << 10)));
        put(&memory, "c", 0).await.expect("room");
        assert!(put(&memory, "d", 0).await.is_err(), "names take room too");
        memory.delete(&at("c")).await.expect("deleted");
        memory.delete(&at("a")).await.expect("deleted");
        assert_eq!(memory.room.used(), 4 << 10);
        // Over what is there: its bytes and no others.
        put(&memory, "b", 100).await.expect("room");
        assert_eq!(memory.room.used(), OBJECT + 100);
        memory.copy(&at("b"), &at("e")).await.expect("room");
        memory.rename(&at("b"), &at("f")).await.expect("room");
        assert_eq!(memory.room.used(), 2 * (OBJECT + 100));
    }

    #[tokio::test]
    async fn parts_hold_theirs_until_they_are_given_up() {
        let memory = Memory::new(10 << 10);
        let mut upload = memory.put_multipart(&at("a")).await.expect("room");
        let part = || PutPayload::from(vec![0; 4 << 10]);
        upload.put_part(part()).await.expect("room");
        upload.put_part(part()).await.expect("room");
        assert_eq!(memory.room.used(), 9 << 10);
        assert!(upload.put_part(part()).await.is_err());
        upload.abort().await.expect("cleared");
        assert_eq!(memory.room.used(), 0);

        let mut upload = memory.put_multipart(&at("a")).await.expect("room");
        upload.put_part(part()).await.expect("room");
        drop(upload);
        assert_eq!(memory.room.used(), 0);

        let mut upload = memory.put_multipart(&at("a")).await.expect("room");
        upload.put_part(part()).await.expect("room");
        upload.complete().await.expect("there");
        assert_eq!(memory.room.used(), 5 << 10);
        assert!(memory.copy(&at("a"), &at("b")).await.is_ok());
        assert!(memory.copy(&at("a"), &at("c")).await.is_err());
    }
}
