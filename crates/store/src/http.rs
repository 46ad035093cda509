//! The store over HTTP: Bindle under `/v1`, an OCI registry under `/v2`.
//!
//! No listener and no connection is in here: [`Server::answer`] makes an answer of a request.

mod answer;
mod asked;
mod bindle;
mod body;
mod oci;
mod range;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use strand_bindle::{Keyring, SecretKey, Strategy};

pub use body::Body;

use crate::auth::Caller;
use crate::{Blob, Store};
use answer::{Answer, Refused};
use asked::Asked;
use range::Wanted;

/// What a server of a store does beside keeping things.
pub struct Policy {
    /// The keys that are known here.
    pub keyring: Keyring,
    /// Which signatures an invoice has to have to be taken.
    pub strategy: Strategy,
    /// What this server signs what it takes with; one with the role host.
    pub host: SecretKey,
    /// How long a body may be silent. 30 s by default.
    pub silence: Duration,
}

/// A store over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    store: Store,
    policy: Policy,
}

impl Server {
    /// A server of a store.
    pub fn new(store: Store, policy: Policy) -> Self {
        Self(Arc::new(Inner { store, policy }))
    }

    /// What it serves.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The answer to a request by somebody.
    pub async fn answer<B>(&self, caller: &Caller, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let (head, body) = request.into_parts();
        let body = body.map_err(|error| error.to_string()).boxed_unsync();
        let asked = &Asked {
            caller,
            head: &head,
        };
        let format = answer::wanted(&head.headers);
        let path = head.uri.path();
        let answer = if let Some(rest) = path.strip_prefix("/v1/") {
            let answered = self.bindle(asked, rest, body).await;
            answered.unwrap_or_else(Answer::refused)
        } else if let Some(rest) = path.strip_prefix("/v2/") {
            let answered = self.oci(asked, rest, body).await;
            answered.unwrap_or_else(Answer::refused_by_oci)
        } else if path == "/healthz" {
            Answer::text("OK")
        } else {
            Answer::refused(Refused::no_path(path))
        };
        answer.written(format, head.method == http::Method::HEAD)
    }

    /// Content, or the range of it that is asked for.
    fn content(&self, asked: &Asked<'_>, blob: &Blob, media_type: &str) -> Result<Answer, Refused> {
        let size = blob.size();
        let (status, range) = match range::wanted(&asked.head.headers, size) {
            Wanted::All => (StatusCode::OK, 0..size),
            Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Wanted::Nothing => {
                let why = format!("there is nothing in that range: there are {size} bytes");
                let refused = Refused::new(StatusCode::RANGE_NOT_SATISFIABLE, why);
                let all = header(&format!("bytes */{size}"))?;
                return Err(refused.with(CONTENT_RANGE, all));
            }
        };
        let Range { start, end } = range;
        let body = body::streamed(self.store().read(blob, range));
        let answer = Answer::streamed(status, body)
            .with(CONTENT_TYPE, header(media_type)?)
            .with(CONTENT_LENGTH, end - start)
            .with(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        Ok(match status {
            StatusCode::PARTIAL_CONTENT => {
                let part = header(&format!("bytes {start}-{}/{size}", end - 1))?;
                answer.with(CONTENT_RANGE, part)
            }
            _ => answer,
        })
    }
}

/// What a field of an answer says.
///
/// # Errors
/// What cannot stand in one: that was to be checked when it came.
fn header(text: &str) -> Result<HeaderValue, Refused> {
    HeaderValue::from_str(text).map_err(|_| {
        tracing::error!(text, "this cannot stand in a field of an answer");
        let why = "the store failed: its log has the cause";
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, why)
    })
}
