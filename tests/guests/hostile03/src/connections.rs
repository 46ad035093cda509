//! Outgoing requests that harm.

use std::collections::BTreeMap;

use futures::future::join_all;
use guest_behaviour::{Hostile, Url, case_name};
use serde_json::json;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::wit_future;

use crate::answer;

/// Sends many requests before it looks at the first answer, and holds them all.
pub(crate) async fn open(url: &Url, n: u64) -> Result<Response, ErrorCode> {
    let answers = join_all((0..n).map(|_| send(url))).await;
    let mut ends = BTreeMap::<String, u64>::new();
    for answer in &answers {
        let end = match answer {
            Ok(response) => response.get_status_code().to_string(),
            Err(code) => error_name(code),
        };
        *ends.entry(end).or_default() += 1;
    }
    answer::text(200, &json!(ends).to_string())
}

/// Calls this very function.
pub(crate) async fn call_self(function: &str) -> Result<Response, ErrorCode> {
    let outcome = match Hostile::own_url(function) {
        Ok(url) => send(&url).await,
        Err(problem) => Err(ErrorCode::InternalError(Some(problem))),
    };
    let (depth, body) = match outcome {
        Ok(response) => (depth(&response) + 1, read(response).await),
        Err(code) => (0, format!("{}\n", error_name(&code)).into_bytes()),
    };
    let headers = Fields::new();
    // Without the field the test sees that it failed.
    let _ = headers.append("depth", depth.to_string().as_bytes());
    answer::whole(200, headers, body)
}

fn error_name(code: &ErrorCode) -> String {
    case_name(&format!("{code:?}"))
}

async fn send(url: &Url) -> Result<Response, ErrorCode> {
    let scheme = if url.https {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, trailers, None);
    let set = request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(&url.authority)).is_ok()
        && request
            .set_path_with_query(Some(&url.path_with_query))
            .is_ok();
    if !set {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    client::send(request).await
}

/// What a deeper call said about its own depth.
fn depth(response: &Response) -> u64 {
    let field = response.get_headers().get("depth").into_iter().next();
    field
        .and_then(|value| String::from_utf8(value).ok()?.parse().ok())
        .unwrap_or(0)
}

async fn read(response: Response) -> Vec<u8> {
    let (_, result) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, result);
    let mut all = body.collect().await;
    if let Err(code) = trailers.await {
        all.extend_from_slice(error_name(&code).as_bytes());
    }
    all
}
