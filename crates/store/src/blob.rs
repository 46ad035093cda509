//! Content that is there: its copies, and reading it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use object_store::{Error, GetOptions, GetRange, ObjectStore};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use strand_bindle::Sha256;
use uuid::Uuid;

use crate::layout::{CONDEMNED, Layout};
use crate::{Repository, Store, StoreError};

/// Content that is in a store.
#[derive(Clone, Debug)]
pub struct Blob {
    digest: Sha256,
    copy: Uuid,
    pieces: Arc<Pieces>,
}

/// What an object `blobs/D/U` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pieces {
    /// Bytes of all pieces.
    pub(crate) size: u64,
    /// Bytes of each.
    pub(crate) pieces: Vec<u64>,
}

impl Pieces {
    pub(crate) fn new(pieces: Vec<u64>) -> Self {
        Self {
            size: pieces.iter().sum(),
            pieces,
        }
    }
}

/// The copies of some content. There is one, but for who puts the same at the same time.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// Those that will stay, in the order of their names.
    pub(crate) staying: Vec<Uuid>,
    /// Those that are to go.
    pub(crate) condemned: Vec<Uuid>,
}

impl Copies {
    /// Whether anybody may rely on the content.
    pub(crate) fn is_there(&self) -> bool {
        !self.staying.is_empty()
    }

    /// Takes up what one object `blobs/D/NAME` says. A sentence stands behind the copy in the
    /// order of names, so that both are known when the last object was.
    pub(crate) fn note(&mut self, name: &str) {
        let (name, condemned) = match name.strip_suffix(CONDEMNED) {
            Some(name) => (name, true),
            None => (name, false),
        };
        let Ok(copy) = Uuid::parse_str(name) else {
            return;
        };
        if !condemned {
            self.staying.push(copy);
        } else if let Some(index) = self.staying.iter().position(|staying| *staying == copy) {
            self.staying.remove(index);
            self.condemned.push(copy);
        }
        // A sentence without its copy was carried out.
    }
}

impl Store {
    pub(crate) async fn copies(&self, digest: Sha256) -> Result<Copies, StoreError> {
        let objects = self.objects();
        let mut copies = Copies::default();
        for meta in objects.list(&objects.layout.copies(digest)).await? {
            copies.note(meta.location.filename().unwrap_or_default());
        }
        Ok(copies)
    }

    /// Whether content is there.
    ///
    /// # Errors
    /// If the bucket fails.
    pub async fn is_there(&self, digest: Sha256) -> Result<bool, StoreError> {
        Ok(self.copies(digest).await?.is_there())
    }

    /// Content by its digest, if it is there.
    ///
    /// # Errors
    /// If the bucket fails, or something is in it that the store did not put there.
    pub async fn blob(&self, digest: Sha256) -> Result<Option<Blob>, StoreError> {
        let Copies { staying, condemned } = self.copies(digest).await?;
        // Whoever reads may have what is about to go.
        for copy in staying.into_iter().chain(condemned) {
            if let Some(blob) = self.copy_of(digest, copy).await? {
                return Ok(Some(blob));
            }
        }
        Ok(None)
    }

    /// Content that a repository has.
    ///
    /// # Errors
    /// As for [`blob`](Self::blob).
    pub async fn blob_of(
        &self,
        repository: &Repository,
        digest: Sha256,
    ) -> Result<Option<Blob>, StoreError> {
        match self.holds(repository, digest).await? {
            true => self.blob(digest).await,
            false => Ok(None),
        }
    }

    pub(crate) async fn copy_of(
        &self,
        digest: Sha256,
        copy: Uuid,
    ) -> Result<Option<Blob>, StoreError> {
        let objects = self.objects();
        let at = objects.layout.copy(digest, copy);
        let Some(text) = objects.get(&at).await? else {
            return Ok(None);
        };
        let pieces: Pieces =
            serde_json::from_slice(&text).map_err(|_| StoreError::Foreign(at.to_string()))?;
        let blob = Blob {
            digest,
            copy,
            pieces: Arc::new(pieces),
        };
        Ok(Some(blob))
    }

