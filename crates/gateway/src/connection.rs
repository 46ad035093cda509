//! One connection, from its first byte to its last.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::AnswerBody;
use crate::client::Peer;
use crate::compress::Compressors;
use crate::link::{Link, Phase, Shared};
use crate::service::handle;
use crate::stream::{StreamExecutor, StreamProgress};
use crate::transport::{Transport, io_cause};
use crate::watch::{Verdict, Watch};

/// What a client of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The header that hyper is let read beyond the limit, so that the problem can be
/// told.
const H2_HEADROOM: u32 = 2;

/// Bytes of a request's body that an HTTP/2 client may send on a stream before they
/// are read. A part of `Config::IN_FLIGHT`.
const STREAM_WINDOW: u32 = 64 << 10;

/// The largest window that HTTP/2 has (RFC 9113, section 6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// Bytes that hyper buffers of an HTTP/1 connection, each way. A part of
/// `Config::IN_FLIGHT`.
const BUFFER: usize = 64 << 10;

/// hyper's own number of header fields, for which it has room without allocating.
const FIELDS_WITHOUT_ALLOCATION: usize = 100;

/// What ends connections from outside, and counts those that live.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) drain: CancellationToken,
    pub(crate) cut: CancellationToken,
    pub(crate) tracker: TaskTracker,
}

/// The addresses of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Serves a connection until it ends: any stream of bytes. `http2` says which protocol it
/// is if that is known; else the first bytes tell. `compressors` are those of this thread.
pub(crate) async fn serve<S>(
    mut stream: S,
    http2: Option<bool>,
    shared: Arc<Shared>,
    Ends { peer, local }: Ends,
    compressors: Compressors,
    control: Control,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let protocol = async {
        match http2 {
            Some(http2) => Ok(Some((http2, Bytes::new()))),
            None => first_bytes(&mut stream).await,
        }
    };
    let first = tokio::select! {
        first = timeout(shared.config.header_timeout, protocol) => first,
        () = control.drain.cancelled() => return,
    };
    let (http2, prefix) = match first {
        Ok(Ok(Some(first))) => first,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a connection failed before its first request");
            return;
        }
        Err(_) => {
            shared.metrics.connections().timed_out.inc();
            return;
        }
    };
    let secure = shared.tls.is_some();
    let peer = Peer::new(peer.ip(), secure, &shared.config.trusted_proxies);
    let link = Link::new(shared, peer, local, http2, compressors);
    let transport = Transport::new(TokioIo::new(stream), Arc::clone(&link), prefix);
    let _unfinished = Unfinished(Arc::clone(&link));
    if http2 {
        serve_http2(transport, &link, &control).await;
    } else {
        serve_http1(transport, &link, &control).await;
    }
}

/// Gives up what waited to be written when the connection is gone.
struct Unfinished(Arc<Link>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        drop(self.0.take_ended());
    }
}

/// Reads until it is clear which protocol it is; `None` if the client goes before.
async fn first_bytes<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<(bool, Bytes)>> {
    let mut first = BytesMut::with_capacity(PREFACE.len());
    loop {
        // No more than the preface: HTTP/1 is read by hyper, into its own buffer.
        let mut rest = (&mut *stream).take((PREFACE.len() - first.len()) as u64);
        if rest.read_buf(&mut first).await? == 0 {
            return Ok(None);
        }
        if first == PREFACE {
            return Ok(Some((true, first.freeze())));
        }
        if !PREFACE.starts_with(&first) {
            return Ok(Some((false, first.freeze())));
        }
    }
}

async fn serve_http1<IO>(transport: Transport<IO>, link: &Arc<Link>, control: &Control)
where
    IO: Read + Write + Unpin + Send + 'static,
{
    let config = &link.shared.config;
    let mut builder = http1::Builder::new();
    builder
        // The watch does this, for less than a timer a request.
        .header_read_timeout(None)
        .max_buf_size(BUFFER.max(config.header_bytes))
        .max_header_size(config.header_bytes);
    if config.header_fields != FIELDS_WITHOUT_ALLOCATION {
        builder.max_headers(config.header_fields);
    }
    let service = service_fn(|request| {
        link.enter(Phase::Busy);
        handle(Arc::clone(link), None, request)
    });
    let connection = builder.serve_connection(transport, service);
    drive(connection, link, control).await;
}

