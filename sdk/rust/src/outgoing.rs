//! Sending requests, to the world and to other functions.

use std::borrow::Cow;

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
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
    let sent = start(method, to, fields, body)?;
    loop {
        match sent.answer(to) {
            Some(answer) => return answer,
            None => sent.future.subscribe().block(),
        }
    }
}

/// Sends a request with a whole body, and does not wait for its answer.
pub(crate) fn start(
    method: Method,
    to: &Target<'_>,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Result<Sent, CallError> {
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
    let future = handle(request, None).map_err(|code| failed(code, to))?;
    if let Some(outgoing) = outgoing {
        // Who answers without reading the body closes it. Its answer says why, or its error does.
        let _ = write(outgoing, body);
    }
    Ok(Sent { future })
}

/// A request that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) future: FutureIncomingResponse,
}

impl Sent {
    /// Its answer, if the head of that is there. Once.
    pub(crate) fn answer(&self, to: &Target<'_>) -> Option<Result<Reply, CallError>> {
        Some(match self.future.get()? {
            Ok(Ok(response)) => Ok(Reply::new(response)),
            Ok(Err(code)) => Err(failed(code, to)),
            // Only the first one that asks gets it.
            Err(()) => Err(failed(ErrorCode::InternalError(None), to)),
        })
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
