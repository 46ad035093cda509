//! Manifests, tags and referrers: what an OCI registry knows beside blobs.

use std::collections::HashSet;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use strand_bindle::{Annotations, Sha256};
use thiserror::Error;

use crate::objects::AT_ONCE;
use crate::upload::to_json;
use crate::{Repository, Store, StoreError};

/// Most bytes of a manifest, as other registries have it.
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;

/// Most bytes of a tag, by OCI's distribution specification.
const MAX_TAG: usize = 128;

/// A manifest, or an index of them, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its `Content-Type`.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What a manifest is called by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The digest of its bytes.
    Digest(Sha256),
    /// A name that may come to mean another one.
    Tag(String),
}

/// What there is to know of some content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// `sha256:…`.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
    /// What an artefact is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
    /// Where else it is; such content need not be in the registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

/// Why a manifest or a tag was not taken, or not given.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// It cannot be read.
    #[error("the manifest cannot be read: {0}")]
    Invalid(String),
    /// What it refers to is not in the repository.
    #[error("the manifest refers to {0}, which is not in the repository: push that first")]
    Missing(String),
    /// A digest of a kind that there is not here.
    #[error(
        "`{0}` is no digest that is understood here: that is `sha256:` and 64 hexadecimal digits, in lower case"
    )]
    Digest(String),
    /// A tag that is none.
    #[error(
        "`{0}` is no tag: it has up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two"
    )]
    Tag(String),
    /// The digest that it was to have is another one.
    #[error("the manifest has the digest {actual}, where {expected} was announced")]
    Mismatch {
        /// What was said.
        expected: Sha256,
        /// What it is.
        actual: Sha256,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Of a manifest, what a registry has to understand.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    schema_version: u8,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    blobs: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Annotations,
}

impl Fields {
    fn parse(bytes: &[u8]) -> Result<Self, RegistryError> {
        let invalid = |why: String| RegistryError::Invalid(why);
        let fields: Self =
            serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        if fields.schema_version != 2 {
            let version = fields.schema_version;
            return Err(invalid(format!(
                "schemaVersion is {version}, and has to be 2"
            )));
        }
        Ok(fields)
    }

    /// The blobs that have to be there.
    fn blobs(&self) -> Result<HashSet<Sha256>, RegistryError> {
        let blobs = self.config.iter().chain(&self.layers).chain(&self.blobs);
        blobs
            .filter(|blob| blob.urls.is_empty())
            .map(|blob| parse_digest(&blob.digest))
            .collect()
    }

    fn children(&self) -> Result<HashSet<Sha256>, RegistryError> {
        let children = self.manifests.iter();
        children.map(|child| parse_digest(&child.digest)).collect()
    }

    /// What an artefact is; an image, what its configuration is.
    fn artifact_type(&self) -> Option<String> {
        let config = || Some(self.config.as_ref()?.media_type.clone());
        self.artifact_type.clone().or_else(config)
    }
}

/// Reads `sha256:…`.
///
/// # Errors
/// What is something else.
pub fn parse_digest(text: &str) -> Result<Sha256, RegistryError> {
    let digits = text
        .strip_prefix("sha256:")
        .and_then(|digits| digits.parse().ok());
    digits.ok_or_else(|| RegistryError::Digest(text.chars().take(100).collect()))
}

impl Reference {
    /// Reads a digest or a tag.
    ///
    /// # Errors
    /// What is neither.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        if text.contains(':') {
            return parse_digest(text).map(Self::Digest);
        }
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins = text.bytes().next().is_some_and(is_word);
        let goes_on = text
            .bytes()
            .all(|byte| is_word(byte) || byte == b'.' || byte == b'-');
        match begins && goes_on && text.len() <= MAX_TAG {
            true => Ok(Self::Tag(text.to_owned())),
            false => Err(RegistryError::Tag(text.chars().take(MAX_TAG + 1).collect())),
        }
    }
}

/// A manifest that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its digest.
    pub digest: Sha256,
    /// What it says something about.
    pub subject: Option<Sha256>,
}

/// What of a manifest is asked before it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// It only says something about other content.
    pub is_referrer: bool,
}