/// As much as all streams have: were it less, bodies that are not read would close it
/// for those that are, and their clients would seem too slow.
fn connection_window(streams: u32) -> u32 {
    STREAM_WINDOW.saturating_mul(streams).min(LARGEST_WINDOW)
}

async fn serve_http2<IO>(transport: Transport<IO>, link: &Arc<Link>, control: &Control)
where
    IO: Read + Write + Unpin + Send + 'static,
{
    let config = &link.shared.config;
    let executor = StreamExecutor {
        link: Arc::clone(link),
        tracker: control.tracker.clone(),
    };
    let mut builder = http2::Builder::new(executor);
    let header_bytes = u32::try_from(config.header_bytes).unwrap_or(u32::MAX);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(config.ping_interval)
        .keep_alive_timeout(config.ping_timeout)
        .max_concurrent_streams(config.max_streams)
        .max_header_list_size(header_bytes.saturating_mul(H2_HEADROOM))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window(config.max_streams));
    let service = service_fn(|request| {
        let progress = Arc::new(StreamProgress::default());
        link.offer_stream(Some(Arc::clone(&progress)));
        handle(Arc::clone(link), Some(progress), request)
    });
    let connection = builder.serve_connection(transport, service);
    drive(connection, link, control).await;
}

/// Both of hyper's connections.
trait Graceful: Future<Output = hyper::Result<()>> {
    fn close(self: Pin<&mut Self>);
}

impl<IO, S> Graceful for http1::Connection<IO, S>
where
    IO: Read + Write + Unpin + 'static,
    S: HttpService<Incoming, ResBody = AnswerBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<IO, S> Graceful for http2::Connection<IO, S, StreamExecutor>
where
    IO: Read + Write + Unpin + 'static,
    S: HttpService<Incoming, ResBody = AnswerBody>,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

#[derive(Clone, Copy)]
enum Event {
    Drain,
    Cut,
    Look,
}

/// Runs a connection until it ends, or has to.
async fn drive(connection: impl Graceful, link: &Link, control: &Control) {
    let mut connection = pin!(connection);
    let interval = Watch::interval(&link.shared.config);
    let mut watch = Watch::new(Instant::now().into_std());
    let look = || -> BoxFuture<'static, Event> {
        Box::pin(async move {
            sleep(interval).await;
            Event::Look
        })
    };
    // A set of its own, so that the connection's wake-ups do not poll these: the
    // tokens are shared by all connections.
    let mut events = FuturesUnordered::new();
    events.push(when(control.drain.clone(), Event::Drain));
    events.push(when(control.cut.clone(), Event::Cut));
    events.push(look());
    loop {
        let event = tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    // The kernel gave the client up.
                    let cause = io_cause(&error);
                    if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut) {
                        link.shared.metrics.connections().timed_out.inc();
                    }
                    tracing::debug!(peer = %link.peer.address, %error, "a connection ended early");
                }
                return;
            }
            Some(event) = events.next() => event,
        };
        match event {
            Event::Drain => connection.as_mut().close(),
            Event::Cut => return,
            Event::Look => {
                let verdict = watch.look(link, Instant::now().into_std());
                if verdict != Verdict::Fine {
                    tracing::debug!(peer = %link.peer.address, ?verdict, "a connection waited too long");
                    link.shared.metrics.connections().timed_out.inc();
                }
                match verdict {
                    Verdict::Fine => {}
                    Verdict::Close => connection.as_mut().close(),
                    Verdict::Cut => return,
                }
                events.push(look());
            }
        }
    }
}

fn when(token: CancellationToken, event: Event) -> BoxFuture<'static, Event> {
    Box::pin(async move {
        token.cancelled_owned().await;
        event
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::{answer, static_files};

    /// The documented number is that of the buffers.
    #[test]
    fn what_a_request_holds_is_charged() {
        let http2 = answer::PIECE as u64 + u64::from(STREAM_WINDOW);
        let http1 = 2 * BUFFER as u64 + static_files::PIECE as u64;
        assert_eq!((http2, http1), (Config::IN_FLIGHT, Config::IN_FLIGHT));
        let file_over_http2 = 2 * static_files::PIECE;
        assert!(file_over_http2 <= answer::PIECE);
    }

    #[test]
    fn a_connection_has_room_for_all_its_streams() {
        assert_eq!(connection_window(128), 8 << 20);
        assert_eq!(connection_window(1), 64 << 10);
        assert_eq!(connection_window(u32::MAX), LARGEST_WINDOW);
    }
}
