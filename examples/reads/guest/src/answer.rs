//! Requests and answers.

use std::fmt;

use wasip2::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::{OutputStream, StreamError};

use crate::objects::write_all;
use crate::problem::{self, Problem};

/// Why an answer stopped: the client, or the server on its behalf, wants no more of it, or the body
/// could not be finished.
#[derive(Debug)]
pub struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer was broken off: {}", self.0)
    }
}

impl std::error::Error for Broken {}

impl From<StreamError> for Broken {
    fn from(error: StreamError) -> Self {
        Self(error.to_string())
    }
}

/// Whether a request wants the body of the answer too.
///
/// # Errors
/// A 405 for methods other than GET and HEAD.
pub fn wants_body(request: &IncomingRequest) -> Result<bool, Problem> {
    match request.method() {
        Method::Get => Ok(true),
        Method::Head => Ok(false),
        _ => Err(Problem::method()),
    }
}

/// An answer whose head can still be chosen.
#[derive(Debug)]
pub struct Pending(ResponseOutparam);

impl Pending {
    /// The answer to a request.
    pub fn new(out: ResponseOutparam) -> Self {
        Self(out)
    }

    /// Answers with a head and a whole body (`None` for HEAD).
    ///
    /// # Errors
    /// [`Broken`].
    pub fn whole(self, kind: &str, bytes: &[u8], with_body: bool) -> Result<(), Broken> {
        let length = bytes.len().to_string();
        let fields = [("content-type", kind), ("content-length", &length)];
        if !with_body {
            return self.start(200, &fields)?.finish();
        }
        let answer = self.start(200, &fields)?;
        answer.write(bytes)?;
        answer.finish()
    }

    /// Answers with a problem.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn problem(self, problem: &Problem) -> Result<(), Broken> {
        let mut fields = vec![("content-type", problem::CONTENT_TYPE)];
        if problem.status == 405 {
            fields.push(("allow", problem::METHODS));
        }
        let answer = self.start(problem.status, &fields)?;
        answer.write(&problem.to_json())?;
        answer.finish()
    }

    /// Sends the head; the body follows in pieces.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn start(self, status: u16, fields: &[(&str, &str)]) -> Result<Answer, Broken> {
        let headers = Fields::new();
        for (name, value) in fields {
            headers
                .append(name, value.as_bytes())
                .map_err(|error| Broken(format!("header {name}: {error:?}")))?;
        }
        let response = OutgoingResponse::new(headers);
        let broken = |()| Broken("the host refused the answer's head".into());
        response.set_status_code(status).map_err(broken)?;
        let body = response.body().map_err(broken)?;
        ResponseOutparam::set(self.0, Ok(response));
        let stream = body.write().map_err(broken)?;
        Ok(Answer { stream, body })
    }
}

/// An answer under way. Dropped without [`finish`](Self::finish) it is aborted, so that the client
/// can tell that it is not whole.
#[derive(Debug)]
pub struct Answer {
    // Before the body, since the stream is the body's child and has to go first.
    stream: OutputStream,
    body: OutgoingBody,
}

impl Answer {
    /// Sends bytes, as fast as the client takes them.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn write(&self, bytes: &[u8]) -> Result<(), Broken> {
        Ok(write_all(&self.stream, bytes)?)
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn finish(self) -> Result<(), Broken> {
        self.stream.blocking_flush()?;
        drop(self.stream);
        OutgoingBody::finish(self.body, None).map_err(|error| Broken(format!("{error:?}")))
    }
}