    /// Reads a range of some content, which ends where that ends. The whole of it is verified on
    /// the way: its last bytes come only if the digest is right.
    pub fn read(
        &self,
        blob: &Blob,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + use<> {
        let size = blob.size();
        let range = range.start.min(size)..range.end.min(size);
        let whole = range == (0..size);
        let pieces = self.read_pieces(blob, range);
        match whole {
            true => verified(pieces, blob.digest, size).boxed(),
            false => pieces,
        }
    }

    /// Reads what is there, whatever digest it has.
    pub(crate) fn read_pieces(
        &self,
        blob: &Blob,
        range: Range<u64>,
    ) -> BoxStream<'static, Result<Bytes, StoreError>> {
        let objects = self.objects();
        pieces(
            Arc::clone(objects.store()),
            objects.layout.clone(),
            blob.clone(),
            range,
        )
    }
}

impl Blob {
    pub(crate) fn new(digest: Sha256, copy: Uuid, pieces: Pieces) -> Self {
        Self {
            digest,
            copy,
            pieces: Arc::new(pieces),
        }
    }

    /// What it is called after.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.pieces.size
    }

    pub(crate) fn piece_count(&self) -> u32 {
        // An upload has no more.
        self.pieces.pieces.len() as u32
    }

    pub(crate) fn pieces(&self) -> &[u64] {
        &self.pieces.pieces
    }
}

/// What is to be read of each piece: its number, and the range in it.
fn parts(pieces: &[u64], range: &Range<u64>) -> Vec<(u32, Range<u64>)> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (number, size) in (0..).zip(pieces) {
        let end = begin + size;
        let part = range.start.max(begin)..range.end.min(end);
        if !part.is_empty() {
            parts.push((number, part.start - begin..part.end - begin));
        }
        begin = end;
    }
    parts
}

/// One piece after the other, each of the size that it has to have.
fn pieces(
    store: Arc<dyn ObjectStore>,
    layout: Layout,
    blob: Blob,
    range: Range<u64>,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let parts = parts(blob.pieces(), &range);
    let damaged = move |why: String| StoreError::Damaged {
        digest: blob.digest,
        why,
    };
    futures::stream::iter(parts)
        .then(move |(number, part)| {
            let at = layout.piece(blob.copy, number);
            let store = Arc::clone(&store);
            let options = GetOptions::new().with_range(Some(GetRange::Bounded(part.clone())));
            async move {
                let got = store
                    .get_opts(&at, options)
                    .await
                    .map_err(|error| match error {
                        Error::NotFound { .. } => damaged(format!("its piece {number} is gone")),
                        error => StoreError::bucket("reading a piece")(error),
                    })?;
                if got.range != part {
                    return Err(damaged(format!("its piece {number} is too short")));
                }
                Ok(got
                    .into_stream()
                    .map_err(StoreError::bucket("reading a piece")))
            }
        })
        .try_flatten()
        .boxed()
}

/// What comes, but the last of it only if all of it has this digest.
fn verified(
    bytes: BoxStream<'static, Result<Bytes, StoreError>>,
    digest: Sha256,
    size: u64,
) -> impl Stream<Item = Result<Bytes, StoreError>> {
    let state = (bytes, sha2::Sha256::new(), size);
    futures::stream::try_unfold(state, move |(mut bytes, mut hash, left)| async move {
        let Some(piece) = bytes.try_next().await? else {
            return match left {
                0 => Ok(None),
                left => Err(StoreError::Damaged {
                    digest,
                    why: format!("{left} bytes are missing"),
                }),
            };
        };
        hash.update(&piece);
        let left = left.saturating_sub(piece.len() as u64);
        if left == 0 {
            let actual = Sha256::from_bytes(hash.clone().finalize().into());
            if actual != digest {
                let why = format!("its bytes have the digest {actual}");
                return Err(StoreError::Damaged { digest, why });
            }
        }
        Ok(Some((piece, (bytes, hash, left))))
    })
}
