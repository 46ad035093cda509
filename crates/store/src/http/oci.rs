//! An OCI registry, by the distribution specification 1.1.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LINK, LOCATION, RANGE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode,
};
use serde::Serialize;
use strand_bindle::Sha256;

use super::answer::{Answer, Refused};
use super::asked::{Asked, Incoming};
use super::{Server, body, header};
use crate::auth::{Caller, Right};
use crate::registry::{
    Descriptor, Kind, MAX_MANIFEST_BYTES, Manifest, Reference, RegistryError, parse_digest,
};
use crate::{Repository, Upload, UploadId};

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
const VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// What manifests are if nobody says.
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Most tags of a page.
const MAX_TAGS: usize = 1000;

#[derive(Serialize)]
struct Tags<'a> {
    name: &'a str,
    tags: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

/// What a path under `/v2/` is about.
enum Target {
    Base,
    Blob(Repository, Sha256),
    Uploads(Repository),
    Upload(Repository, UploadId),
    Manifest(Repository, Reference),
    Tags(Repository),
    Referrers(Repository, Sha256),
}

impl Target {
    fn parse(path: &str) -> Result<Self, Refused> {
        if path.is_empty() {
            return Ok(Self::Base);
        }
        let decoded = percent_decode_str(path)
            .decode_utf8()
            .map_err(Refused::bad)?;
        let name = |name: &str| {
            let repository = Repository::new(name);
            repository.map_err(|error| Refused::bad(error).code("NAME_INVALID"))
        };
        let path = decoded.trim_end_matches('/');
        // What is behind the name has no `/` but in `uploads/`; names may have all these words.
        if let Some(repository) = path.strip_suffix("/blobs/uploads") {
            return Ok(Self::Uploads(name(repository)?));
        }
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return Ok(Self::Tags(name(repository)?));
        }
        let no_path = || Refused::no_path(&format!("/v2/{path}")).code("NAME_INVALID");
        let (front, last) = path.rsplit_once('/').ok_or_else(no_path)?;
        if let Some(repository) = front.strip_suffix("/blobs/uploads") {
            let unknown = |_| {
                let why = format!("there is no upload `{last}`");
                Refused::new(StatusCode::NOT_FOUND, why).code("BLOB_UPLOAD_UNKNOWN")
            };
            return Ok(Self::Upload(
                name(repository)?,
                last.parse().map_err(unknown)?,
            ));
        }
        if let Some(repository) = front.strip_suffix("/blobs") {
            return Ok(Self::Blob(name(repository)?, parse_digest(last)?));
        }
        if let Some(repository) = front.strip_suffix("/manifests") {
            return Ok(Self::Manifest(name(repository)?, Reference::parse(last)?));
        }
        if let Some(repository) = front.strip_suffix("/referrers") {
            return Ok(Self::Referrers(name(repository)?, parse_digest(last)?));
        }
        Err(no_path())
    }

    fn methods(&self) -> &'static str {
        match self {
            Self::Base | Self::Tags(_) | Self::Referrers(..) => "GET, HEAD",
            Self::Blob(..) => "GET, HEAD, DELETE",
            Self::Uploads(_) => "POST",
            Self::Upload(..) => "GET, PATCH, PUT, DELETE",
            Self::Manifest(..) => "GET, HEAD, PUT, DELETE",
        }
    }
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Self {
        let (status, code) = match error {
            RegistryError::Store(error) => return error.into(),
            RegistryError::Invalid(_) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            RegistryError::Missing(_) => (StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN"),
            RegistryError::Digest(_) | RegistryError::Mismatch { .. } => {
                (StatusCode::BAD_REQUEST, "DIGEST_INVALID")
            }
            RegistryError::Tag(_) => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
        };
        Self::new(status, error.to_string()).code(code)
    }
}

fn unknown(code: &'static str, why: impl Into<String>) -> Refused {
    Refused::new(StatusCode::NOT_FOUND, why).code(code)
}

