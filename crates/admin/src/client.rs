//! A client for the command line.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::api::{Health, Status};
use crate::token::Token;

/// How long a node may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer.
const ANSWER: usize = 4 << 20;

/// Asks a node's administration API.
#[derive(Clone, Debug)]
pub struct AdminClient {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The node's token.
    pub token: Token,
}

/// Why a node did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no node answers at {addr}: {reason}; is it running, and is this its admin address?")]
    Connect {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        reason: std::io::Error,
    },
    /// The exchange failed.
    #[error("the node at {addr} broke off: {reason}")]
    Exchange {
        /// The address.
        addr: SocketAddr,
        /// How.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took too long.
    #[error("the node at {addr} did not answer within {TIMEOUT:?}")]
    Timeout {
        /// The address.
        addr: SocketAddr,
    },
    /// The node refused.
    #[error("the node at {addr} answered {status}: {detail}")]
    Refused {
        /// The address.
        addr: SocketAddr,
        /// The status.
        status: StatusCode,
        /// What the node says.
        detail: String,
    },
    /// What answers there is not a node of this version.
    #[error("what answers at {addr} is not a Strand node of this version: {reason}")]
    Answer {
        /// The address.
        addr: SocketAddr,
        /// What is wrong with the answer.
        reason: serde_json::Error,
    },
}

/// The part of a problem that people read.
#[derive(Deserialize)]
struct Detail {
    detail: String,
}

impl AdminClient {
    /// Where the node is in its life, ready or not.
    ///
    /// # Errors
    /// When there is no answer that can be understood.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let (status, body) = self.get("/healthz").await?;
        match status {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => self.decode(&body),
            _ => Err(self.refused(status, &body)),
        }
    }

    /// What the node runs.
    ///
    /// # Errors
    /// When there is no answer that can be understood, or the token is not the node's.
    pub async fn status(&self) -> Result<Status, ClientError> {
        let (status, body) = self.get("/v1/status").await?;
        match status {
            StatusCode::OK => self.decode(&body),
            _ => Err(self.refused(status, &body)),
        }
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), ClientError> {
        timeout(TIMEOUT, self.exchange(path))
            .await
            .map_err(|_| ClientError::Timeout { addr: self.addr })?
    }

    async fn exchange(&self, path: &str) -> Result<(StatusCode, Bytes), ClientError> {
        let addr = self.addr;
        let broken = |reason: Box<dyn std::error::Error + Send + Sync>| ClientError::Exchange {
            addr,
            reason,
        };
        let stream = TcpStream::connect(addr)
            .await
            .map_err(|reason| ClientError::Connect { addr, reason })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.into()))?;
        let request = Request::get(path)
            .header(header::HOST, addr.to_string())
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.token.as_str()),
            )
            .body(Empty::<Bytes>::new())
            .map_err(|error| broken(error.into()))?;
        let answer = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| broken(error.into()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER)
                .collect()
                .await
                .map_err(broken)?;
            Ok((status, body.to_bytes()))
        };
        // The connection is driven here, so that no task outlives the call. When it
        // ends first, the answer has been read or will tell what went wrong.
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            answered = &mut answer => answered,
            _ = connection => answer.await,
        }
    }

    fn decode<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|reason| ClientError::Answer {
            addr: self.addr,
            reason,
        })
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> ClientError {
        let detail = serde_json::from_slice::<Detail>(body)
            .map_or_else(|_| "it does not say why".to_owned(), |it| it.detail);
        ClientError::Refused {
            addr: self.addr,
            status,
            detail,
        }
    }
}
