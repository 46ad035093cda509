//! What a resource of a Directive is on this node: `--bind blobs.NAME=WHERE`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a bucket's blobs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobLocation {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an S3 server, and a prefix in it (without slashes around it).
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix; empty for the whole bucket.
        prefix: String,
    },
    /// Memory that is gone when the node ends.
    Memory,
}

/// One `--bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The resource's name.
    pub name: String,
    /// Where its blobs are.
    pub location: BlobLocation,
}

/// Why a binding is not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BindingError {
    /// Not of the form.
    #[error("`{0}` is not of the form `blobs.NAME=WHERE`")]
    Form(String),
    /// A kind of resource that there is not.
    #[error("`{0}` is no kind of resource; there is `blobs`")]
    Kind(String),
    /// A place that there is not.
    #[error(
        "`{0}` is no place for blobs: a folder, `s3://BUCKET` or `s3://BUCKET/PREFIX`, or `memory:`"
    )]
    Location(String),
}

impl FromStr for Binding {
    type Err = BindingError;

    fn from_str(text: &str) -> Result<Self, BindingError> {
        let form = || BindingError::Form(text.to_owned());
        let (resource, location) = text.split_once('=').ok_or_else(form)?;
        let (kind, name) = resource.split_once('.').ok_or_else(form)?;
        if kind != "blobs" {
            return Err(BindingError::Kind(kind.to_owned()));
        }
        if name.is_empty() {
            return Err(form());
        }
        Ok(Self {
            name: name.to_owned(),
            location: location.parse()?,
        })
    }
}

impl FromStr for BlobLocation {
    type Err = BindingError;

    fn from_str(text: &str) -> Result<Self, BindingError> {
        let wrong = || BindingError::Location(text.to_owned());
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(wrong());
            }
            return Ok(Self::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            });
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(wrong());
        }
        Ok(Self::Folder(path.into()))
    }
}

/// All bindings of a node, by the resource's name.
pub type Bindings = BTreeMap<String, BlobLocation>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let s3 = |bucket: &str, prefix: &str| BlobLocation::S3 {
            bucket: bucket.into(),
            prefix: prefix.into(),
        };
        for (text, location) in [
            ("blobs.g=s3://b", s3("b", "")),
            ("blobs.g=s3://b/", s3("b", "")),
            ("blobs.g=s3://b/p/q/", s3("b", "p/q")),
            ("blobs.g=memory:", BlobLocation::Memory),
            ("blobs.g=./x", BlobLocation::Folder("./x".into())),
            ("blobs.g=file:///x", BlobLocation::Folder("/x".into())),
            ("blobs.g=a=b", BlobLocation::Folder("a=b".into())),
        ] {
            let binding: Binding = text.parse().expect(text);
            assert_eq!((binding.name.as_str(), binding.location), ("g", location));
        }
    }

    #[test]
    fn what_is_no_binding() {
        for (text, error) in [
            ("", BindingError::Form(String::new())),
            ("blobs=x", BindingError::Form("blobs=x".into())),
            ("blobs.=x", BindingError::Form("blobs.=x".into())),
            ("kv.g=x", BindingError::Kind("kv".into())),
            ("blobs.g=", BindingError::Location(String::new())),
            ("blobs.g=s3://", BindingError::Location("s3://".into())),
            ("blobs.g=gs://b", BindingError::Location("gs://b".into())),
        ] {
            assert_eq!(text.parse::<Binding>().expect_err(text), error);
        }
    }
}