impl Server {
    pub(super) async fn oci(
        &self,
        asked: &Asked<'_>,
        path: &str,
        body: Incoming,
    ) -> Result<Answer, Refused> {
        let target = Target::parse(path)?;
        let reads = asked.reads();
        match (&target, &asked.head.method) {
            (Target::Base, _) if reads => base(asked.caller),
            (Target::Blob(repository, digest), _) if reads => {
                asked.allow(Right::Pull, repository)?;
                self.blob(asked, repository, *digest).await
            }
            (Target::Blob(repository, digest), &Method::DELETE) => {
                asked.allow(Right::Delete, repository)?;
                match self.store().let_go(repository, *digest).await? {
                    true => Ok(Answer::empty(StatusCode::ACCEPTED)),
                    false => Err(unknown_blob(repository, *digest)),
                }
            }
            (Target::Uploads(repository), &Method::POST) => {
                allow_upload(asked, repository)?;
                self.begin_upload(asked, repository, body).await
            }
            (Target::Upload(repository, id), method) => {
                allow_upload(asked, repository)?;
                match *method {
                    Method::GET => {
                        let upload = self.store().resume(*id, repository).await?;
                        let (id, offset) = (upload.id(), upload.offset());
                        stands(StatusCode::NO_CONTENT, repository, id, offset)
                    }
                    Method::PATCH => self.append(asked, repository, *id, body).await,
                    Method::PUT => self.finish_upload(asked, repository, *id, body).await,
                    Method::DELETE => {
                        self.store().resume(*id, repository).await?;
                        self.store().cancel(*id).await?;
                        Ok(Answer::empty(StatusCode::NO_CONTENT))
                    }
                    _ => Err(Refused::method(method, target.methods())),
                }
            }
            (Target::Manifest(repository, reference), _) if reads => {
                asked.allow(Right::Pull, repository)?;
                self.get_manifest(repository, reference).await
            }
            (Target::Manifest(repository, reference), &Method::PUT) => {
                self.put_manifest(asked, repository, reference, body).await
            }
            (Target::Manifest(repository, reference), &Method::DELETE) => {
                asked.allow(Right::Delete, repository)?;
                match self.store().delete_manifest(repository, reference).await? {
                    true => Ok(Answer::empty(StatusCode::ACCEPTED)),
                    false => Err(unknown_manifest(repository)),
                }
            }
            (Target::Tags(repository), _) if reads => {
                asked.allow(Right::Pull, repository)?;
                self.tags(asked, repository).await
            }
            (Target::Referrers(repository, digest), _) if reads => {
                asked.allow(Right::Pull, repository)?;
                self.referrers(asked, repository, *digest).await
            }
            (target, method) => Err(Refused::method(method, target.methods())),
        }
    }

    async fn blob(
        &self,
        asked: &Asked<'_>,
        repository: &Repository,
        digest: Sha256,
    ) -> Result<Answer, Refused> {
        let blob = self.store().blob_of(repository, digest).await?;
        let blob = blob.ok_or_else(|| unknown_blob(repository, digest))?;
        let answer = self.content(asked, &blob, "application/octet-stream")?;
        Ok(answer.with(DIGEST, digest_of(digest)?))
    }

    async fn begin_upload(
        &self,
        asked: &Asked<'_>,
        repository: &Repository,
        body: Incoming,
    ) -> Result<Answer, Refused> {
        let store = self.store();
        if let Some(digest) = asked.parameter("digest") {
            let digest = parse_digest(&digest)?;
            let upload = store.put(repository);
            return self.take_all(upload, repository, digest, body).await;
        }
        if let Some(digest) = asked.parameter("mount") {
            let digest = parse_digest(&digest)?;
            if self.may_mount(asked, repository, digest).await?
                && store.lease(digest, repository, true).await?
            {
                return created(repository, digest);
            }
        }
        let upload = store.put_resumable(repository).await?;
        stands(StatusCode::ACCEPTED, repository, upload.id(), 0)
    }

    /// Whether somebody may have content in one repository because he can see it in another one.
    async fn may_mount(
        &self,
        asked: &Asked<'_>,
        repository: &Repository,
        digest: Sha256,
    ) -> Result<bool, Refused> {
        let store = self.store();
        if store.holds(repository, digest).await? {
            return Ok(true);
        }
        let from = asked.parameter("from");
        let may_see = |other: &Repository| {
            asked.caller.may(Right::Pull, other)
                && from.as_deref().is_none_or(|from| from == other.as_str())
        };
        Ok(store.holders(digest).await?.iter().any(may_see))
    }

    async fn append(
        &self,
        asked: &Asked<'_>,
        repository: &Repository,
        id: UploadId,
        body: Incoming,
    ) -> Result<Answer, Refused> {
        let mut upload = self.store().resume(id, repository).await?;
        if let Some(answer) = out_of_order(asked, repository, &upload)? {
            return Ok(answer);
        }
        let read = body::read(body, self.0.policy.silence, async |bytes| {
            Ok(upload.write(bytes).await?)
        });
        let read = read.await;
        // Also where it broke off: what came need not come again.
        let offset = upload.pause().await;
        read?;
        stands(StatusCode::ACCEPTED, repository, id, offset?)
    }

