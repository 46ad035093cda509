//! Each kind of bucket that a store may be in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use strand_bindle::Sha256;
use strand_objects::{Bucket, S3Credentials, S3Options};
use strand_s3_server::{ACCESS_KEY, S3Server, SECRET_KEY};
use tempfile::TempDir;

use crate::{Blob, Limits, Repository, Store, StoreError};

/// Small pieces, so that small content has several.
pub(super) const LIMITS: Limits = Limits {
    blob: 1 << 20,
    piece: 1000,
    memory: 4000,
};

/// A bucket, and what it lives in.
pub(super) struct Place {
    pub(super) bucket: Bucket,
    _server: Option<S3Server>,
    _folder: Option<TempDir>,
}

impl Place {
    pub(super) fn store(&self) -> Store {
        Store::new(&self.bucket, LIMITS)
    }
}

pub(super) fn memory() -> Place {
    let bucket = Bucket::new("memory", Arc::new(InMemory::new()), "a/prefix").unwrap();
    Place {
        bucket,
        _server: None,
        _folder: None,
    }
}

/// One of each kind.
pub(super) async fn all() -> Vec<Place> {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = Place {
        bucket: Bucket::folder(folder.path()).unwrap(),
        _server: None,
        _folder: Some(folder),
    };
    vec![memory(), in_folder, s3().await]
}

async fn s3() -> Place {
    // Another test may have been faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bucket")).unwrap();
    let server = S3Server::start(folder.path()).await.unwrap();
    let options = S3Options {
        endpoint: Some(server.endpoint()),
        credentials: Some(S3Credentials {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            session_token: None,
        }),
        retry_for: Duration::from_secs(2),
        ..S3Options::default()
    };
    Place {
        bucket: Bucket::s3("bucket", "a/prefix", &options).unwrap(),
        _server: Some(server),
        _folder: Some(folder),
    }
}

/// Bytes that look like nothing.
pub(super) fn noise(length: usize) -> Bytes {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ length as u64;
    let bytes = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    });
    bytes.take(length).collect()
}

pub(super) fn repository(name: &str) -> Repository {
    Repository::new(name).unwrap()
}

/// Puts content, in pieces of another size than the store's.
pub(super) async fn put(store: &Store, to: &str, content: &Bytes) -> Result<Blob, StoreError> {
    let mut upload = store.put(&repository(to));
    for chunk in content.chunks(700) {
        upload.write(Bytes::copy_from_slice(chunk)).await?;
    }
    upload.finish(Sha256::of(content)).await
}

/// Reads a range of content.
pub(super) async fn get(
    store: &Store,
    digest: Sha256,
    range: std::ops::Range<u64>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(blob) = store.blob(digest).await? else {
        return Ok(None);
    };
    let chunks: Vec<Bytes> = store.read(&blob, range).try_collect().await?;
    Ok(Some(chunks.concat()))
}

/// The names of all objects, below the prefix.
pub(super) async fn names(store: &Store) -> Vec<String> {
    let objects = store.objects();
    let below = objects.layout.prefix();
    let listed = objects.list(&below).await.unwrap();
    let names = listed
        .iter()
        .map(|meta| objects.layout.parts(&meta.location).join("/"));
    names.collect()
}
