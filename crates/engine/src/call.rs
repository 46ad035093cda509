//! A call of a function by name: what every caller (gateway, flow, bus, another
//! function) hands over, and the trait that takes it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;

use crate::problem::Problem;

/// How a body that has begun can fail.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The call ended in a problem after its answer had begun.
    #[error("{0}")]
    Problem(#[from] Problem),
    /// The other side of the connection failed.
    #[error("the connection failed: {0}")]
    Connection(Box<dyn std::error::Error + Send + Sync>),
}

impl From<BodyError> for wasmtime_wasi_http::Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Problem(problem) => match problem.limit_reached() {
                Some(crate::Limit::Body) => Self::HttpRequestBodySize(None),
                _ => Self::InternalError(Some(problem.to_string())),
            },
            BodyError::Connection(_) => Self::ConnectionTerminated,
        }
    }
}

/// A streamed body, of a request or of an answer, with its trailers.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Names one request in answers, logs and problems.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The longest identifier taken from a client, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Takes an identifier as it is.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a function: the app it belongs to and its name there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionId {
    /// The app's name.
    pub app: Arc<str>,
    /// The function's name in the app.
    pub function: Arc<str>,
}

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.function)
    }
}

/// How a command is to be called. Functions of other worlds do not look at it.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// Arguments, without the program's name.
    pub args: Vec<String>,
    /// The answer's media type.
    pub content_type: HeaderValue,
}

impl Default for CommandLine {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            content_type: HeaderValue::from_static("application/octet-stream"),
        }
    }
}

/// Limits of a call, which count if they are less than the function's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallLimits {
    /// Bytes of the request's body.
    pub body: Option<u64>,
    /// Time from admission, queueing included, to the end of the answer.
    pub wall: Option<Duration>,
}

/// One call of a function.
#[derive(Debug)]
pub struct Call {
    /// What to call.
    pub function: FunctionId,
    /// The request. A task gets its body as input, a command as standard input.
    pub request: Request<Body>,
    /// How to call it if it is a command.
    pub command: CommandLine,
    /// Names the request that this call belongs to.
    pub id: RequestId,
    /// When the caller stops waiting; the function's own wall limit may be
    /// sooner.
    pub deadline: Option<Instant>,
    /// Limits below those of the function.
    pub limits: CallLimits,
    /// How many functions stand between the way in and this call.
    pub depth: u8,
}

/// An answer or a problem, later.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Body>, Problem>> + Send + 'a>>;

/// Calls functions by name. The one way by which anything calls a function.
pub trait Dispatch: Send + Sync {
    /// Calls a function. The answer's body streams while the function runs;
    /// dropping it ends the call.
    fn dispatch(&self, call: Call) -> Answer<'_>;
}
