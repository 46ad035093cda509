//! Reads HTTP/1.1 answers, as far as comparing servers needs it: every status and every byte of
//! the body is seen, and nothing is allocated.

use std::fmt;
use std::io;

use httparse::{EMPTY_HEADER, Status};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Fields that an answer may have.
const FIELDS: usize = 64;

/// Why bytes are no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// An answer that has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes of the answer, its head included.
    pub(crate) length: usize,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Connection(io::ErrorKind),
    Closed,
    Malformed(&'static str),
    /// More than so many bytes.
    Long(usize),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Connection(error.kind())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(kind) => write!(f, "connection failed ({kind})"),
            Self::Closed => f.write_str("connection closed"),
            Self::Malformed(what) => f.write_str(what),
            Self::Long(bytes) => write!(f, "answer longer than {bytes} bytes"),
        }
    }
}

impl std::error::Error for Failure {}

/// Reads the one answer that is due on a connection, of at most so many bytes, its head included;
/// its status. Once all of it has come its body is handed over in pieces.
///
/// # Errors
/// When there is none, or more than one.
pub(crate) async fn read(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    longest: usize,
    mut body: impl FnMut(&[u8]),
) -> Result<u16, Failure> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(Failure::Closed);
        }
        match parse(buffer, &mut body) {
            Err(Malformed(what)) => return Err(Failure::Malformed(what)),
            Ok(Some(answer)) if answer.length < buffer.len() => {
                return Err(Failure::Malformed("something came after an answer"));
            }
            Ok(Some(answer)) => return Ok(answer.status),
            Ok(None) if buffer.len() >= longest => return Err(Failure::Long(longest)),
            Ok(None) => {}
        }
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

/// Reads one answer from the start of `bytes` and hands the pieces of its body to `body`.
/// `None` when it has not all come yet; then nothing is handed over.
///
/// # Errors
/// When this is no answer to a GET with its end marked: not by the connection's end, which a
/// server that crashes looks like.
pub(crate) fn parse(
    bytes: &[u8],
    mut body: impl FnMut(&[u8]),
) -> Result<Option<Answer>, Malformed> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let start = match head.parse(bytes) {
        Ok(Status::Complete(start)) => start,
        Ok(Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed("a head that is not HTTP")),
    };
    let status = head.code.ok_or(Malformed("a head without a status"))?;
    let end = match framing(head.headers)? {
        Framing::Length(length) => {
            let Some(piece) = bytes.get(start..start.saturating_add(length)) else {
                return Ok(None);
            };
            body(piece);
            start + length
        }
        Framing::Chunked => match chunks(bytes, start, &mut |_| ())? {
            Some(end) => {
                chunks(bytes, start, &mut body)?;
                end
            }
            None => return Ok(None),
        },
    };
    Ok(Some(Answer {
        status,
        length: end,
    }))
}

fn framing(fields: &[httparse::Header<'_>]) -> Result<Framing, Malformed> {
    for field in fields {
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if field.value.eq_ignore_ascii_case(b"chunked") {
                return Ok(Framing::Chunked);
            }
            return Err(Malformed("a transfer encoding that is not `chunked`"));
        }
    }
    for field in fields {
        if field.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(field.value)
                .ok()
                .and_then(|text| text.parse().ok());
            return length
                .map(Framing::Length)
                .ok_or(Malformed("a content-length that is no number"));
        }
    }
    Err(Malformed("an answer that does not say how long it is"))
}

/// Reads chunks from `at`; where they end, with what comes after the last one.
fn chunks(
    bytes: &[u8],
    mut at: usize,
    body: &mut impl FnMut(&[u8]),
) -> Result<Option<usize>, Malformed> {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(Status::Complete(parsed)) => parsed,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(Malformed("a chunk without a size")),
        };
        at += start;
        if size == 0 {
            let mut trailers = [EMPTY_HEADER; FIELDS];
            let rest = bytes.get(at..).unwrap_or_default();
            return match httparse::parse_headers(rest, &mut trailers) {
                Ok(Status::Complete((length, _))) => Ok(Some(at + length)),
                Ok(Status::Partial) => Ok(None),
                Err(_) => Err(Malformed("trailers that are no fields")),
            };
        }
        let size = usize::try_from(size).map_err(|_| Malformed("a chunk beyond all bounds"))?;
        let end = at.saturating_add(size);
        let Some(piece) = bytes.get(at..end) else {
            return Ok(None);
        };
        body(piece);
        match bytes.get(end..end.saturating_add(2)) {
            Some(b"\r\n") => at = end + 2,
            Some(_) => return Err(Malformed("a chunk longer than it says")),
            None => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, body and what is left over.
    fn read(text: &str) -> Result<Option<(u16, String, String)>, Malformed> {
        let mut body = Vec::new();
        let answer = parse(text.as_bytes(), |piece| body.extend_from_slice(piece))?;
        Ok(answer.map(|answer| {
            let body = String::from_utf8(body).unwrap();
            (answer.status, body, text[answer.length..].to_owned())
        }))
    }

    fn whole(
        status: u16,
        body: &str,
        rest: &str,
    ) -> Result<Option<(u16, String, String)>, Malformed> {
        Ok(Some((status, body.to_owned(), rest.to_owned())))
    }

    #[test]
    fn the_end_is_where_the_length_or_the_last_chunk_says() {
        for (text, expected) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
                whole(200, "hi", ""),
            ),
            (
                "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\nHTTP",
                whole(503, "", "HTTP"),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;x=y\r\n, y\r\n0\r\n\r\n",
                whole(200, "hi, y", ""),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\n\r\nmore",
                whole(200, "", "more"),
            ),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn every_beginning_of_an_answer_is_unfinished() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\na: b\r\n\r\n",
        ] {
            for end in 0..text.len() {
                assert_eq!(read(&text[..end]), Ok(None), "{:?}", &text[..end]);
            }
        }
    }

    #[test]
    fn an_answer_whose_end_cannot_be_told_is_refused() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nhi\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
