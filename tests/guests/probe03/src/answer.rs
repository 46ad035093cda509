//! Answers over `wasi:http` 0.3.

use serde_json::Value;
use wasip3::http::types::{ErrorCode, Fields, HeaderError, Response, Trailers};
use wasip3::wit_bindgen::{FutureWriter, StreamReader, StreamResult, StreamWriter};
use wasip3::{spawn_local, wit_future, wit_stream};

/// Bytes read at a time at most.
const PIECE: usize = 64 << 10;

/// How a body ends: with trailers or without, or not whole.
pub(crate) type End = Result<Option<Trailers>, ErrorCode>;

/// What is behind an answer's head.
pub(crate) struct Body {
    pub(crate) stream: StreamWriter<u8>,
    pub(crate) end: FutureWriter<End>,
}

impl Body {
    /// Ends the answer.
    pub(crate) async fn finish(self, end: End) {
        // The stream is over first, as the interface wants it.
        drop(self.stream);
        // Who went away need not know how it ended.
        let _ = self.end.write(end).await;
    }
}

pub(crate) fn internal(what: &str) -> ErrorCode {
    ErrorCode::InternalError(Some(what.to_owned()))
}

fn refused(error: HeaderError) -> ErrorCode {
    internal(&error.to_string())
}

/// Fields that have these values.
pub(crate) fn fields(all: &[(&str, &str)]) -> Result<Fields, ErrorCode> {
    let all: Vec<_> = all
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    Fields::from_list(&all).map_err(refused)
}

/// Copies the fields of these names.
pub(crate) fn copy(from: &Fields, to: &Fields, names: &[&str]) -> Result<(), ErrorCode> {
    for name in names {
        for value in from.get(name) {
            to.append(name, &value).map_err(refused)?;
        }
    }
    Ok(())
}

/// An answer and what its body is written to.
pub(crate) fn begin(status: u16, headers: Fields) -> Result<(Response, Body), ErrorCode> {
    let (stream, contents) = wit_stream::new();
    let not_whole = || Err(internal("the body was not ended"));
    let (end, trailers) = wit_future::new(not_whole);
    let (response, _sent) = Response::new(headers, Some(contents), trailers);
    set_status(&response, status)?;
    Ok((response, Body { stream, end }))
}

pub(crate) fn set_status(response: &Response, status: u16) -> Result<(), ErrorCode> {
    response
        .set_status_code(status)
        .map_err(|()| internal(&format!("the host refused the status {status}")))
}

/// An answer without a body.
pub(crate) fn empty(status: u16) -> Result<Response, ErrorCode> {
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), None, trailers);
    set_status(&response, status)?;
    Ok(response)
}

/// An answer of one piece.
pub(crate) fn whole(status: u16, headers: Fields, bytes: Vec<u8>) -> Result<Response, ErrorCode> {
    let (response, mut body) = begin(status, headers)?;
    spawn_local(async move {
        body.stream.write_all(bytes).await;
        body.finish(Ok(None)).await;
    });
    Ok(response)
}

/// Answers with a text.
pub(crate) fn text(status: u16, text: &str) -> Result<Response, ErrorCode> {
    let headers = fields(&[("content-type", "text/plain")])?;
    whole(status, headers, text.as_bytes().to_vec())
}

/// Answers with JSON.
pub(crate) fn json(value: &Value) -> Result<Response, ErrorCode> {
    let headers = fields(&[("content-type", "application/json")])?;
    whole(200, headers, value.to_string().into_bytes())
}

/// The next piece of a body, at its end none.
pub(crate) async fn next(body: &mut StreamReader<u8>) -> Option<Vec<u8>> {
    loop {
        let (result, piece) = body.read(Vec::with_capacity(PIECE)).await;
        if !piece.is_empty() {
            return Some(piece);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return None;
        }
    }
}
