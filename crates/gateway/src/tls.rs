//! TLS on the way in.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use strand_engine::Problem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::exchange;
use crate::fields;
use crate::link::Shared;
use crate::transport::raw_problem;

/// Bytes of a client that does not speak TLS that are read, and thrown away, at most.
const WASTE: u64 = 64 << 10;

const HTTP2: &[u8] = b"h2";
const HTTP11: &[u8] = b"http/1.1";

/// How connections of TLS are taken: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, sessions
/// resumed by tickets whose keys change.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// With the certificates that a resolver chooses for each connection, so that it can change
    /// them while connections come.
    ///
    /// # Errors
    /// When the system gives no randomness for the tickets' keys.
    pub fn new(certificates: Arc<dyn ResolvesServerCert>) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP11.to_vec()];
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Shakes hands. A client that speaks HTTP in cleartext is told so, which is counted and logged
    /// as the answer to a request.
    pub(crate) async fn accept(
        &self,
        mut stream: TcpStream,
        peer: IpAddr,
        shared: &Shared,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        // No record of TLS begins with a letter (RFC 8446, section 5.1), every method does.
        if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
            let problem = Problem::bad_request(
                "scheme",
                "this port speaks TLS: the address begins with `https://`",
            );
            let id = fields::new_request_id();
            let (answer, length) = raw_problem(&problem, &id);
            exchange::refused(shared, peer.to_canonical(), &id, &problem, length);
            stream.write_all(&answer).await?;
            stream.shutdown().await?;
            // Closed with bytes that nobody has read, the answer could be lost with them.
            tokio::io::copy(&mut stream.take(WASTE), &mut tokio::io::sink()).await?;
            return Err(io::Error::other("the client does not speak TLS"));
        }
        self.0.accept(stream).await
    }
}

/// Whether the client chose HTTP/2; `None` if it chose nothing, and its first bytes have to tell.
pub(crate) fn chose_http2(stream: &TlsStream<TcpStream>) -> Option<bool> {
    let protocol = stream.get_ref().1.alpn_protocol()?;
    Some(protocol == HTTP2)
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(…)")
    }
}
