//! A store, and a prefix in it.

use std::fmt;
use std::path::Path as FsPath;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use crate::folder::Folder;
use crate::s3::{S3Options, open};

/// The longest name of an object in bytes, without the bucket's prefix. S3 has
/// the same limit.
pub const MAX_NAME: usize = 1024;

/// Why a place for objects cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The folder cannot be opened.
    #[error("the folder {path} cannot be opened: {source}; make it, or bind another place")]
    Folder {
        /// The folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The prefix is no path of an object.
    #[error("`{prefix}` is no prefix of objects: {source}")]
    Prefix {
        /// The prefix.
        prefix: String,
        /// Why.
        source: object_store::path::Error,
    },
    /// The options of S3 do not go together.
    #[error("the bucket `{bucket}` cannot be used: {source}")]
    S3 {
        /// The bucket.
        bucket: String,
        /// Why.
        source: object_store::Error,
    },
    /// The process has no TLS.
    #[error(
        "the process has no TLS provider: call \
         `rustls::crypto::ring::default_provider().install_default()` first"
    )]
    NoTls,
}

/// A place for objects: a store, and a prefix in it.
#[derive(Clone)]
pub struct Bucket {
    /// Names the store: two buckets of one origin are in the same one.
    origin: Arc<str>,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.origin, self.prefix)
    }
}

impl Bucket {
    /// A store of any kind; `origin` names it among all stores of the node.
    ///
    /// # Errors
    /// When the prefix is none.
    pub fn new(
        origin: impl Into<Arc<str>>,
        store: Arc<dyn ObjectStore>,
        prefix: &str,
    ) -> Result<Self, BucketError> {
        let prefix = Path::parse(prefix).map_err(|source| BucketError::Prefix {
            prefix: prefix.to_owned(),
            source,
        })?;
        Ok(Self {
            origin: origin.into(),
            store,
            prefix,
        })
    }

    /// A folder of this machine, which must be there. What is written is synced
    /// before it is acknowledged; no name and no link leads out of the folder.
    /// While something is written there is a folder `.strand-uploads` in it.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub fn folder(path: &FsPath) -> Result<Self, BucketError> {
        let folder = Folder::open(path).map_err(|source| BucketError::Folder {
            path: path.display().to_string(),
            source,
        })?;
        let origin = format!("file://{}", folder.path().display());
        Self::new(origin, Arc::new(folder), "")
    }

    /// A prefix of a bucket of S3, or of a server that speaks its protocol.
    /// Needs the process's TLS provider; does not connect yet.
    ///
    /// # Errors
    /// When the options do not go together, or there is no TLS provider.
    pub fn s3(bucket: &str, prefix: &str, options: &S3Options) -> Result<Self, BucketError> {
        let endpoint = options.endpoint.as_deref().unwrap_or("s3");
        let origin = format!("{endpoint}/{bucket}");
        Self::new(origin, open(bucket, options)?, prefix)
    }

    /// The store that it is in.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Whether both are in one store, so that it can copy by itself.
    pub fn same_store(&self, other: &Self) -> bool {
        self.origin == other.origin
    }

    /// The prefix, for listing. None where there is none.
    pub fn prefix(&self) -> Option<&Path> {
        (!self.prefix.as_ref().is_empty()).then_some(&self.prefix)
    }

    /// Where an object is in the store.
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn locate(&self, name: &str) -> Result<Path, String> {
        let wrong = |why: &str| {
            let shown: String = name.chars().take(64).collect();
            format!("{shown:?} is no name of an object: {why}")
        };
        if name.len() > MAX_NAME {
            return Err(wrong("it is longer than 1024 bytes"));
        }
        // `Path` would take these off, so that two names were one object.
        if name.is_empty() || name.starts_with('/') || name.ends_with('/') {
            return Err(wrong("it is empty, or begins or ends with `/`"));
        }
        let name = Path::parse(name).map_err(|_| {
            wrong("a part of it is empty, `.` or `..`, or it holds a control character")
        })?;
        Ok(self.prefix.parts().chain(name.parts()).collect())
    }

    /// The name of an object of the store, without the bucket's prefix. None for one that is not
    /// below it.
    pub fn name(&self, location: &Path) -> Option<String> {
        let name = match self.prefix() {
            None => location.as_ref(),
            Some(prefix) => location
                .as_ref()
                .strip_prefix(prefix.as_ref())?
                .strip_prefix('/')?,
        };
        Some(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn bucket(prefix: &str) -> Bucket {
        Bucket::new("test", Arc::new(InMemory::new()), prefix).expect("a prefix")
    }

    #[test]
    fn names_stay_below_the_prefix() {
        let long = "x".repeat(MAX_NAME);
        for prefix in ["", "a/b"] {
            let bucket = bucket(prefix);
            for name in ["x", "x/y", "%41 ü#1", "..x", "x.", long.as_str()] {
                let location = bucket.locate(name).expect("a name");
                assert_eq!(bucket.name(&location).as_deref(), Some(name));
                assert!(location.as_ref().starts_with(prefix));
            }
        }
        assert_eq!(bucket("a/b").locate("c").expect("a name").as_ref(), "a/b/c");
        assert_eq!(bucket("a/b").name(&Path::from("a/bc")), None);
    }

    #[test]
    fn other_names_are_refused() {
        let long = "x".repeat(MAX_NAME + 1);
        for name in [
            "", "/", "/x", "x/", "..", ".", "a/../b", "a/./b", "a//b", "a\nb", "a\0", &long,
        ] {
            let error = bucket("p").locate(name).expect_err(name);
            assert!(error.contains("is no name of an object: "), "{error}");
        }
    }

    #[test]
    fn a_prefix_cannot_lead_upwards() {
        let store = Arc::new(InMemory::new());
        assert!(Bucket::new("test", store, "a/../..").is_err());
    }
}
