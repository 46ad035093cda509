//! Answers over `wasi:http` 0.3, honest and broken ones.

use guest_behaviour::{Hostile, Pattern};
use wasip3::http::types::{ErrorCode, Fields, HeaderError, Response, Trailers};
use wasip3::wit_bindgen::{FutureWriter, StreamWriter};
use wasip3::{spawn_local, wit_future, wit_stream};

/// What is behind an answer's head. Dropped, it ends the body as not whole.
pub(crate) struct Body {
    stream: StreamWriter<u8>,
    end: FutureWriter<Result<Option<Trailers>, ErrorCode>>,
}

fn internal(error: HeaderError) -> ErrorCode {
    ErrorCode::InternalError(Some(error.to_string()))
}

fn begin(status: u16, headers: Fields) -> Result<(Response, Body), ErrorCode> {
    let (stream, contents) = wit_stream::new();
    let not_whole = || Err(ErrorCode::InternalError(Some("not whole".to_owned())));
    let (end, trailers) = wit_future::new(not_whole);
    let (response, _sent) = Response::new(headers, Some(contents), trailers);
    if response.set_status_code(status).is_err() {
        return Err(ErrorCode::InternalError(Some("status refused".to_owned())));
    }
    Ok((response, Body { stream, end }))
}

/// Sends an answer of these fields and bytes.
pub(crate) fn whole(status: u16, headers: Fields, bytes: Vec<u8>) -> Result<Response, ErrorCode> {
    let (response, mut body) = begin(status, headers)?;
    spawn_local(async move {
        body.stream.write_all(bytes).await;
        drop(body.stream);
        // Whoever went away need not know how it ended.
        let _ = body.end.write(Ok(None)).await;
    });
    Ok(response)
}

/// Answers with a text.
pub(crate) fn text(status: u16, text: &str) -> Result<Response, ErrorCode> {
    whole(status, Fields::new(), text.as_bytes().to_vec())
}

/// Answers, sends the first half of the body and then does what `then` says.
pub(crate) fn half(
    declared: bool,
    then: impl AsyncFnOnce(Body) + 'static,
) -> Result<Response, ErrorCode> {
    let headers = Fields::new();
    if declared {
        content_length(&headers, 2 * Hostile::HALF)?;
    }
    let (response, mut body) = begin(200, headers)?;
    spawn_local(async move {
        for piece in Pattern::new(Hostile::HALF) {
            body.stream.write_all(piece).await;
        }
        then(body).await;
    });
    Ok(response)
}

fn content_length(headers: &Fields, length: u64) -> Result<(), ErrorCode> {
    headers
        .append("content-length", length.to_string().as_bytes())
        .map_err(internal)
}

/// Promises one number of bytes and sends another.
pub(crate) fn bad_content_length(declared: u64, sent: u64) -> Result<Response, ErrorCode> {
    let headers = Fields::new();
    content_length(&headers, declared)?;
    whole(200, headers, Pattern::new(sent).flatten().collect())
}

/// Answers with a status that a final answer cannot have.
pub(crate) fn bad_status(status: u16) -> Result<Response, ErrorCode> {
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), None, trailers);
    if response.set_status_code(status).is_err() {
        return text(200, "refused\n");
    }
    Ok(response)
}
