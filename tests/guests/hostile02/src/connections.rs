//! Outgoing requests that harm.

use std::collections::BTreeMap;

use guest_behaviour::{Hostile, Url, case_name};
use serde_json::json;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, OutgoingRequest,
    ResponseOutparam, Scheme,
};
use wasip2::io::streams::StreamError;

use crate::answer;

/// Sends many requests before it looks at the first answer, and holds them all.
pub(crate) fn open(url: &Url, n: u64, out: ResponseOutparam) {
    let sent: Vec<_> = (0..n).map(|_| send(url)).collect();
    let answers: Vec<_> = sent.into_iter().map(|sent| sent.and_then(wait)).collect();
    let mut ends = BTreeMap::<String, u64>::new();
    for answer in &answers {
        let end = match answer {
            Ok(response) => response.status().to_string(),
            Err(code) => error_name(code),
        };
        *ends.entry(end).or_default() += 1;
    }
    answer::text(out, 200, &json!(ends).to_string());
}

/// Calls this very function.
pub(crate) fn call_self(function: &str, out: ResponseOutparam) {
    let outcome = Hostile::own_url(function)
        .map_err(|problem| ErrorCode::InternalError(Some(problem)))
        .and_then(|url| send(&url))
        .and_then(wait);
    let (depth, body) = match outcome {
        Ok(response) => (depth(&response) + 1, read(&response)),
        Err(code) => (0, format!("{}\n", error_name(&code)).into_bytes()),
    };
    let headers = Fields::new();
    // Without the field the test sees that it failed.
    let _ = headers.append("depth", depth.to_string().as_bytes());
    answer::whole(out, 200, headers, &body);
}

fn error_name(code: &ErrorCode) -> String {
    case_name(&format!("{code:?}"))
}

fn send(url: &Url) -> Result<FutureIncomingResponse, ErrorCode> {
    let scheme = if url.https {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let request = OutgoingRequest::new(Fields::new());
    let set = request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(&url.authority)).is_ok()
        && request
            .set_path_with_query(Some(&url.path_with_query))
            .is_ok();
    if !set {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    outgoing_handler::handle(request, None)
}

fn wait(sent: FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    loop {
        match sent.get() {
            Some(Ok(answer)) => return answer,
            Some(Err(())) => return Err(ErrorCode::InternalError(None)),
            None => sent.subscribe().block(),
        }
    }
}

/// What a deeper call said about its own depth.
fn depth(response: &IncomingResponse) -> u64 {
    let field = response.headers().get("depth").into_iter().next();
    field
        .and_then(|value| String::from_utf8(value).ok()?.parse().ok())
        .unwrap_or(0)
}

fn read(response: &IncomingResponse) -> Vec<u8> {
    let mut all = Vec::new();
    let Ok(body) = response.consume() else {
        return all;
    };
    if let Ok(stream) = body.stream() {
        loop {
            match stream.blocking_read(4096) {
                Ok(bytes) => all.extend(bytes),
                Err(StreamError::Closed) => break,
                Err(error) => {
                    all.extend_from_slice(error.to_string().as_bytes());
                    break;
                }
            }
        }
    }
    IncomingBody::finish(body);
    all
}
