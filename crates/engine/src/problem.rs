//! What a caller is told when a call does not end in the function's own answer.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value, json};

use crate::call::{Body, RequestId};

/// The limit that a call ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Linear memories and tables of the instance, together.
    Memory,
    /// The number of elements in the instance's tables.
    Tables,
    /// CPU time.
    Cpu,
    /// Handles the guest may hold.
    Handles,
    /// The guest's stack.
    Stack,
    /// What the host may buffer for one call.
    Buffers,
    /// The node's memory budget.
    NodeMemory,
    /// A command's output.
    Response,
    /// Wall-clock time since admission.
    Wall,
    /// Calls running and waiting at once.
    Concurrency,
    /// The request's body.
    Body,
    /// The request's or the answer's header fields.
    Headers,
}

impl Limit {
    /// The name used in the problem's `limit` member and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Tables => "tables",
            Self::Cpu => "cpu",
            Self::Handles => "handles",
            Self::Stack => "stack",
            Self::Buffers => "buffers",
            Self::NodeMemory => "node-memory",
            Self::Response => "response",
            Self::Wall => "wall",
            Self::Concurrency => "concurrency",
            Self::Body => "body",
            Self::Headers => "headers",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::NodeMemory | Self::Concurrency => StatusCode::SERVICE_UNAVAILABLE,
            Self::Wall => StatusCode::GATEWAY_TIMEOUT,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The kinds of problem; each is a `type` of the form `urn:strand:problem:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The function trapped or gave no answer. `exit` is a command's exit code.
    GuestFault {
        /// A command's exit code, when it ended by one.
        exit: Option<u8>,
    },
    /// A limit was reached. `value` is the limit as configured, for people.
    Limit {
        /// Which limit.
        limit: Limit,
        /// Its value, with a unit.
        value: String,
    },
    /// A task answered with its own failure; the code is the status.
    TaskFailure {
        /// 400 to 599.
        status: StatusCode,
    },
    /// The request cannot be understood. `field` says which part of it.
    BadRequest {
        /// The part of the request at fault.
        field: Option<String>,
    },
    /// The route does not allow this to whoever asks.
    Denied,
    /// No route, file or function has that name.
    NotFound,
    /// The route does not take that method.
    MethodNotAllowed {
        /// The value of the `Allow` header.
        allow: String,
    },
    /// The node is going away.
    Draining,
    /// Our fault, or that of something behind us.
    HostFault,
}

/// A problem as RFC 9457 has it, less the request's identifier, which
/// [`Problem::into_response`] adds.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: Kind,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    shared: bool,
}

/// Bytes of a detail: some have words of the guest's in them.
const DETAIL: usize = 1 << 10;

/// A text of at most so many bytes, which says if it had more.
pub(crate) fn shortened(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
        text.push('…');
        // It is kept: without what it grew to.
        text.shrink_to_fit();
    }
    text
}

impl Problem {
    /// A problem of a kind with a sentence for people. The sentence reaches the
    /// client: it must hold nothing that the client may not know. Of a longer one 1 KiB
    /// stays.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = match detail.into() {
            Cow::Owned(text) => Cow::Owned(shortened(text, DETAIL)),
            borrowed => borrowed,
        };
        Self(Box::new(Inner {
            kind,
            detail,
            retry_after: None,
            shared: false,
        }))
    }

    /// The guest trapped or gave no answer.
    pub fn guest_fault(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::GuestFault { exit: None }, detail)
    }

    /// A limit was reached; `value` is the limit with its unit.
    pub fn limit(
        limit: Limit,
        value: impl fmt::Display,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut problem = Self::new(
            Kind::Limit {
                limit,
                value: value.to_string(),
            },
            detail,
        );
        if limit.status() == StatusCode::SERVICE_UNAVAILABLE {
            problem.0.retry_after = Some(Duration::from_secs(1));
        }
        problem
    }

    /// The client's request is at fault, in `field`.
    pub fn bad_request(field: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            Kind::BadRequest {
                field: Some(field.into()),
            },
            detail,
        )
    }

    /// Our fault. The detail is for the client: causes belong in the log.
    pub fn host_fault(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::HostFault, detail)
    }

    /// The node is draining.
    pub fn draining() -> Self {
        let mut problem = Self::new(Kind::Draining, "this node is shutting down");
        problem.0.retry_after = Some(Duration::from_secs(1));
        problem
    }

    /// When to try again, in whole seconds from now, and not at once.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        self.0.retry_after = Some(Duration::from_secs(seconds.max(1)));
        self
    }

    /// Marks that other calls in the same instance ended with this one.
    pub fn shared(mut self) -> Self {
        self.0.shared = true;
        self
    }

    /// The kind.
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The last part of the `type` member.
    pub fn name(&self) -> &'static str {
        match self.0.kind {
            Kind::GuestFault { .. } => "guest-fault",
            Kind::Limit { .. } => "limit",
            Kind::TaskFailure { .. } => "task-failure",
            Kind::BadRequest { .. } => "bad-request",
            Kind::Denied => "denied",
            Kind::NotFound => "not-found",
            Kind::MethodNotAllowed { .. } => "method-not-allowed",
            Kind::Draining => "draining",
            Kind::HostFault => "host-fault",
        }
    }

    /// The limit, when this is one.
    pub fn limit_reached(&self) -> Option<Limit> {
        match self.0.kind {
            Kind::Limit { limit, .. } => Some(limit),
            _ => None,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match &self.0.kind {
            Kind::GuestFault { .. } | Kind::HostFault => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Limit { limit, .. } => limit.status(),
            Kind::TaskFailure { status } => *status,
            Kind::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Draining => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn title(&self) -> &'static str {
        match self.0.kind {
            Kind::GuestFault { .. } => "The function failed",
            Kind::Limit { .. } => "A limit was reached",
            Kind::TaskFailure { .. } => "The task failed",
            Kind::BadRequest { .. } => "The request is malformed",
            Kind::Denied => "Denied",
            Kind::NotFound => "Not found",
            Kind::MethodNotAllowed { .. } => "Method not allowed",
            Kind::Draining => "The node is shutting down",
            Kind::HostFault => "The node failed",
        }
    }

    /// The members of `application/problem+json`; `instance` is the request.
    pub fn to_json(&self, instance: &RequestId) -> Value {
        let mut members = Map::new();
        members.insert(
            "type".into(),
            json!(format!("urn:strand:problem:{}", self.name())),
        );
        members.insert("title".into(), json!(self.title()));
        members.insert("status".into(), json!(self.status().as_u16()));
        members.insert("detail".into(), json!(self.0.detail));
        members.insert("instance".into(), json!(instance.as_str()));
        match &self.0.kind {
            Kind::GuestFault { exit: Some(exit) } => {
                members.insert("exit".into(), json!(exit));
            }
            Kind::Limit { limit, value } => {
                members.insert("limit".into(), json!(limit.as_str()));
                members.insert("value".into(), json!(value));
            }
            Kind::BadRequest { field: Some(field) } => {
                members.insert("field".into(), json!(field));
            }
            _ => {}
        }
        if self.0.shared {
            members.insert("shared".into(), json!(true));
        }
        Value::Object(members)
    }

    /// The answer that tells a client.
    pub fn into_response(self, instance: &RequestId) -> Response<Body> {
        let json = self.to_json(instance).to_string();
        let body = Full::new(Bytes::from(json)).map_err(|never| match never {});
        let mut response = Response::new(body.boxed_unsync());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(after) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        if let Kind::MethodNotAllowed { allow } = &self.0.kind
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        if let Kind::Limit { limit, value } = &self.0.kind {
            write!(f, " {} ({value})", limit.as_str())?;
        }
        write!(f, ": {}", self.0.detail)
    }
}

impl std::error::Error for Problem {}
