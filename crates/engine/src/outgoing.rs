//! Outgoing HTTP of a guest: to another function in process, or to the world
//! through the capability that was granted, or denied.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use http::header::{HeaderName, HeaderValue};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::call::{BodyError, Call, CallLimits, CommandLine, Dispatch, FunctionId};
use crate::ctx::CallInfo;

/// Functions are called at `http://NAME` + this.
pub const FUNCTION_DOMAIN: &str = ".strand.internal";

/// The field of a request that names it, in calls from outside and between functions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What one write of a guest to a body may hold, in bytes. At most two such
/// pieces wait for the other side.
pub(crate) const BODY_PIECE: usize = 128 << 10;

/// An answer to an outgoing request, later.
pub type OutgoingAnswer =
    Pin<Box<dyn Future<Output = Result<http::Response<WasiBody>, Error>> + Send>>;

/// Sends requests to the world.
pub trait Outgoing: Send + Sync {
    /// Sends one request, within its options' time limits and before the
    /// deadline of the call.
    fn send(
        &self,
        call: &CallInfo,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> OutgoingAnswer;
}

/// The other functions that a function may call.
#[derive(Clone)]
pub struct Callees {
    /// Their names, in the same app.
    pub granted: BTreeSet<String>,
    /// What calls them. Weak, because it holds the functions that hold this.
    pub dispatch: Weak<dyn Dispatch>,
}

pub(crate) struct HttpHooks {
    pub(crate) call: CallInfo,
    pub(crate) callees: Arc<Callees>,
    pub(crate) call_depth: u8,
    pub(crate) outgoing: Option<Arc<dyn Outgoing>>,
}

impl HttpHooks {
    fn call_function(&self, name: &str, mut request: http::Request<WasiBody>) -> OutgoingAnswer {
        if !self.callees.granted.contains(name) {
            return denied(Error::HttpRequestDenied);
        }
        if self.call.depth >= self.call_depth {
            return denied(Error::LoopDetected);
        }
        let Some(dispatch) = self.callees.dispatch.upgrade() else {
            return denied(Error::DestinationUnavailable);
        };
        // As the gateway does it; ids are visible ASCII, or they were not taken.
        if let Ok(id) = HeaderValue::from_str(self.call.id.as_str()) {
            request.headers_mut().insert(REQUEST_ID, id);
        }
        let call = Call {
            function: FunctionId {
                app: Arc::clone(&self.call.function.app),
                function: name.into(),
            },
            request: request.map(|body| {
                body.map_err(|error| BodyError::Connection(Box::new(error)))
                    .boxed_unsync()
            }),
            command: CommandLine::default(),
            id: self.call.id.clone(),
            deadline: Some(self.call.deadline),
            limits: CallLimits::default(),
            depth: self.call.depth + 1,
        };
        let id = self.call.id.clone();
        Box::pin(async move {
            let response = match dispatch.dispatch(call).await {
                Ok(response) => response,
                Err(problem) => problem.into_response(&id),
            };
            Ok(response.map(|body| body.map_err(Error::from).boxed_unsync()))
        })
    }
}

fn denied(error: Error) -> OutgoingAnswer {
    Box::pin(std::future::ready(Err(error)))
}

type Sent = Result<
    (
        http::Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl WasiHttpHooks for HttpHooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let host = request.uri().host().unwrap_or_default();
        let answer = match host.strip_suffix(FUNCTION_DOMAIN) {
            Some(name) => {
                let name = name.to_owned();
                self.call_function(&name, request)
            }
            None => match &self.outgoing {
                Some(outgoing) => outgoing.send(&self.call, request, options),
                None => denied(Error::HttpRequestDenied),
            },
        };
        Box::new(async move {
            let response = answer.await?;
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> =
                Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_PIECE
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_PIECE
    }
}
