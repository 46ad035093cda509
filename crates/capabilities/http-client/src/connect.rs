//! One new connection: to a checked address, with TLS where the scheme says so,
//! in the version that both sides speak.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::Error;

use crate::request::RequestBody;
use crate::resolve::{Resolver, resolve};
use crate::rule::{Destination, Reach, Scheme};

/// What one address is given while there are others.
const NEXT_ADDRESS: Duration = Duration::from_secs(3);
/// Bytes that an HTTP/1.1 connection buffers; also what an answer's head may have.
const BUFFER: usize = 128 << 10;
/// Bytes that an HTTP/2 server may send ahead, for a stream and a connection.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Sends requests on one connection.
pub(crate) enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

/// What every connection of a function needs.
pub(crate) struct Connector {
    pub(crate) resolver: Resolver,
    /// The function's look-ups.
    pub(crate) lookups: Arc<Semaphore>,
    pub(crate) tls: TlsConnector,
}

impl Connector {
    /// Opens a connection. The permit is given back when it is closed.
    pub(crate) async fn connect(
        &self,
        to: &Destination,
        reach: Reach,
        until: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Result<Sender, Error> {
        let addresses = resolve(&self.resolver, &self.lookups, to, reach, until).await?;
        let tcp = tcp(&addresses, until).await?;
        match to.scheme {
            Scheme::Http => Ok(Sender::Http1(http1(tcp, permit).await?)),
            Scheme::Https => {
                let name = ServerName::try_from(to.host.clone())
                    .map_err(|_| Error::HttpRequestUriInvalid)?;
                let tls = timeout_at(until, self.tls.connect(name, tcp))
                    .await
                    .map_err(|_| Error::ConnectionTimeout)?
                    .map_err(tls_error)?;
                if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
                    Ok(Sender::Http2(http2(tls, permit).await?))
                } else {
                    Ok(Sender::Http1(http1(tls, permit).await?))
                }
            }
        }
    }
}

/// Connects to the first address that answers.
async fn tcp(addresses: &[SocketAddr], until: Instant) -> Result<TcpStream, Error> {
    let mut last = Error::DestinationUnavailable;
    for (at, address) in addresses.iter().enumerate() {
        let patience = if at + 1 < addresses.len() {
            until.min(Instant::now() + NEXT_ADDRESS)
        } else {
            until
        };
        match timeout_at(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without it small requests wait for acknowledgements.
                stream.set_nodelay(true).map_err(Error::Connect)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = tcp_error(error),
            Err(_elapsed) => last = Error::ConnectionTimeout,
        }
    }
    Err(last)
}

fn tcp_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            Error::DestinationIpUnroutable
        }
        _ => Error::Connect(error),
    }
}

fn tls_error(error: io::Error) -> Error {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(why)) => {
            tracing::debug!(?why, "a server's certificate was refused");
            Error::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(alert)) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        Some(_) => Error::TlsProtocolError,
        None => Error::ConnectionTerminated,
    }
}

async fn http1<S>(
    stream: S,
    permit: OwnedSemaphorePermit,
) -> Result<http1::SendRequest<RequestBody>, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(hyper_error)?;
    drive(connection, permit);
    Ok(sender)
}

async fn http2<S>(
    stream: S,
    permit: OwnedSemaphorePermit,
) -> Result<http2::SendRequest<RequestBody>, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(BUFFER as u32)
        .max_send_buf_size(BUFFER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(hyper_error)?;
    drive(connection, permit);
    Ok(sender)
}

/// Moves a connection's bytes until it is closed or nobody can send on it.
fn drive(
    connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
    permit: OwnedSemaphorePermit,
) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Whoever waits for an answer on it is told.
            tracing::debug!(%error, "an outgoing connection ended");
        }
        drop(permit);
    });
}

/// What the guest is told.
pub(crate) fn hyper_error(error: hyper::Error) -> Error {
    // A failure of the guest's own body: wasmtime-wasi-http finds it inside.
    let from_body = error.source().is_some_and(|cause| cause.is::<Error>());
    if from_body {
        Error::Hyper(error)
    } else if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_incomplete_message() {
        Error::HttpResponseIncomplete
    } else if error.is_canceled() || error.is_closed() || is_reset(&error) {
        Error::ConnectionTerminated
    } else if error.is_timeout() {
        Error::HttpResponseTimeout
    } else {
        Error::Hyper(error)
    }
}

/// Whether the other side closed before it answered, which a kept connection's
/// other side may do at any time.
pub(crate) fn closed_before_answer(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || is_reset(error)
}

fn is_reset(error: &hyper::Error) -> bool {
    let io = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        )
    })
}

/// TLS with the public authorities, and those of a file.
///
/// # Errors
/// When the provider cannot do the protocol's versions, or an authority is none.
pub(crate) fn tls(
    extra: &[rustls::pki_types::CertificateDer<'static>],
) -> Result<TlsConnector, rustls::Error> {
    let mut roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for authority in extra {
        roots.add(authority.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