    async fn finish_upload(
        &self,
        asked: &Asked<'_>,
        repository: &Repository,
        id: UploadId,
        body: Incoming,
    ) -> Result<Answer, Refused> {
        let digest = asked.parameter("digest").ok_or_else(|| {
            Refused::bad("an upload is ended with `?digest=sha256:…`").code("DIGEST_INVALID")
        })?;
        let digest = parse_digest(&digest)?;
        let upload = self.store().resume(id, repository).await?;
        match out_of_order(asked, repository, &upload)? {
            Some(answer) => Ok(answer),
            None => self.take_all(upload, repository, digest, body).await,
        }
    }

    /// Takes the rest of an upload and ends it.
    async fn take_all(
        &self,
        mut upload: Upload,
        repository: &Repository,
        digest: Sha256,
        body: Incoming,
    ) -> Result<Answer, Refused> {
        body::read(body, self.0.policy.silence, async |bytes| {
            Ok(upload.write(bytes).await?)
        })
        .await?;
        upload.finish(digest).await?;
        created(repository, digest)
    }

    async fn get_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Answer, Refused> {
        let store = self.store();
        let digest = store.resolve(repository, reference).await?;
        let digest = digest.ok_or_else(|| unknown_manifest(repository))?;
        let manifest = store.manifest(repository, digest).await?;
        let manifest = manifest.ok_or_else(|| unknown_manifest(repository))?;
        let length = manifest.bytes.len();
        Ok(Answer::streamed(StatusCode::OK, body::full(manifest.bytes))
            .with(CONTENT_TYPE, header(&manifest.media_type)?)
            .with(CONTENT_LENGTH, HeaderValue::from(length))
            .with(DIGEST, digest_of(digest)?))
    }

    async fn put_manifest(
        &self,
        asked: &Asked<'_>,
        repository: &Repository,
        reference: &Reference,
        body: Incoming,
    ) -> Result<Answer, Refused> {
        allow_upload(asked, repository)?;
        let bytes = body::whole(body, self.0.policy.silence, MAX_MANIFEST_BYTES).await?;
        // Who may only sign says something about what is there, and moves no tag.
        let only_signs = Kind::of(&bytes)?.is_referrer && matches!(reference, Reference::Digest(_));
        if !(only_signs && asked.caller.may(Right::Sign, repository)) {
            asked.allow(Right::Push, repository)?;
        }
        let manifest = Manifest {
            media_type: asked
                .field(CONTENT_TYPE)
                .unwrap_or(MANIFEST_TYPE)
                .to_owned(),
            bytes: bytes.into(),
        };
        let put = self
            .store()
            .put_manifest(repository, reference, &manifest)
            .await?;
        let digest = put.digest;
        let location = location(repository, &format!("manifests/sha256:{digest}"))?;
        let answer = Answer::empty(StatusCode::CREATED)
            .with(LOCATION, location)
            .with(DIGEST, digest_of(digest)?);
        Ok(match put.subject {
            Some(subject) => answer.with(SUBJECT, digest_of(subject)?),
            None => answer,
        })
    }

    async fn tags(&self, asked: &Asked<'_>, repository: &Repository) -> Result<Answer, Refused> {
        let most = match asked.parameter("n") {
            None => MAX_TAGS,
            Some(n) => n
                .parse::<usize>()
                .map_err(|_| Refused::bad("`n` is a number").code("UNSUPPORTED"))?
                .min(MAX_TAGS),
        };
        let tags = self.store().tags(repository).await?;
        let mut tags = tags.ok_or_else(|| {
            unknown(
                "NAME_UNKNOWN",
                format!("there is no repository `{repository}`"),
            )
        })?;
        if let Some(last) = asked.parameter("last") {
            tags.retain(|tag| *tag > last);
        }
        let more = tags.len() > most;
        tags.truncate(most);
        let next = tags.last().filter(|_| more).map(|last| {
            let name = in_path(repository);
            header(&format!(
                "</v2/{name}/tags/list?n={most}&last={last}>; rel=\"next\""
            ))
        });
        let name = repository.as_str();
        let answer = Answer::json(StatusCode::OK, "application/json", &Tags { name, tags });
        Ok(match next {
            Some(next) => answer.with(LINK, next?),
            None => answer,
        })
    }

