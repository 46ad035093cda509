//! Requests and answers over HTTP, as streams.
//!
//! ```no_run
//! use strand_sdk::http::{Broken, Request, Responder};
//!
//! strand_sdk::http!(count);
//!
//! fn count(request: Request, responder: Responder) -> Result<(), Broken> {
//!     let mut bytes = 0;
//!     let mut body = request.body()?;
//!     while let Some(piece) = body.piece()? {
//!         bytes += piece.len();
//!     }
//!     responder.text(&format!("{bytes} bytes\n"))
//! }
//! ```
//!
//! An answer is either sent whole ([`Responder::send`]) or begun and then written piece by piece,
//! as fast as the client takes them ([`Responder::start`]):
//!
//! ```no_run
//! # use strand_sdk::http::{Broken, Request, Responder};
//! fn squares(_request: Request, responder: Responder) -> Result<(), Broken> {
//!     let mut answer = responder.start(200, &[("content-type", "text/plain")])?;
//!     for number in 0..1_000_000u64 {
//!         answer.write_all(format!("{}\n", number * number).as_bytes())?;
//!     }
//!     answer.finish()
//! }
//! ```
//!
//! A handler may return any error that can be displayed, so that `?` takes what comes. The error
//! goes to the log. The client gets a 500 (`guest-fault`) if the answer had not begun, else an
//! answer that breaks off.

mod answer;
mod body;
mod fetch;
mod request;

use std::fmt;

use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use wasip2::io::streams::StreamError;

pub(crate) use answer::headers;
pub use answer::{Answer, Responder};
pub use body::Body;
pub(crate) use body::whole;
pub use fetch::{CallError, Reply, fetch, get};
pub use request::Request;
pub use wasip2::http::types::{ErrorCode, Method};

use crate::streams::words;

/// Makes a function `fn(Request, Responder) -> Result<(), E>` the component's handler. `E` is
/// [`Broken`](crate::http::Broken) or any other type that can be displayed; what is returned goes to the
/// log. The module [`http`](mod@crate::http) has examples.
#[macro_export]
macro_rules! http {
    ($handler:path) => {
        #[allow(unsafe_code, reason = "how a component exports")]
        const _: () = {
            struct Handler;

            impl $crate::wasip2::exports::http::incoming_handler::Guest for Handler {
                fn handle(
                    request: $crate::wasip2::http::types::IncomingRequest,
                    out: $crate::wasip2::http::types::ResponseOutparam,
                ) {
                    let (request, responder) = $crate::http::open(request, out);
                    if let ::std::result::Result::Err(error) = $handler(request, responder) {
                        ::std::eprintln!("{error}");
                    }
                }
            }

            $crate::wasip2::http::proxy::export!(Handler);
        };
    };
}

/// For the macro [`http!`](crate::http!).
#[doc(hidden)]
pub fn open(request: IncomingRequest, out: ResponseOutparam) -> (Request, Responder) {
    let request = Request::new(request);
    let is_head = matches!(request.method(), Method::Head);
    (request, Responder::new(out, is_head))
}

/// Why a request or its answer stopped: the other side wants no more of it, or the host refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(String);

impl Broken {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exchange was broken off: {}", self.0)
    }
}

impl std::error::Error for Broken {}

impl From<StreamError> for Broken {
    fn from(error: StreamError) -> Self {
        Self(words(&error))
    }
}

impl From<Broken> for std::io::Error {
    fn from(broken: Broken) -> Self {
        Self::other(broken)
    }
}
