//! Standard input and output of a command, as bodies.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;
use wasmtime_wasi::cli::{AsyncStdinStream, IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_http::WasiBody;

use crate::call::Body;
use crate::limits::format_bytes;
use crate::outcome::Outcome;
use crate::outgoing::BODY_PIECE;
use crate::problem::{Limit, Problem};

/// Pieces of output that wait for the client.
const PIECES: usize = 2;

/// A request's body as standard input.
pub(crate) struct Stdin(AsyncStdinStream);

impl Stdin {
    pub(crate) fn new(body: Body) -> Self {
        Self(AsyncStdinStream::new(BodyReader {
            body: Mutex::new(body),
            current: Bytes::new(),
        }))
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        self.0.async_stream()
    }

    fn p2_stream(&self) -> Box<dyn wasmtime_wasi::p2::InputStream> {
        self.0.p2_stream()
    }
}

struct BodyReader {
    /// Never locked: there for `Sync`, which the body is not.
    body: Mutex<Body>,
    current: Bytes,
}

impl AsyncRead for BodyReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.current.is_empty() {
            let body = this.body.get_mut().unwrap_or_else(PoisonError::into_inner);
            match ready!(http_body::Body::poll_frame(Pin::new(body), cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.current = data;
                    }
                }
            }
        }
        let length = this.current.len().min(buf.remaining());
        buf.put_slice(&this.current.split_to(length));
        Poll::Ready(Ok(()))
    }
}

/// A command's standard output: at most `limit` bytes, then the outcome is that
/// problem.
pub(crate) fn stdout(limit: u64, outcome: &Arc<Outcome>) -> (Stdout, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let stdout = Stdout {
        sender,
        left: Arc::new(Quota {
            left: AtomicU64::new(limit),
            limit,
            outcome: Arc::clone(outcome),
        }),
    };
    (stdout, receiver)
}

/// The answer's body: a piece that was taken already, and what follows.
pub(crate) fn body(first: Option<Bytes>, rest: Option<mpsc::Receiver<Bytes>>) -> WasiBody {
    let stream = futures::stream::unfold((first, rest), |(first, rest)| async move {
        if let Some(first) = first {
            return Some((Ok(Frame::data(first)), (None, rest)));
        }
        let mut rest = rest?;
        let next = rest.recv().await?;
        Some((Ok(Frame::data(next)), (None, Some(rest))))
    });
    StreamBody::new(stream).boxed_unsync()
}

struct Quota {
    left: AtomicU64,
    limit: u64,
    outcome: Arc<Outcome>,
}

impl Quota {
    fn take(&self, bytes: usize) -> Result<(), Problem> {
        let taken = self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes as u64)
            });
        if taken.is_ok() {
            return Ok(());
        }
        let value = format_bytes(self.limit);
        let detail = format!("a command may write {value} to its standard output");
        let problem = Problem::limit(Limit::Response, value, detail);
        self.outcome.fail(problem.clone());
        Err(problem)
    }
}

/// Hands out streams to one standard output.
pub(crate) struct Stdout {
    sender: mpsc::Sender<Bytes>,
    left: Arc<Quota>,
}

impl IsTerminal for Stdout {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdout {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Writer {
            sender: PollSender::new(self.sender.clone()),
            left: Arc::clone(&self.left),
        })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Stream {
            sender: self.sender.clone(),
            left: Arc::clone(&self.left),
        })
    }
}

/// The stream of WASI 0.3.
struct Writer {
    sender: PollSender<Bytes>,
    left: Arc<Quota>,
}

fn broken_pipe() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if ready!(self.sender.poll_reserve(cx)).is_err() {
            return Poll::Ready(Err(broken_pipe()));
        }
        let piece = &buf[..buf.len().min(BODY_PIECE)];
        self.left.take(piece.len()).map_err(io::Error::other)?;
        self.sender
            .send_item(Bytes::copy_from_slice(piece))
            .map_err(|_| broken_pipe())?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The stream of WASI 0.2.
struct Stream {
    sender: mpsc::Sender<Bytes>,
    left: Arc<Quota>,
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {
        // An error says that nobody reads: the next write tells the guest.
        let _ = self.sender.reserve().await;
    }
}

#[async_trait]
impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > BODY_PIECE {
            return Err(StreamError::trap("a write larger than was permitted"));
        }
        self.left
            .take(bytes.len())
            .map_err(|problem| StreamError::Trap(wasmtime::Error::new(problem)))?;
        match self.sender.try_send(bytes) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StreamError::Closed),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(StreamError::trap("a write that was not permitted"))
            }
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        if self.sender.is_closed() {
            return Err(StreamError::Closed);
        }
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.sender.is_closed() {
            Err(StreamError::Closed)
        } else if self.sender.capacity() == 0 {
            Ok(0)
        } else {
            Ok(BODY_PIECE)
        }
    }
}

#[cfg(test)]
mod tests;
