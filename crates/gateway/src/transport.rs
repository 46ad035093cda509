//! A connection's bytes, and what we put between them and hyper.

use std::error::Error as _;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use strand_engine::{Problem, RequestId};
use tokio::time::{Sleep, sleep};

use crate::exchange;
use crate::fields;
use crate::link::Link;

/// How long a connection is kept, with nothing more to say, for a client that still
/// sends: closed at once, the kernel would throw the answer away with what was not
/// read.
const LINGER: Duration = Duration::from_secs(3);

/// Wraps what hyper reads from and writes to.
pub(crate) struct Transport<IO> {
    io: IO,
    link: Arc<Link>,
    /// What was read to find out which protocol it is.
    prefix: Bytes,
    /// Our answer in place of one of hyper's own.
    own: Bytes,
    shut: bool,
    linger: Option<Pin<Box<Sleep>>>,
}

impl<IO: Read + Write + Unpin> Transport<IO> {
    pub(crate) fn new(io: IO, link: Arc<Link>, prefix: Bytes) -> Self {
        Self {
            io,
            link,
            prefix,
            own: Bytes::new(),
            shut: false,
            linger: None,
        }
    }

    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.own.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.own))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.own.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether this is an answer of hyper's own to a request it could not read; then
    /// ours, which says more, takes its place.
    fn replaces(&mut self, head: &[u8]) -> bool {
        if self.link.http2 || !self.link.is_clean() || !self.own.is_empty() {
            return false;
        }
        match refusal(&self.link, head) {
            Some(own) => {
                self.own = own;
                self.link.leave_unread();
                true
            }
            None => false,
        }
    }

    /// Throws away what the client still sends.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let timer = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut waste = [0; 4096];
        // Bounded, so that a fast client cannot keep the thread.
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut waste);
            // The answer was sent: how the connection ends does not matter any more.
            if ready!(Pin::new(&mut self.io).poll_read(cx, buffer.unfilled())).is_err()
                || buffer.filled().is_empty()
            {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Our answer for one that hyper begins so; `None` for what we do not know.
fn refusal(link: &Link, head: &[u8]) -> Option<Bytes> {
    let code = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let problem = match code {
        b"400" => Problem::bad_request("request", "the request cannot be read as HTTP/1.1"),
        b"414" | b"431" => fields::header_too_large(&link.shared.config),
        _ => return None,
    };
    let id = fields::new_request_id();
    let (answer, length) = raw_problem(&problem, &id);
    exchange::refused(&link.shared, link.peer.address, &id, &problem, length);
    Some(answer)
}

/// A problem as the last answer of a connection of HTTP/1.1, and the length of its body.
pub(crate) fn raw_problem(problem: &Problem, id: &RequestId) -> (Bytes, usize) {
    let json = problem.to_json(id).to_string();
    let status = problem.status();
    let text = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nx-request-id: {id}\r\nconnection: close\r\ndate: {}\r\n\r\n{json}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        json.len(),
        httpdate::fmt_http_date(SystemTime::now()),
    );
    (Bytes::from(text), json.len())
}

/// The failure of the connection, or of what was read from it, that is behind an error
/// of hyper's.
pub(crate) fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

impl<IO: Read + Write + Unpin> Read for Transport<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let length = self.prefix.len().min(buffer.remaining());
            buffer.put_slice(&self.prefix.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        if polled.is_ready() {
            self.link.bytes_came();
        }
        polled
    }
}

impl<IO: Read + Write + Unpin> Write for Transport<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(this.poll_own(cx))?;
        Pin::new(&mut this.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let head = slices.first().map_or(&[][..], |slice| slice);
        if this.replaces(head) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        ready!(this.poll_own(cx))?;
        Pin::new(&mut this.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(cx))?;
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.link.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(self.poll_own(cx))?;
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.shut = true;
        }
        if self.link.is_unread() && !self.link.http2 {
            return self.poll_linger(cx);
        }
        Poll::Ready(Ok(()))
    }
}
