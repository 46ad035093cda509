//! What can go wrong in a store.

use std::sync::Arc;

use strand_bindle::Sha256;
use thiserror::Error;

use crate::UploadId;

/// Why something could not be put or got.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// The bucket failed.
    #[error("the store's bucket failed ({what}): {source}")]
    Bucket {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: Arc<object_store::Error>,
    },
    /// What came has another digest than was said.
    #[error("the content has the digest {actual}, where {expected} was announced")]
    Digest {
        /// What was said.
        expected: Sha256,
        /// What it is.
        actual: Sha256,
    },
    /// What came has another size than was said.
    #[error("the content has {actual} bytes, where {expected} were announced")]
    Size {
        /// What was said.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// More came than may.
    #[error("the content is too large: {0} bytes are allowed")]
    TooLarge(u64),
    /// There is no such upload.
    #[error(
        "there is no upload {0}: it was ended, or nothing came for half a day; begin another one"
    )]
    NoUpload(UploadId),
    /// Somebody else goes on with the upload.
    #[error(
        "the upload {0} is continued by another request: ask where it stands and go on from there"
    )]
    Contended(UploadId),
    /// What is in the bucket is not what was put there.
    #[error("{digest} is damaged in the store's bucket: {why}; put it again")]
    Damaged {
        /// What.
        digest: Sha256,
        /// How.
        why: String,
    },
    /// There are more pieces than there may be.
    #[error("the upload has more than {0} pieces: begin another one and send more at once")]
    TooManyPieces(usize),
    /// A collection took too long.
    #[error(
        "the collection took longer than half a day and was ended: what it had found out may be wrong by now; begin another one"
    )]
    Late,
    /// Something that is no piece of this store's is among its objects.
    #[error("the object `{0}` in the store's bucket is not the store's")]
    Foreign(String),
}

impl StoreError {
    pub(crate) fn bucket(what: &'static str) -> impl Fn(object_store::Error) -> Self + Copy {
        move |source| Self::Bucket {
            what,
            source: Arc::new(source),
        }
    }
}
