//! Content on its way in.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::PutPayload;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use strand_bindle::Sha256;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::blob::{Blob, Pieces};
use crate::lease::{LEASE, is_young};
use crate::objects::Objects;
use crate::{Repository, Store, StoreError};

/// Most pieces of an upload. Each time that it is left off ends one.
const MAX_PIECES: usize = 65_536;

/// What an upload that can be resumed is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(Uuid);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// What an object `uploads/U/upload` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    /// Where the content is to go.
    repository: String,
}

/// Content on its way in. What is dropped before it is finished leaves nothing in the way of
/// another upload; if it cannot be resumed its pieces are deleted at once.
pub struct Upload {
    store: Store,
    id: Uuid,
    repository: Repository,
    resumable: bool,
    hash: sha2::Sha256,
    /// Bytes of the pieces that are written, or being written.
    pieces: Vec<u64>,
    /// When the last of them was.
    last: SystemTime,
    buffer: Buffer,
    writing: Option<JoinHandle<Result<bool, StoreError>>>,
}

/// What came and is not yet in a piece.
#[derive(Default)]
struct Buffer {
    chunks: Vec<Bytes>,
    bytes: usize,
    /// Of the pieces that may be in memory.
    place: Option<OwnedSemaphorePermit>,
}

impl Store {
    /// Begins to put content into a repository, all at once.
    pub fn put(&self, repository: &Repository) -> Upload {
        self.begin(self.0.clock.id(), repository, false)
    }

    fn begin(&self, id: Uuid, repository: &Repository, resumable: bool) -> Upload {
        Upload {
            store: self.clone(),
            id,
            repository: repository.clone(),
            resumable,
            hash: sha2::Sha256::new(),
            pieces: Vec::new(),
            last: self.0.clock.now(),
            buffer: Buffer::default(),
            writing: None,
        }
    }

    /// Begins to put content into a repository, so that any server can go on with it.
    ///
    /// # Errors
    /// If the bucket fails.
    pub async fn put_resumable(&self, repository: &Repository) -> Result<Upload, StoreError> {
        let upload = self.begin(self.0.clock.id(), repository, true);
        let begun = Begun {
            repository: repository.to_string(),
        };
        let objects = self.objects();
        let at = objects.layout.upload(upload.id);
        objects.create(&at, to_json(&begun)).await?;
        Ok(upload)
    }

    /// Goes on with an upload into that repository, where it stands.
    ///
    /// # Errors
    /// If there is none, nothing came for half a [`LEASE`], or the bucket fails.
    pub async fn resume(
        &self,
        id: UploadId,
        repository: &Repository,
    ) -> Result<Upload, StoreError> {
        let objects = self.objects();
        let at = objects.layout.upload(id.0);
        let no_upload = || StoreError::NoUpload(id);
        let begun = objects.get(&at).await?.ok_or_else(no_upload)?;
        let begun: Begun =
            serde_json::from_slice(&begun).map_err(|_| StoreError::Foreign(at.to_string()))?;
        if begun.repository != repository.as_str() {
            return Err(no_upload());
        }
        let mut upload = self.begin(id.0, repository, true);
        let listed = objects.list(&objects.layout.data_of(id.0)).await?;
        let begun_at = objects.head(&at).await?.ok_or_else(no_upload)?;
        upload.last = SystemTime::from(begun_at.last_modified);
        for (number, meta) in (0..).zip(listed) {
            if meta.location != objects.layout.piece(id.0, number) {
                return Err(StoreError::Foreign(meta.location.to_string()));
            }
            upload.pieces.push(meta.size);
            upload.last = upload.last.max(SystemTime::from(meta.last_modified));
        }
        if !upload.is_in_time() {
            return Err(no_upload());
        }
        upload.hash_again(objects).await?;
        Ok(upload)
    }

    /// Ends an upload without content; its pieces go with the next collection after a [`LEASE`].
    ///
    /// # Errors
    /// If the bucket fails.
    pub async fn cancel(&self, id: UploadId) -> Result<(), StoreError> {
        self.forget(id.0).await
    }

    async fn forget(&self, id: Uuid) -> Result<(), StoreError> {
        let objects = self.objects();
        let states = objects.list(&objects.layout.states(id)).await?;
        let mut gone = vec![objects.layout.upload(id)];
        gone.extend(states.into_iter().map(|meta| meta.location));
        objects.delete(gone).await
    }
}

impl Upload {
    /// What it is called, for [`Store::resume`].
    pub fn id(&self) -> UploadId {
        UploadId(self.id)
    }

    /// Bytes that came so far.
    pub fn offset(&self) -> u64 {
        self.pieces.iter().sum::<u64>() + self.buffer.bytes as u64
    }

