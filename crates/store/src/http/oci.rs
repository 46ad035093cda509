//! An OCI registry, by the distribution specification 1.1.

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LINK, LOCATION, RANGE,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use strand_bindle::Sha256;

use super::answer::{Answer, Refused};
use super::range::{self, Wanted};
use super::{Server, allow, body, header};
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

/// The value of a parameter of the query.
fn parameter(head: &Parts, name: &str) -> Option<String> {
    let query = head.uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(key, _)| key == name)?;
    Some(found.1.into_owned())
}

impl Server {
    pub(super) async fn oci<B>(
        &self,
        caller: &Caller,
        path: &str,
        head: &Parts,
        body: B,
    ) -> Result<Answer, Refused>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::fmt::Display,
    {
        let target = Target::parse(path)?;
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        match (&target, &head.method) {
            (Target::Base, _) if reads => base(caller),
            (Target::Blob(repository, digest), _) if reads => {
                allow(caller, Right::Pull, repository)?;
                self.blob(repository, *digest, head).await
            }
            (Target::Blob(repository, digest), &Method::DELETE) => {
                allow(caller, Right::Delete, repository)?;
                match self.store().let_go(repository, *digest).await? {
                    true => Ok(Answer::empty(StatusCode::ACCEPTED)),
                    false => Err(unknown_blob(repository, *digest)),
                }
            }
            (Target::Uploads(repository), &Method::POST) => {
                allow_upload(caller, repository)?;
                self.begin_upload(caller, repository, head, body).await
            }
            (Target::Upload(repository, id), method) => {
                allow_upload(caller, repository)?;
                match *method {
                    Method::GET => {
                        let upload = self.store().resume(*id, repository).await?;
                        let (id, offset) = (upload.id(), upload.offset());
                        Ok(stands(StatusCode::NO_CONTENT, repository, id, offset))
                    }
                    Method::PATCH => self.append(repository, *id, head, body).await,
                    Method::PUT => self.finish_upload(repository, *id, head, body).await,
                    Method::DELETE => {
                        self.store().resume(*id, repository).await?;
                        self.store().cancel(*id).await?;
                        Ok(Answer::empty(StatusCode::NO_CONTENT))
                    }
                    _ => Ok(not_allowed(&target, method)),
                }
            }
            (Target::Manifest(repository, reference), _) if reads => {
                allow(caller, Right::Pull, repository)?;
                self.get_manifest(repository, reference).await
            }
            (Target::Manifest(repository, reference), &Method::PUT) => {
                self.put_manifest(caller, repository, reference, head, body)
                    .await
            }
            (Target::Manifest(repository, reference), &Method::DELETE) => {
                allow(caller, Right::Delete, repository)?;
                match self.store().delete_manifest(repository, reference).await? {
                    true => Ok(Answer::empty(StatusCode::ACCEPTED)),
                    false => Err(unknown_manifest(repository)),
                }
            }
            (Target::Tags(repository), _) if reads => {
                allow(caller, Right::Pull, repository)?;
                self.tags(repository, head).await
            }
            (Target::Referrers(repository, digest), _) if reads => {
                allow(caller, Right::Pull, repository)?;
                self.referrers(repository, *digest, head).await
            }
            (target, method) => Ok(not_allowed(target, method)),
        }
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: Sha256,
        head: &Parts,
    ) -> Result<Answer, Refused> {
        let store = self.store();
        let held = store.holds(repository, digest).await?;
        let blob = if held {
            store.blob(digest).await?
        } else {
            None
        };
        let blob = blob.ok_or_else(|| unknown_blob(repository, digest))?;
        let size = blob.size();
        let (status, range) = match range::wanted(&head.headers, size) {
            Wanted::All => (StatusCode::OK, 0..size),
            Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Wanted::Nothing => {
                let why = format!("there is nothing in that range: the blob has {size} bytes");
                let refused = Refused::new(StatusCode::RANGE_NOT_SATISFIABLE, why);
                let range = header(&format!("bytes */{size}"));
                return Ok(Answer::refused_by_oci(refused).with(CONTENT_RANGE, range));
            }
        };
        let (first, end) = (range.start, range.end);
        let body = body::streamed(store.read(&blob, range));
        let answer = Answer::streamed(status, body)
            .with(
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            )
            .with(CONTENT_LENGTH, HeaderValue::from(end - first))
            .with(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
            .with(DIGEST, header(&format!("sha256:{digest}")));
        Ok(match status {
            StatusCode::PARTIAL_CONTENT => {
                let last = end.saturating_sub(1);
                answer.with(
                    CONTENT_RANGE,
                    header(&format!("bytes {first}-{last}/{size}")),
                )
            }
            _ => answer,
        })
    }

    async fn begin_upload<B>(
        &self,
        caller: &Caller,
        repository: &Repository,
        head: &Parts,
        body: B,
    ) -> Result<Answer, Refused>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::fmt::Display,
    {
        let store = self.store();
        if let Some(digest) = parameter(head, "digest") {
            let digest = parse_digest(&digest)?;
            let upload = store.put(repository);
            return self.take_all(upload, repository, digest, body).await;
        }
        if let Some(digest) = parameter(head, "mount") {
            let digest = parse_digest(&digest)?;
            if self.may_mount(caller, repository, digest, head).await?
                && store.lease(digest, repository, true).await?
            {
                return Ok(created(repository, digest));
            }
        }
        let upload = store.put_resumable(repository).await?;
        Ok(stands(StatusCode::ACCEPTED, repository, upload.id(), 0))
    }

    /// Whether somebody may have content in one repository because he can see it in another one.
    async fn may_mount(
        &self,
        caller: &Caller,
        repository: &Repository,
        digest: Sha256,
        head: &Parts,
    ) -> Result<bool, Refused> {
        let store = self.store();
        if store.holds(repository, digest).await? {
            return Ok(true);
        }
        let from = parameter(head, "from");
        let may_see = |other: &Repository| {
            caller.may(Right::Pull, other)
                && from.as_deref().is_none_or(|from| from == other.as_str())
        };
        Ok(store.holders(digest).await?.iter().any(may_see))
    }

    async fn append<B>(
        &self,
        repository: &Repository,
        id: UploadId,
        head: &Parts,
        body: B,
    ) -> Result<Answer, Refused>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::fmt::Display,
    {
        let mut upload = self.store().resume(id, repository).await?;
        if let Some(answer) = out_of_order(head, repository, &upload)? {
            return Ok(answer);
        }
        let read = body::read(body, self.0.policy.silence, async |bytes| {
            Ok(upload.write(bytes).await?)
        });
        let read = read.await;
        // Also where it broke off: what came need not come again.
        let offset = upload.pause().await;
        read?;
        Ok(stands(StatusCode::ACCEPTED, repository, id, offset?))
    }

    async fn finish_upload<B>(
        &self,
        repository: &Repository,
        id: UploadId,
        head: &Parts,
        body: B,
    ) -> Result<Answer, Refused>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::fmt::Display,
    {
        let digest = parameter(head, "digest").ok_or_else(|| {
            Refused::bad("an upload is ended with `?digest=sha256:…`").code("DIGEST_INVALID")
        })?;
        let digest = parse_digest(&digest)?;
        let upload = self.store().resume(id, repository).await?;
        match out_of_order(head, repository, &upload)? {
            Some(answer) => Ok(answer),
            None => self.take_all(upload, repository, digest, body).await,
        }
    }

    /// Takes the rest of an upload and ends it.
    async fn take_all<B>(
        &self,
        mut upload: Upload,
        repository: &Repository,
        digest: Sha256,
        body: B,
    ) -> Result<Answer, Refused>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::fmt::Display,
    {
        body::read(body, self.0.policy.silence, async |bytes| {
            Ok(upload.write(bytes).await?)
        })
        .await?;
        upload.finish(digest).await?;
        Ok(created(repository, digest))
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
            .with(CONTENT_TYPE, header(&manifest.media_type))
            .with(CONTENT_LENGTH, HeaderValue::from(length))
            .with(DIGEST, header(&format!("sha256:{digest}"))))
    }

