//! Answers, in TOML or JSON, and refusals.

use http::header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use strand_bindle::Format;
use strand_bindle::wire::ErrorAnswer;

use super::body::{self, Body};
use crate::{BindleError, RepositoryError, StoreError};

/// An answer that is not written yet.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

enum Content {
    /// What is written as the client wants it.
    Value(Box<dyn Written>),
    Text(&'static str),
    Stream(Body),
}

/// What can be written in both ways.
trait Written: Send {
    fn toml(&self) -> Option<String>;
    fn json(&self) -> Option<String>;
}

impl<T: Serialize + Send> Written for T {
    fn toml(&self) -> Option<String> {
        toml::to_string(self).ok()
    }

    fn json(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    why: String,
    /// What OCI's specification calls it.
    code: Option<&'static str>,
    /// What else its answer's head says.
    field: Option<(HeaderName, HeaderValue)>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
            code: None,
            field: None,
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.field = Some((name, value));
        self
    }

    /// A method that is none of those.
    pub(super) fn method(method: &Method, methods: &'static str) -> Self {
        let why = format!("{method} is not possible here, only {methods}");
        let refused = Self::new(StatusCode::METHOD_NOT_ALLOWED, why);
        refused.with(ALLOW, HeaderValue::from_static(methods))
    }

    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(super) fn bad(why: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why.to_string())
    }

    pub(super) fn no_path(path: &str) -> Self {
        let path: String = path.chars().take(100).collect();
        let why = format!(
            "there is nothing at `{path}`: Bindle's interface begins with /v1/, and that of OCI with /v2/"
        );
        Self::new(StatusCode::NOT_FOUND, why)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let (status, code) = match &error {
            StoreError::Digest { .. } => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            StoreError::Size { .. } => (StatusCode::BAD_REQUEST, "SIZE_INVALID"),
            StoreError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            StoreError::TooManyPieces(_) => (StatusCode::PAYLOAD_TOO_LARGE, "BLOB_UPLOAD_INVALID"),
            StoreError::NoUpload(_) => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            StoreError::Contended(_) => (StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID"),
            StoreError::Bucket { .. }
            | StoreError::Damaged { .. }
            | StoreError::Foreign(_)
            | StoreError::Late => {
                // What the bucket says may name things that are nobody's business.
                tracing::error!(%error, "the store failed");
                let why = "the store failed: its log has the cause, try again later";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, why);
            }
        };
        Self::new(status, error.to_string()).code(code)
    }
}

impl From<BindleError> for Refused {
    fn from(error: BindleError) -> Self {
        let status = match error {
            BindleError::Store(error) => return error.into(),
            BindleError::Exists(_) => StatusCode::CONFLICT,
            BindleError::Deleted(_) => StatusCode::GONE,
            BindleError::Unknown(_) => StatusCode::NOT_FOUND,
            BindleError::Yanked => StatusCode::UNPROCESSABLE_ENTITY,
            BindleError::Size { .. } | BindleError::Repository(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<RepositoryError> for Refused {
    fn from(error: RepositoryError) -> Self {
        Self::bad(error)
    }
}

impl Answer {
    pub(super) fn new(status: StatusCode, value: impl Serialize + Send + 'static) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            content: Content::Value(Box::new(value)),
        }
    }

    pub(super) fn text(text: &'static str) -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            content: Content::Text(text),
        }
    }

    pub(super) fn streamed(status: StatusCode, body: Body) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            content: Content::Stream(body),
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    /// Nothing but a head.
    pub(super) fn empty(status: StatusCode) -> Self {
        let answer = Self::streamed(status, body::empty());
        match status {
            StatusCode::NO_CONTENT => answer,
            _ => answer.with(CONTENT_LENGTH, 0),
        }
    }

    /// What is JSON whatever the client accepts.
    pub(super) fn json(
        status: StatusCode,
        media_type: &'static str,
        value: &impl Serialize,
    ) -> Self {
        let text = serde_json::to_vec(value).expect("strings and numbers can be written");
        let length = text.len();
        Self::streamed(status, body::full(text))
            .with(CONTENT_TYPE, HeaderValue::from_static(media_type))
            .with(CONTENT_LENGTH, length)
    }

    /// As Bindle has it.
    pub(super) fn refused(refused: Refused) -> Self {
        let Refused {
            status, why, field, ..
        } = refused;
        Self::new(status, ErrorAnswer { error: why }).refusing(field)
    }

    /// As OCI has it.
    pub(super) fn refused_by_oci(refused: Refused) -> Self {
        let Refused {
            status,
            why,
            code,
            field,
        } = refused;
        let code = code.unwrap_or(match status {
            StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
            StatusCode::FORBIDDEN => "DENIED",
            StatusCode::METHOD_NOT_ALLOWED => "UNSUPPORTED",
            StatusCode::PAYLOAD_TOO_LARGE => "SIZE_INVALID",
            StatusCode::RANGE_NOT_SATISFIABLE => "RANGE_INVALID",
            _ => "UNKNOWN",
        });
        let errors = serde_json::json!({ "errors": [{ "code": code, "message": why }] });
        Self::json(status, "application/json", &errors).refusing(field)
    }

    /// Whoever has not said who he is is asked.
    fn refusing(mut self, field: Option<(HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(field);
        match self.status {
            StatusCode::UNAUTHORIZED => {
                let basic = HeaderValue::from_static("Basic realm=\"strand store\"");
                self.with(WWW_AUTHENTICATE, basic)
            }
            _ => self,
        }
    }

    /// The answer as it goes out; that to HEAD without its body.
    pub(super) fn written(self, format: Format, is_head: bool) -> Response<Body> {
        let Self {
            mut status,
            mut headers,
            content,
        } = self;
        let (content_type, text) = match content {
            Content::Stream(body) => {
                let body = if is_head { body::empty() } else { body };
                return response(status, headers, body);
            }
            Content::Text(text) => ("text/plain", text.to_owned()),
            Content::Value(value) => {
                let (content_type, text) = match format {
                    Format::Toml => ("application/toml", value.toml()),
                    Format::Json => ("application/json", value.json()),
                };
                let text = text.unwrap_or_else(|| {
                    // What was read can be written, so that this would be a fault of ours.
                    tracing::error!(content_type, "an answer cannot be written");
                    status = StatusCode::INTERNAL_SERVER_ERROR;
                    String::new()
                });
                (content_type, text)
            }
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        let body = if is_head {
            body::empty()
        } else {
            body::full(text)
        };
        response(status, headers, body)
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What a client wants an answer to be written in: the first of what it accepts that can be.
pub(super) fn wanted(headers: &HeaderMap) -> Format {
    let accepted = headers.get_all(ACCEPT).into_iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .find_map(format_of)
        .unwrap_or_default()
}

/// What a body is written in, if it is one of both: `application/json; charset=utf-8`.
pub(super) fn format_of(media_type: &str) -> Option<Format> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let (_, subtype) = essence.split_once('/')?;
    match subtype.to_ascii_lowercase().as_str() {
        "toml" => Some(Format::Toml),
        "json" => Some(Format::Json),
        _ => None,
    }
}