    async fn referrers(
        &self,
        asked: &Asked<'_>,
        repository: &Repository,
        subject: Sha256,
    ) -> Result<Answer, Refused> {
        let mut manifests = self.store().referrers(repository, subject).await?;
        let filter = asked.parameter("artifactType");
        if let Some(filter) = &filter {
            manifests.retain(|manifest| manifest.artifact_type.as_ref() == Some(filter));
        }
        let index = Index {
            schema_version: 2,
            media_type: INDEX_TYPE,
            manifests,
        };
        let answer = Answer::json(StatusCode::OK, INDEX_TYPE, &index);
        Ok(match filter {
            Some(_) => answer.with(FILTERS, HeaderValue::from_static("artifactType")),
            None => answer,
        })
    }
}

/// Says that this is a registry; whoever may do nothing at all is asked who he is.
fn base(caller: &Caller) -> Result<Answer, Refused> {
    if caller.name().is_none() && caller.may_nothing() {
        let why = "one has to say who one is";
        return Err(Refused::new(StatusCode::UNAUTHORIZED, why));
    }
    let version = HeaderValue::from_static("registry/2.0");
    let empty = serde_json::json!({});
    Ok(Answer::json(StatusCode::OK, "application/json", &empty).with(VERSION, version))
}

fn allow_upload(asked: &Asked<'_>, repository: &Repository) -> Result<(), Refused> {
    match asked.caller.may(Right::Sign, repository) {
        true => Ok(()),
        false => asked.allow(Right::Push, repository),
    }
}

fn unknown_blob(repository: &Repository, digest: Sha256) -> Refused {
    unknown(
        "BLOB_UNKNOWN",
        format!("`{repository}` has no blob sha256:{digest}"),
    )
}

fn unknown_manifest(repository: &Repository) -> Refused {
    unknown(
        "MANIFEST_UNKNOWN",
        format!("`{repository}` has no such manifest"),
    )
}

fn created(repository: &Repository, digest: Sha256) -> Result<Answer, Refused> {
    let location = location(repository, &format!("blobs/sha256:{digest}"))?;
    Ok(Answer::empty(StatusCode::CREATED)
        .with(LOCATION, location)
        .with(DIGEST, digest_of(digest)?))
}

/// Where an upload stands.
fn stands(
    status: StatusCode,
    repository: &Repository,
    id: UploadId,
    offset: u64,
) -> Result<Answer, Refused> {
    let location = location(repository, &format!("blobs/uploads/{id}"))?;
    // There is no way to say that nothing came; others say this.
    let range = format!("0-{}", offset.saturating_sub(1));
    Ok(Answer::empty(status)
        .with(LOCATION, location)
        .with(RANGE, header(&range)?))
}

fn location(repository: &Repository, rest: &str) -> Result<HeaderValue, Refused> {
    header(&format!("/v2/{}/{rest}", in_path(repository)))
}

/// A repository's name in a path: names may have what means something else there.
fn in_path(repository: &Repository) -> PercentEncode<'_> {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(repository.as_str(), KEPT)
}

fn digest_of(digest: Sha256) -> Result<HeaderValue, Refused> {
    header(&format!("sha256:{digest}"))
}

/// The answer to a chunk that does not begin where the upload stands.
fn out_of_order(
    asked: &Asked<'_>,
    repository: &Repository,
    upload: &Upload,
) -> Result<Option<Answer>, Refused> {
    if !asked.head.headers.contains_key(CONTENT_RANGE) {
        return Ok(None);
    }
    let range = asked.field(CONTENT_RANGE).unwrap_or_default();
    let range = range.strip_prefix("bytes ").unwrap_or(range);
    let range = range.split('/').next().unwrap_or_default();
    let parsed = range.split_once('-').and_then(|(first, last)| {
        let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        Some(first..last.checked_add(1)?)
    });
    let Some(range) = parsed.filter(|range| !range.is_empty()) else {
        let why = "the Content-Range of a chunk is FIRST-LAST";
        return Err(Refused::bad(why).code("BLOB_UPLOAD_INVALID"));
    };
    if asked
        .length()
        .is_some_and(|length| length != range.end - range.start)
    {
        let why = "Content-Range and Content-Length of the chunk differ";
        return Err(Refused::bad(why).code("SIZE_INVALID"));
    }
    if range.start == upload.offset() {
        return Ok(None);
    }
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    stands(status, repository, upload.id(), upload.offset()).map(Some)
}
