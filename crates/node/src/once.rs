//! One call of a function without a server.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, Uri, header};
use strand_engine::{
    Body, Call, CallLimits, CommandLine, Dispatch, FunctionId, Problem, RequestId,
};

use crate::registry::Registry;

/// What to call a function with.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The method, for HTTP functions.
    pub method: Method,
    /// The path and query, for HTTP functions.
    pub path: Uri,
    /// The arguments, for commands.
    pub args: Vec<String>,
}

/// Calls a function once with a body. Must run on a Tokio runtime.
///
/// # Errors
/// The call's problem.
pub async fn call_once(
    registry: &Arc<Registry>,
    function: FunctionId,
    invocation: Invocation,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let mut request = Request::new(body);
    *request.method_mut() = invocation.method;
    *request.uri_mut() = invocation.path;
    request
        .headers_mut()
        .insert(header::HOST, header::HeaderValue::from_static("localhost"));
    registry
        .dispatch(Call {
            function,
            request,
            command: CommandLine {
                args: invocation.args,
                ..CommandLine::default()
            },
            id: RequestId::new("run"),
            deadline: None,
            limits: CallLimits::default(),
            depth: 0,
        })
        .await
}

/// Whether an answer counts as a success for a script.
pub fn is_success(status: StatusCode) -> bool {
    !status.is_client_error() && !status.is_server_error()
}
