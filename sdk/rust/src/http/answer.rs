//! What goes out.

use std::io;

use wasip2::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::OutputStream;

use crate::http::Broken;
use crate::streams::write_all;

/// Bytes that can be written and waited for in one call of the host.
const AT_ONCE: usize = 4096;

/// An answer whose head can still be chosen. Dropped without an answer, the client gets a 500.
#[derive(Debug)]
pub struct Responder {
    out: ResponseOutparam,
    is_head: bool,
}

impl Responder {
    pub(crate) fn new(out: ResponseOutparam, is_head: bool) -> Self {
        Self { out, is_head }
    }

    /// Whether anybody will see the body: not that of an answer to HEAD. What is written then is
    /// left out, so that only an answer whose body costs much need ask.
    pub fn wants_body(&self) -> bool {
        !self.is_head
    }

    /// Answers 200 with a text.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn text(self, text: &str) -> Result<(), Broken> {
        self.send(200, &[("content-type", "text/plain; charset=utf-8")], text)
    }

    /// Answers 200 with JSON that is written already.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn json(self, json: impl AsRef<[u8]>) -> Result<(), Broken> {
        self.send(200, &[("content-type", "application/json")], json)
    }

    /// Answers with a head and a whole body, whose length is told.
    ///
    /// # Errors
    /// [`Broken`], for example for a header field that no answer may have.
    pub fn send(
        self,
        status: u16,
        fields: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Result<(), Broken> {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut fields = fields.to_vec();
        // A 204 has no body, and so no length either.
        if status != 204 {
            fields.push(("content-length", &length));
        }
        let mut answer = self.start(status, &fields)?;
        if answer.is_head {
            return Ok(());
        }
        if body.len() > AT_ONCE {
            answer.write_all(body)?;
            return answer.finish();
        }
        // One call of the host instead of three: most answers are small.
        answer.stream.blocking_write_and_flush(body)?;
        answer.end()
    }

    /// Sends the head; the body follows in pieces.
    ///
    /// # Errors
    /// [`Broken`], for example for a header field that no answer may have.
    pub fn start(self, status: u16, fields: &[(&str, &str)]) -> Result<Answer, Broken> {
        let response = OutgoingResponse::new(headers(fields)?);
        // It is 200 from the start.
        if status != 200 {
            response
                .set_status_code(status)
                .map_err(|()| Broken::new(format!("{status} is no status of an answer")))?;
        }
        let taken = |()| Broken::new("the answer's body was taken before");
        let body = response.body().map_err(taken)?;
        ResponseOutparam::set(self.out, Ok(response));
        let stream = body.write().map_err(taken)?;
        Ok(Answer {
            stream,
            body,
            is_head: self.is_head,
        })
    }
}

pub(crate) fn headers(fields: &[(&str, &str)]) -> Result<Fields, Broken> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    Fields::from_list(&fields).map_err(|error| Broken::new(format!("the header fields: {error:?}")))
}

/// An answer under way. Dropped without [`finish`](Self::finish) it is aborted, so that the client
/// can tell that it is not whole. It can be written through [`std::io::Write`] too.
#[derive(Debug)]
pub struct Answer {
    // Before the body, whose child it is.
    stream: OutputStream,
    body: OutgoingBody,
    is_head: bool,
}

impl Answer {
    /// Sends bytes, as fast as the client takes them.
    ///
    /// # Errors
    /// [`Broken`] when the client went away.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.is_head {
            return Ok(());
        }
        Ok(write_all(&self.stream, bytes)?)
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// [`Broken`] when the client went away, or a length was announced that the body does not have.
    pub fn finish(self) -> Result<(), Broken> {
        // The host would miss the bytes that were left out.
        if self.is_head {
            return Ok(());
        }
        self.stream.blocking_flush()?;
        self.end()
    }

    /// Ends an answer whose bytes are all out.
    fn end(self) -> Result<(), Broken> {
        drop(self.stream);
        OutgoingBody::finish(self.body, None).map_err(|error| Broken::new(format!("{error:?}")))
    }
}

impl io::Write for Answer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_head {
            return Ok(());
        }
        Ok(self.stream.blocking_flush().map_err(Broken::from)?)
    }
}
