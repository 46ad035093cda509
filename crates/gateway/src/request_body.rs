//! A request's body on its way to a function.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use strand_engine::{BodyError, Problem};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::fields;
use crate::link::Link;
use crate::transport::io_cause;

/// What is known of a body by those who do not read it.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    bytes: AtomicU64,
    problem: OnceLock<Problem>,
    failed: Notify,
    given_up: AtomicBool,
}

impl Inbound {
    /// Bytes that were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether its client was too slow, or sent what is no body.
    pub(crate) fn has_failed(&self) -> bool {
        self.problem.get().is_some()
    }

    /// Whether nobody holds it any more, though it was not read to its end.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Waits for the body to fail so; for one task.
    pub(crate) async fn failed(&self) -> Problem {
        loop {
            if let Some(problem) = self.problem.get() {
                return problem.clone();
            }
            self.failed.notified().await;
        }
    }
}

/// A body whose client must not be too slow. The clock runs only while somebody
/// wants bytes: a function that takes its time is no fault of the client's.
pub(crate) struct RequestBody {
    incoming: Incoming,
    inbound: Arc<Inbound>,
    link: Arc<Link>,
    waited: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, link: Arc<Link>) -> (Self, Arc<Inbound>) {
        let inbound = Arc::new(Inbound::default());
        let body = Self {
            incoming,
            inbound: Arc::clone(&inbound),
            link,
            waited: Duration::ZERO,
            waiting_since: None,
            timer: None,
            ended: false,
        };
        (body, inbound)
    }

    /// Counts what came and how long it took.
    fn came(&mut self, length: usize) -> Result<(), Problem> {
        let bytes = self.inbound.bytes() + length as u64;
        self.inbound.bytes.store(bytes, Ordering::Relaxed);
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
            let config = &self.link.shared.config;
            let wanted = config.body_rate.saturating_mul(self.waited.as_secs());
            if self.waited > config.body_timeout && bytes < wanted {
                return Err(Problem::bad_request(
                    "body",
                    format!(
                        "the body came with less than {} bytes a second",
                        config.body_rate
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Waits for a time limit.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Problem> {
        let timeout = self.link.shared.config.body_timeout;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + timeout)));
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            timer.as_mut().reset(now + timeout);
        }
        timer.as_mut().poll(cx).map(|()| {
            Problem::bad_request("body", format!("no byte of the body came for {timeout:?}"))
        })
    }

    fn fail(&mut self, problem: Problem) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.ended = true;
        self.link.leave_unread();
        if self.inbound.problem.set(problem.clone()).is_ok() {
            self.inbound.failed.notify_one();
        }
        Poll::Ready(Some(Err(problem.into())))
    }
}

/// Whether hyper could not read it; else its client has gone.
fn is_malformed(error: &hyper::Error) -> bool {
    io_cause(error).is_some_and(is_of_chunks)
}

/// Whether it is about chunks and trailers. TLS calls records that it cannot read invalid too,
/// but with them it is the connection that fails.
fn is_of_chunks(error: &io::Error) -> bool {
    let of_tls = error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>());
    let invalid = matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    );
    invalid && !of_tls
}

fn without_forbidden(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            fields::strip_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Pending => match self.poll_timer(cx) {
                Poll::Ready(problem) => self.fail(problem),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match self.came(length) {
                    Ok(()) => Poll::Ready(Some(Ok(without_forbidden(frame)))),
                    Err(problem) => self.fail(problem),
                }
            }
            Poll::Ready(Some(Err(error))) if is_malformed(&error) => self.fail(
                Problem::bad_request("body", "the body cannot be read as chunks and trailers"),
            ),
            Poll::Ready(Some(Err(error))) => {
                self.ended = true;
                Poll::Ready(Some(Err(BodyError::Connection(Box::new(error)))))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.ended && !self.incoming.is_end_stream() {
            self.inbound.given_up.store(true, Ordering::Relaxed);
            self.link.leave_unread();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use http_body_util::{BodyExt, Empty};
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::sync::mpsc;
    use tokio::time::sleep;

    use super::*;
    use crate::config::Config;
    use crate::link::tests::link;

    /// What a function gets of a body of so many bytes, which comes in pieces with a wait before
    /// each, if it thinks for so long about each of them: how many bytes, and how it broke off.
    async fn received(
        length: usize,
        pieces: &[(Duration, usize)],
        thinks: Duration,
    ) -> (u64, Option<String>) {
        let link = link(Config::default(), false);
        let (tell, mut told) = mpsc::channel(1);
        let service = service_fn(move |request: Request<Incoming>| {
            let (link, tell) = (Arc::clone(&link), tell.clone());
            async move {
                let (mut body, inbound) = RequestBody::new(request.into_body(), link);
                let fault = loop {
                    match body.frame().await {
                        Some(Ok(_)) => sleep(thinks).await,
                        Some(Err(error)) => break Some(error.to_string()),
                        None => break None,
                    }
                };
                let _ = tell.send((inbound.bytes(), fault)).await;
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let (near, mut far) = duplex(1 << 20);
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(near), service);
        let client = async {
            let head = format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n");
            far.write_all(head.as_bytes()).await.unwrap();
            for (wait, bytes) in pieces {
                sleep(*wait).await;
                far.write_all(&vec![b'x'; *bytes]).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let both = async { tokio::join!(connection, client) };
        tokio::select! {
            told = told.recv() => told.unwrap(),
            _ = both => unreachable!("the client stays"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_as_fast_as_it_must() {
        let seconds = Duration::from_secs;
        let rate = 128;
        // As slow as it may be, for longer than any silence may last.
        let slow = vec![(seconds(9), 9 * rate); 20];
        let length = 20 * 9 * rate;
        let whole = (length as u64, None);
        assert_eq!(received(length, &slow, Duration::ZERO).await, whole);
        // One byte less, once it is looked at.
        let mut slower = slow.clone();
        slower[0].1 -= 1;
        let (bytes, fault) = received(length, &slower, Duration::ZERO).await;
        assert_eq!(bytes, 4 * 9 * rate as u64 - 1);
        let expected = "bad-request: the body came with less than 128 bytes a second";
        assert_eq!(fault.as_deref(), Some(expected));
        // That a function thinks is no fault of the client's.
        let at_once = [(seconds(1), 1); 5];
        assert_eq!(received(5, &at_once, seconds(100)).await, (5, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_not_silent_for_long() {
        let seconds = Duration::from_secs;
        let start = Instant::now();
        // Neither piece comes too slowly.
        let pieces = [(seconds(20), 5000); 2];
        let (bytes, fault) = received(20_000, &pieces, seconds(5)).await;
        assert_eq!(bytes, 10_000);
        let expected = "bad-request: no byte of the body came for 30s";
        assert_eq!(fault.as_deref(), Some(expected));
        // From when the function had asked for more.
        assert_eq!(start.elapsed().as_secs(), 40 + 5 + 30);
    }

    #[test]
    fn what_tls_cannot_read_is_no_fault_of_the_body_s() {
        use io::ErrorKind::{ConnectionReset, InvalidData, InvalidInput, UnexpectedEof};
        for (error, expected) in [
            (io::Error::new(InvalidInput, "a chunk's size"), true),
            (io::Error::new(InvalidData, "a chunk's end"), true),
            (
                io::Error::new(InvalidData, rustls::Error::DecryptError),
                false,
            ),
            (ConnectionReset.into(), false),
            (UnexpectedEof.into(), false),
        ] {
            assert_eq!(is_of_chunks(&error), expected, "{error:?}");
        }
    }
}