    /// Takes more bytes. Waits while too many pieces are in memory, or the last one is written.
    ///
    /// # Errors
    /// If there are too many bytes, another request goes on with the same upload, or the bucket
    /// fails.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        let limits = self.store.limits();
        if self.offset() + bytes.len() as u64 > limits.blob {
            return Err(StoreError::TooLarge(limits.blob));
        }
        while !bytes.is_empty() {
            if self.buffer.place.is_none() {
                let places = &self.store.0.pieces;
                // Nobody closes them.
                self.buffer.place = std::sync::Arc::clone(places).acquire_owned().await.ok();
            }
            let room = limits.piece.max(1) - self.buffer.bytes;
            let chunk = bytes.split_to(room.min(bytes.len()));
            self.hash.update(&chunk);
            self.buffer.bytes += chunk.len();
            self.buffer.chunks.push(chunk);
            if self.buffer.bytes == limits.piece.max(1) {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Has what is in memory written, once the piece before it is.
    async fn flush(&mut self) -> Result<(), StoreError> {
        self.written().await?;
        if self.buffer.bytes == 0 {
            return Ok(());
        }
        if self.pieces.len() >= MAX_PIECES {
            return Err(StoreError::TooManyPieces(MAX_PIECES));
        }
        let Buffer {
            chunks,
            bytes,
            place,
        } = std::mem::take(&mut self.buffer);
        let store = self.store.clone();
        let number = self.pieces.len() as u32;
        let at = store.objects().layout.piece(self.id, number);
        self.pieces.push(bytes as u64);
        self.writing = Some(tokio::spawn(async move {
            let created = store
                .objects()
                .create(&at, PutPayload::from_iter(chunks))
                .await;
            drop(place);
            created
        }));
        Ok(())
    }

    /// Waits for the piece that is being written.
    async fn written(&mut self) -> Result<(), StoreError> {
        let Some(writing) = &mut self.writing else {
            return Ok(());
        };
        let written = writing.await;
        self.writing = None;
        match written {
            Ok(Ok(true)) => {
                self.last = self.store.0.clock.now();
                Ok(())
            }
            Ok(Ok(false)) => Err(StoreError::Contended(UploadId(self.id))),
            Ok(Err(error)) => Err(error),
            // The runtime ends, or there was a panic, which was told.
            Err(_) => Err(StoreError::NoUpload(UploadId(self.id))),
        }
    }

    /// Whether the pieces are sure to be there still.
    fn is_in_time(&self) -> bool {
        is_young(self.last, self.store.0.clock.now(), LEASE / 2)
    }

    /// Makes durable what came, so that it can be gone on with from [`offset`](Self::offset).
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub async fn pause(mut self) -> Result<u64, StoreError> {
        self.flush().await?;
        self.written().await?;
        let offset = self.offset();
        let objects = self.store.objects();
        let at = objects.layout.state(self.id, offset);
        let state = self.hash.serialize();
        objects.create(&at, state.as_slice().to_vec()).await?;
        Ok(offset)
    }

    /// Ends the upload: the content is there, and its repository has it. If the store has had it
    /// already, it is kept once.
    ///
    /// # Errors
    /// If it is not the content that was announced; such an upload is at its end. Otherwise as for
    /// [`write`](Self::write): one that can be resumed can be finished again.
    pub async fn finish(mut self, expected: Sha256) -> Result<Blob, StoreError> {
        self.flush().await?;
        self.written().await?;
        let actual = Sha256::from_bytes(self.hash.clone().finalize().into());
        if actual != expected {
            if self.resumable {
                self.store.forget(self.id).await?;
            }
            return Err(StoreError::Digest { expected, actual });
        }
        let store = self.store.clone();
        store.write_lease(expected, &self.repository, true).await?;
        let there = store.copies(expected).await?.staying.into_iter().next();
        if let Some(copy) = there
            && copy != self.id
            && let Some(blob) = store.copy_of(expected, copy).await?
        {
            if self.resumable {
                // Its pieces stay for now: another request may be about to finish with them.
                store.forget(self.id).await?;
            }
            return Ok(blob);
        }
        if !self.is_in_time() {
            return Err(StoreError::NoUpload(UploadId(self.id)));
        }
        let pieces = Pieces::new(std::mem::take(&mut self.pieces));
        let objects = store.objects();
        let at = objects.layout.copy(expected, self.id);
        // Where it is there already, another request has finished this very upload.
        let created = objects.create(&at, to_json(&pieces)).await;
        // From here on the pieces may be somebody's, even if nobody knows whether they are.
        let resumable = std::mem::replace(&mut self.resumable, true);
        created?;
        if resumable {
            store.forget(self.id).await?;
        }
        Ok(Blob::new(expected, self.id, pieces))
    }

    /// Computes the digest of what is in the bucket, from where it was left off.
    async fn hash_again(&mut self, objects: &Objects) -> Result<(), StoreError> {
        let mut begin = 0;
        let durable = self.offset();
        for meta in objects
            .list(&objects.layout.states(self.id))
            .await?
            .iter()
            .rev()
        {
            let name = meta.location.filename().unwrap_or_default();
            let Ok(offset) = name.parse::<u64>() else {
                continue;
            };
            if offset > durable {
                continue;
            }
            let state = objects.get(&meta.location).await?.unwrap_or_default();
            let state = SerializedState::<sha2::Sha256>::try_from(&state[..]);
            if let Ok(state) = state
                && let Ok(hash) = sha2::Sha256::deserialize(&state)
            {
                self.hash = hash;
                begin = offset;
                break;
            }
        }
        let blob = Blob::new(Sha256::of([]), self.id, Pieces::new(self.pieces.clone()));
        if begin < durable {
            let mut rest = std::pin::pin!(self.store.read_pieces(&blob, begin..durable));
            while let Some(bytes) = rest.try_next().await? {
                self.hash.update(&bytes);
            }
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.resumable || (self.pieces.is_empty() && self.writing.is_none()) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // A collection finds what is left.
            return;
        };
        let store = self.store.clone();
        let id = self.id;
        let count = self.pieces.len() as u32;
        let writing = self.writing.take();
        runtime.spawn(async move {
            // Otherwise the last piece could come after its deletion.
            if let Some(writing) = writing {
                let _ = writing.await;
            }
            let layout = &store.objects().layout;
            let pieces = (0..count).map(|number| layout.piece(id, number)).collect();
            if let Err(error) = store.objects().delete(pieces).await {
                tracing::debug!(%error, upload = %id, "pieces stay until they are collected");
            }
        });
    }
}

/// Writes a small object of ours.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers can be written")
}
