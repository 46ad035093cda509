//! Answers over `wasi:http` 0.2.

use std::fmt;

use serde_json::Value;
use wasip2::http::types::{
    ErrorCode, Fields, HeaderError, OutgoingBody, OutgoingResponse, ResponseOutparam, Trailers,
};
use wasip2::io::streams::{OutputStream, StreamError};

/// Bytes that one `blocking-write-and-flush` may take, as its interface says.
const PIECE: usize = 4096;

/// The answer could not be begun or not be ended. Nobody but the log is there to be told.
#[derive(Debug)]
pub(crate) struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Broken {
    pub(crate) fn new(what: &str) -> Self {
        Broken(what.to_owned())
    }
}

impl From<StreamError> for Broken {
    fn from(error: StreamError) -> Self {
        Broken(format!("a stream failed: {error}"))
    }
}

impl From<ErrorCode> for Broken {
    fn from(code: ErrorCode) -> Self {
        Broken(format!("a body was not whole: {code}"))
    }
}

impl From<HeaderError> for Broken {
    fn from(error: HeaderError) -> Self {
        Broken(format!("a field was refused: {error}"))
    }
}

/// An answer whose head has been sent.
pub(crate) struct Body {
    // The stream goes first: it is the body's child, and the host insists.
    stream: OutputStream,
    body: OutgoingBody,
}

/// Sends the head of an answer.
pub(crate) fn begin(
    out: ResponseOutparam,
    status: u16,
    fields: &[(&str, &str)],
) -> Result<Body, Broken> {
    let headers = Fields::new();
    for (name, value) in fields {
        headers.append(name, value.as_bytes())?;
    }
    begin_with(out, status, headers)
}

/// Sends the head of an answer with these fields.
pub(crate) fn begin_with(
    out: ResponseOutparam,
    status: u16,
    headers: Fields,
) -> Result<Body, Broken> {
    let response = OutgoingResponse::new(headers);
    response
        .set_status_code(status)
        .map_err(|()| Broken(format!("the host refused the status {status}")))?;
    let body = response
        .body()
        .map_err(|()| Broken::new("there is no body"))?;
    ResponseOutparam::set(out, Ok(response));
    let stream = body
        .write()
        .map_err(|()| Broken::new("the body gives no stream"))?;
    Ok(Body { stream, body })
}

impl Body {
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Broken> {
        for piece in bytes.chunks(PIECE) {
            self.stream.blocking_write_and_flush(piece)?;
        }
        Ok(())
    }

    pub(crate) fn stream(&self) -> &OutputStream {
        &self.stream
    }

    /// Ends the answer.
    pub(crate) fn finish(self, trailers: Option<Trailers>) -> Result<(), Broken> {
        let Body { stream, body } = self;
        drop(stream);
        Ok(OutgoingBody::finish(body, trailers)?)
    }
}

/// Answers with a text.
pub(crate) fn text(out: ResponseOutparam, status: u16, text: &str) -> Result<(), Broken> {
    let body = begin(out, status, &[("content-type", "text/plain")])?;
    body.write(text.as_bytes())?;
    body.finish(None)
}

/// Answers with JSON.
pub(crate) fn json(out: ResponseOutparam, value: &Value) -> Result<(), Broken> {
    let body = begin(out, 200, &[("content-type", "application/json")])?;
    body.write(value.to_string().as_bytes())?;
    body.finish(None)
}