impl Kind {
    /// Of the bytes of a manifest.
    ///
    /// # Errors
    /// What is none.
    pub fn of(bytes: &[u8]) -> Result<Self, RegistryError> {
        let is_referrer = Fields::parse(bytes)?.subject.is_some();
        Ok(Self { is_referrer })
    }
}

impl Store {
    /// Puts a manifest into a repository that has all that it refers to, and tags it.
    ///
    /// # Errors
    /// What is no manifest, refers to something that is not there, or the store fails.
    pub async fn put_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        manifest: &Manifest,
    ) -> Result<Put, RegistryError> {
        let fields = Fields::parse(&manifest.bytes)?;
        if let Some(within) = &fields.media_type
            && *within != manifest.media_type
        {
            let why = format!(
                "it is sent as {} and says that it is {within}",
                manifest.media_type
            );
            return Err(RegistryError::Invalid(why));
        }
        let digest = Sha256::of(&manifest.bytes);
        if let Reference::Digest(expected) = *reference
            && expected != digest
        {
            let actual = digest;
            return Err(RegistryError::Mismatch { expected, actual });
        }
        let subject = match &fields.subject {
            Some(subject) => Some(parse_digest(&subject.digest)?),
            None => None,
        };
        self.check_references(repository, &fields).await?;

        let objects = self.objects();
        let layout = &objects.layout;
        let mut kept = manifest.media_type.clone().into_bytes();
        kept.push(b'\n');
        kept.extend_from_slice(&manifest.bytes);
        objects
            .create(&layout.manifest(repository, digest), kept)
            .await?;
        if let Some(subject) = subject {
            let descriptor = Descriptor {
                media_type: manifest.media_type.clone(),
                digest: format!("sha256:{digest}"),
                size: manifest.bytes.len() as u64,
                artifact_type: fields.artifact_type(),
                annotations: fields.annotations,
                urls: Vec::new(),
            };
            let at = layout.referrer(repository, subject, digest);
            objects.create(&at, to_json(&descriptor)).await?;
        }
        if let Reference::Tag(tag) = reference {
            let at = layout.tag(repository, tag);
            objects.overwrite(&at, digest.to_string()).await?;
        }
        Ok(Put { digest, subject })
    }

    /// Leases all that a manifest refers to, and sees that it is there.
    async fn check_references(
        &self,
        repository: &Repository,
        fields: &Fields,
    ) -> Result<(), RegistryError> {
        let blobs = futures::stream::iter(fields.blobs()?)
            .map(|digest| {
                async move {
                    let is_there = self.lease(digest, repository, false).await?
                        && self.holds(repository, digest).await?;
                    match is_there {
                        true => Ok(()),
                        false => Err(RegistryError::Missing(format!("sha256:{digest}"))),
                    }
                }
                .boxed()
            })
            .buffer_unordered(AT_ONCE)
            .boxed();
        blobs.try_collect::<()>().await?;
        let objects = self.objects();
        for child in fields.children()? {
            let at = objects.layout.manifest(repository, child);
            if objects.head(&at).await?.is_none() {
                return Err(RegistryError::Missing(format!("sha256:{child}")));
            }
        }
        Ok(())
    }

    /// The digest that a reference means.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn resolve(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<Sha256>, StoreError> {
        let tag = match reference {
            Reference::Digest(digest) => return Ok(Some(*digest)),
            Reference::Tag(tag) => tag,
        };
        let objects = self.objects();
        let at = objects.layout.tag(repository, tag);
        let Some(bytes) = objects.get(&at).await? else {
            return Ok(None);
        };
        let digest = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.parse().ok());
        let digest = digest.ok_or_else(|| StoreError::Foreign(at.to_string()))?;
        Ok(Some(digest))
    }

    /// A manifest, if it is there.
    ///
    /// # Errors
    /// If the store fails, or it was changed in the bucket.
    pub async fn manifest(
        &self,
        repository: &Repository,
        digest: Sha256,
    ) -> Result<Option<Manifest>, StoreError> {
        let objects = self.objects();
        let at = objects.layout.manifest(repository, digest);
        self.read_manifest(&at, digest).await
    }

    async fn read_manifest(
        &self,
        at: &Path,
        digest: Sha256,
    ) -> Result<Option<Manifest>, StoreError> {
        let Some(kept) = self.objects().get(at).await? else {
            return Ok(None);
        };
        let line = kept.iter().position(|byte| *byte == b'\n');
        let parts = line.map(|line| (kept.slice(..line), kept.slice(line + 1..)));
        let manifest = parts.and_then(|(media_type, bytes)| {
            let media_type = String::from_utf8(media_type.to_vec()).ok()?;
            Some(Manifest { media_type, bytes })
        });
        let manifest = manifest.ok_or_else(|| StoreError::Foreign(at.to_string()))?;
        let actual = Sha256::of(&manifest.bytes);
        if actual != digest {
            let why = format!("its bytes have the digest {actual}");
            return Err(StoreError::Damaged { digest, why });
        }
        Ok(Some(manifest))
    }

    /// Takes a tag away, or a manifest. False if it is not there.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn delete_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<bool, StoreError> {
        let objects = self.objects();
        let layout = &objects.layout;
        match reference {
            Reference::Tag(tag) => {
                let at = layout.tag(repository, tag);
                let is_there = objects.head(&at).await?.is_some();
                objects.delete(vec![at]).await?;
                Ok(is_there)
            }
            Reference::Digest(digest) => {
                let at = layout.manifest(repository, *digest);
                let Some(manifest) = self.read_manifest(&at, *digest).await? else {
                    return Ok(false);
                };
                let mut gone = vec![at];
                let fields = Fields::parse(&manifest.bytes).ok();
                let subject = fields.and_then(|fields| fields.subject);
                if let Some(subject) = subject
                    && let Ok(subject) = parse_digest(&subject.digest)
                {
                    gone.insert(0, layout.referrer(repository, subject, *digest));
                }
                objects.delete(gone).await?;
                Ok(true)
            }
        }
    }

    /// The tags of a repository in the order of their bytes; none if there is no such repository.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>, StoreError> {
        let objects = self.objects();
        let layout = &objects.layout;
        let mut tags: Vec<String> = objects
            .list(&layout.tags(repository))
            .await?
            .iter()
            .filter_map(|meta| meta.location.filename().map(str::to_owned))
            .collect();
        tags.sort_unstable();
        if tags.is_empty()
            && !objects
                .any(&layout.manifests_of(repository), |_| true)
                .await?
        {
            return Ok(None);
        }
        Ok(Some(tags))
    }

    /// The manifests that say something about some content.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: Sha256,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let objects = self.objects();
        let listed = objects
            .list(&objects.layout.referrers(repository, subject))
            .await?;
        futures::stream::iter(listed)
            .map(|meta| {
                async move {
                    let Some(bytes) = objects.get(&meta.location).await? else {
                        return Ok(None);
                    };
                    let descriptor = serde_json::from_slice(&bytes);
                    let foreign = |_| StoreError::Foreign(meta.location.to_string());
                    descriptor.map(Some).map_err(foreign)
                }
                .boxed()
            })
            .buffered(AT_ONCE)
            .boxed()
            .try_filter_map(|descriptor| async { Ok(descriptor) })
            .try_collect()
            .await
    }

    /// All content that manifests refer to.
    pub(crate) async fn in_manifests(
        &self,
        referenced: &mut HashSet<Sha256>,
    ) -> Result<(), StoreError> {
        let objects = self.objects();
        let listed = objects.list(&objects.layout.manifests()).await?;
        let mut manifests = futures::stream::iter(listed)
            .map(|meta| {
                async move {
                    let digest = meta.location.filename().and_then(|name| name.parse().ok());
                    let foreign = || StoreError::Foreign(meta.location.to_string());
                    let digest = digest.ok_or_else(foreign)?;
                    let Some(manifest) = self.read_manifest(&meta.location, digest).await? else {
                        return Ok(HashSet::new());
                    };
                    let fields = Fields::parse(&manifest.bytes);
                    // It was taken once, so that this is some other program's.
                    fields
                        .and_then(|fields| fields.blobs())
                        .map_err(|_| foreign())
                }
                .boxed()
            })
            .buffer_unordered(AT_ONCE)
            .boxed();
        while let Some(blobs) = manifests.try_next().await? {
            referenced.extend(blobs);
        }
        Ok(())
    }
}
