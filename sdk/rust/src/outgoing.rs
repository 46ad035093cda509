//! Sending requests, to the world and to other functions.

use std::borrow::Cow;

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{ErrorCode, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

use crate::http::{CallError, Reply, headers};
use crate::streams::write_all;

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Cow<'a, str>,
    /// The path and the query.
    pub(crate) path: Cow<'a, str>,
}

impl Target<'_> {
    fn address(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Https => "https",
            _ => "http",
        };
        format!("{scheme}://{}{}", self.authority, self.path)
    }
}

/// Sends a request with a whole body, and waits for the head of its answer.
pub(crate) fn send(
    method: Method,
    to: &Target<'_>,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Result<Reply, CallError> {
    let length = body.len().to_string();
    let mut fields = fields.to_vec();
    if !body.is_empty() {
        fields.push(("content-length", &length));
    }
    let request = OutgoingRequest::new(headers(&fields).map_err(CallError::Field)?);
    let refused = |()| CallError::Address(to.address());
    request.set_method(&method).map_err(refused)?;
    request.set_scheme(Some(&to.scheme)).map_err(refused)?;
    request
        .set_authority(Some(&to.authority))
        .map_err(refused)?;
    request
        .set_path_with_query(Some(&to.path))
        .map_err(refused)?;
    let outgoing = match body {
        [] => None,
        _ => Some(request.body().map_err(refused)?),
    };
    let failed = |code| failed(code, to);
    let future = handle(request, None).map_err(failed)?;
    if let Some(outgoing) = outgoing {
        // Who answers without reading the body closes it. Its answer says why, or its error does.
        let _ = write(outgoing, body);
    }
    loop {
        match future.get() {
            Some(Ok(Ok(response))) => return Ok(Reply::new(response)),
            Some(Ok(Err(code))) => return Err(failed(code)),
            // Only the first one that asks gets it, and that is this loop.
            Some(Err(())) => return Err(failed(ErrorCode::InternalError(None))),
            None => future.subscribe().block(),
        }
    }
}

fn write(outgoing: OutgoingBody, bytes: &[u8]) -> Result<(), StreamError> {
    let Ok(stream) = outgoing.write() else {
        return Err(StreamError::Closed);
    };
    write_all(&stream, bytes)?;
    stream.blocking_flush()?;
    drop(stream);
    OutgoingBody::finish(outgoing, None).map_err(|_code| StreamError::Closed)
}

fn failed(code: ErrorCode, to: &Target<'_>) -> CallError {
    match code {
        ErrorCode::HttpRequestDenied => CallError::Denied(to.address()),
        ErrorCode::LoopDetected => CallError::TooDeep,
        ErrorCode::HttpRequestUriInvalid => CallError::Address(to.address()),
        code => CallError::Failed(code),
    }
}
