//! `/fetch` and `/call`: a proxy that hands the streams on as they are.

use guest_behaviour::{Url, case_name};
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wasip3::wit_future;

use crate::answer;

/// What of a request's fields goes on: what says how its body is to be understood.
const REQUEST_FIELDS: [&str; 2] = ["content-type", "content-length"];
/// What of an answer's fields goes back.
const ANSWER_FIELDS: [&str; 3] = ["content-type", "content-length", "depth"];

/// Sends the request on to `url` and its answer back.
pub(crate) async fn fetch(request: Request, url: &Url) -> Result<Response, ErrorCode> {
    let response = match client::send(outgoing(request, url)?).await {
        Ok(response) => response,
        Err(code) => {
            let name = case_name(&format!("{code:?}"));
            return answer::text(502, &format!("{name}\n"));
        }
    };
    let status = response.get_status_code();
    let headers = answer::fields(&[("fetched-status", &status.to_string())])?;
    answer::copy(&response.get_headers(), &headers, &ANSWER_FIELDS)?;
    let (received, result) = wit_future::new(|| Ok(()));
    drop(received);
    let (contents, trailers) = Response::consume_body(response, result);
    let (response, _sent) = Response::new(headers, Some(contents), trailers);
    answer::set_status(&response, status)?;
    Ok(response)
}

fn outgoing(request: Request, url: &Url) -> Result<Request, ErrorCode> {
    let method = request.get_method();
    let headers = Fields::new();
    answer::copy(&request.get_headers(), &headers, &REQUEST_FIELDS)?;
    let (received, result) = wit_future::new(|| Ok(()));
    drop(received);
    let (contents, trailers) = Request::consume_body(request, result);
    // With a stream these would go out as requests with a body of unknown length.
    let contents = (!matches!(method, Method::Get | Method::Head)).then_some(contents);
    let (outgoing, _sent) = Request::new(headers, contents, trailers, None);
    let scheme = if url.https {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let set = outgoing.set_method(&method).is_ok()
        && outgoing.set_scheme(Some(&scheme)).is_ok()
        && outgoing.set_authority(Some(&url.authority)).is_ok()
        && outgoing
            .set_path_with_query(Some(&url.path_with_query))
            .is_ok();
    set.then_some(outgoing)
        .ok_or(ErrorCode::HttpRequestUriInvalid)
}
