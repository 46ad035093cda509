//! A bucket in memory whose operations happen one by one, when the test lets them, and whose
//! objects have the test's time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};
use tokio::sync::oneshot;

use super::clock::Still;
use crate::Clock as _;

#[derive(Clone, Debug)]
pub(super) struct Stepped {
    inner: Arc<InMemory>,
    clock: Arc<Still>,
    shared: Arc<Mutex<Shared>>,
    /// Whether operations wait for the test.
    gated: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Vec<oneshot::Sender<()>>,
    made: HashMap<Path, SystemTime>,
}

impl Stepped {
    pub(super) fn new(clock: &Arc<Still>) -> Self {
        Self {
            inner: Arc::default(),
            clock: Arc::clone(clock),
            shared: Arc::default(),
            gated: true,
        }
    }

    /// The same objects, without waiting.
    pub(super) fn at_once(&self) -> Self {
        Self {
            gated: false,
            ..self.clone()
        }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations wait.
    pub(super) fn waiting(&self) -> usize {
        let mut shared = self.shared();
        // Those whose tasks were ended do not.
        shared.waiting.retain(|waiting| !waiting.is_closed());
        shared.waiting.len()
    }

    /// Lets one of them happen.
    pub(super) fn step(&self, index: usize) {
        let waiting = self.shared().waiting.remove(index);
        let _ = waiting.send(());
    }

    async fn gate(&self) {
        if self.gated {
            let (sender, receiver) = oneshot::channel();
            self.shared().waiting.push(sender);
            // Without a test there is nobody who would see what happens.
            let _ = receiver.await;
        }
    }

    fn dated(&self, mut meta: ObjectMeta) -> ObjectMeta {
        if let Some(made) = self.shared().made.get(&meta.location) {
            meta.last_modified = (*made).into();
        }
        meta
    }
}

impl fmt::Display for Stepped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stepped")
    }
}

#[async_trait]
impl ObjectStore for Stepped {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.gate().await;
        let put = self.inner.put_opts(to, payload, options).await?;
        self.shared().made.insert(to.clone(), self.clock.now());
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented {
            operation: "put_multipart".to_owned(),
            implementer: self.to_string(),
        })
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.gate().await;
        let mut got = self.inner.get_opts(from, options).await?;
        got.meta = self.dated(got.meta);
        Ok(got)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let stepped = self.clone();
        locations
            .then(move |location| {
                let stepped = stepped.clone();
                async move {
                    let location = location?;
                    stepped.gate().await;
                    stepped.inner.delete(&location).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let stepped = self.clone();
        let prefix = prefix.cloned();
        futures::stream::once(async move {
            stepped.gate().await;
            let listed: Vec<_> = stepped.inner.list(prefix.as_ref()).collect().await;
            futures::stream::iter(listed)
                .map(move |meta: Result<ObjectMeta>| meta.map(|meta| stepped.dated(meta)))
        })
        .flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.gate().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.gate().await;
        self.inner.copy_opts(from, to, options).await?;
        self.shared().made.insert(to.clone(), self.clock.now());
        Ok(())
    }
}