    async fn put_manifest<B>(
        &self,
        caller: &Caller,
        repository: &Repository,
        reference: &Reference,
        head: &Parts,
        body: B,
    ) -> Result<Answer, Refused>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: std::fmt::Display,
    {
        allow_upload(caller, repository)?;
        let bytes = body::whole(body, self.0.policy.silence, MAX_MANIFEST_BYTES).await?;
        // Who may only sign says something about what is there, and moves no tag.
        let only_signs = Kind::of(&bytes)?.is_referrer && matches!(reference, Reference::Digest(_));
        if !(only_signs && caller.may(Right::Sign, repository)) {
            allow(caller, Right::Push, repository)?;
        }
        let media_type = head.headers.get(CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        let manifest = Manifest {
            media_type: media_type.unwrap_or(MANIFEST_TYPE).to_owned(),
            bytes: bytes.into(),
        };
        let put = self
            .store()
            .put_manifest(repository, reference, &manifest)
            .await?;
        let digest = put.digest;
        let location = format!("/v2/{repository}/manifests/sha256:{digest}");
        let answer = Answer::empty(StatusCode::CREATED)
            .with(LOCATION, header(&location))
            .with(DIGEST, header(&format!("sha256:{digest}")));
        Ok(match put.subject {
            Some(subject) => answer.with(SUBJECT, header(&format!("sha256:{subject}"))),
            None => answer,
        })
    }

    async fn tags(&self, repository: &Repository, head: &Parts) -> Result<Answer, Refused> {
        let most = match parameter(head, "n") {
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
        if let Some(last) = parameter(head, "last") {
            tags.retain(|tag| *tag > last);
        }
        let more = tags.len() > most;
        tags.truncate(most);
        let next = tags.last().filter(|_| more).map(|last| {
            header(&format!(
                "</v2/{repository}/tags/list?n={most}&last={last}>; rel=\"next\""
            ))
        });
        let name = repository.as_str();
        let answer = Answer::json(StatusCode::OK, "application/json", &Tags { name, tags });
        Ok(match next {
            Some(next) => answer.with(LINK, next),
            None => answer,
        })
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: Sha256,
        head: &Parts,
    ) -> Result<Answer, Refused> {
        let mut manifests = self.store().referrers(repository, subject).await?;
        let filter = parameter(head, "artifactType");
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

fn allow_upload(caller: &Caller, repository: &Repository) -> Result<(), Refused> {
    match caller.may(Right::Sign, repository) {
        true => Ok(()),
        false => allow(caller, Right::Push, repository),
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

fn not_allowed(target: &Target, method: &Method) -> Answer {
    let methods = target.methods();
    let why = format!("{method} is not possible here, only {methods}");
    let refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, why);
    Answer::refused_by_oci(refused).with(ALLOW, HeaderValue::from_static(methods))
}

fn created(repository: &Repository, digest: Sha256) -> Answer {
    let location = format!("/v2/{repository}/blobs/sha256:{digest}");
    Answer::empty(StatusCode::CREATED)
        .with(LOCATION, header(&location))
        .with(DIGEST, header(&format!("sha256:{digest}")))
}

/// Where an upload stands.
fn stands(status: StatusCode, repository: &Repository, id: UploadId, offset: u64) -> Answer {
    let location = format!("/v2/{repository}/blobs/uploads/{id}");
    // There is no way to say that nothing came; others say this.
    let range = format!("0-{}", offset.saturating_sub(1));
    Answer::empty(status)
        .with(LOCATION, header(&location))
        .with(RANGE, header(&range))
}

/// The answer to a chunk that does not begin where the upload stands.
fn out_of_order(
    head: &Parts,
    repository: &Repository,
    upload: &Upload,
) -> Result<Option<Answer>, Refused> {
    let Some(range) = head.headers.get(CONTENT_RANGE) else {
        return Ok(None);
    };
    let range = range.to_str().unwrap_or_default();
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
    let length = head.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length != range.end - range.start) {
        let why = "Content-Range and Content-Length of the chunk differ";
        return Err(Refused::bad(why).code("SIZE_INVALID"));
    }
    if range.start == upload.offset() {
        return Ok(None);
    }
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    Ok(Some(stands(
        status,
        repository,
        upload.id(),
        upload.offset(),
    )))
}
