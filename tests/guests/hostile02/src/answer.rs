//! Answers over `wasi:http` 0.2, honest and broken ones.
//!
//! These guests do not mind what becomes of an answer: a failure ends it where it is, and whether
//! the host puts up with that is what the tests look at.

use guest_behaviour::{Hostile, Pattern};
use wasip2::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::OutputStream;

/// Bytes that one `blocking-write-and-flush` may take, as its interface says.
const PIECE: usize = 4096;

/// An answer whose head has been sent.
pub(crate) struct Begun {
    // The stream goes first: it is the body's child, and the host insists.
    stream: OutputStream,
    body: OutgoingBody,
}

/// Sends the head of an answer; `None` where the host refuses it.
pub(crate) fn begin(out: ResponseOutparam, status: u16, headers: Fields) -> Option<Begun> {
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).ok()?;
    let body = response.body().ok()?;
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().ok()?;
    Some(Begun { stream, body })
}

/// Sends all of these bytes, as far as anybody takes them.
fn write(begun: &Begun, bytes: &[u8]) -> Option<()> {
    bytes
        .chunks(PIECE)
        .try_for_each(|piece| begun.stream.blocking_write_and_flush(piece))
        .ok()
}

/// Sends an answer of these fields and bytes.
pub(crate) fn whole(
    out: ResponseOutparam,
    status: u16,
    headers: Fields,
    bytes: &[u8],
) -> Option<()> {
    let begun = begin(out, status, headers)?;
    write(&begun, bytes)?;
    let Begun { stream, body } = begun;
    drop(stream);
    OutgoingBody::finish(body, None).ok()
}

/// Answers with a text.
pub(crate) fn text(out: ResponseOutparam, status: u16, text: &str) {
    whole(out, status, Fields::new(), text.as_bytes());
}

/// Begins an answer and sends the first half of it.
pub(crate) fn half(out: ResponseOutparam, declared: bool) -> Option<Begun> {
    let headers = Fields::new();
    if declared {
        content_length(&headers, 2 * Hostile::HALF)?;
    }
    let begun = begin(out, 200, headers)?;
    for piece in Pattern::new(Hostile::HALF) {
        write(&begun, &piece)?;
    }
    Some(begun)
}

fn content_length(headers: &Fields, length: u64) -> Option<()> {
    headers
        .append("content-length", length.to_string().as_bytes())
        .ok()
}

/// Promises one number of bytes and sends another.
pub(crate) fn bad_content_length(out: ResponseOutparam, declared: u64, sent: u64) -> Option<()> {
    let headers = Fields::new();
    content_length(&headers, declared)?;
    let bytes: Vec<u8> = Pattern::new(sent).flatten().collect();
    whole(out, 200, headers, &bytes)
}

/// Answers with a status that a final answer cannot have.
pub(crate) fn bad_status(out: ResponseOutparam, status: u16) {
    let response = OutgoingResponse::new(Fields::new());
    if response.set_status_code(status).is_err() {
        return text(out, 200, "refused\n");
    }
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    if let Ok(body) = body {
        // The tests look at what the client gets.
        let _ = OutgoingBody::finish(body, None);
    }
}
