//! A client with a connection that it keeps: asks, reads the answer, and says how it went.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::{self, Failure};

/// The longest answer that is read, its head included, in bytes.
const LONGEST: usize = 64 << 10;

/// What is asked, of whom.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Tells the apps of a node apart.
    pub(crate) host: String,
    pub(crate) path: String,
}

/// How often requests ended in which way: by status, or by why there was no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Outcomes(BTreeMap<String, u64>);

impl Outcomes {
    pub(crate) fn count(&mut self, outcome: &Result<u16, Failure>) {
        let name = match outcome {
            Ok(status) => status.to_string(),
            Err(failure) => failure.to_string(),
        };
        self.add(&name, 1);
    }

    pub(crate) fn add(&mut self, name: &str, times: u64) {
        if times > 0 {
            *self.0.entry(name.to_owned()).or_default() += times;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, times) in &other.0 {
            self.add(name, *times);
        }
    }

    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, (name, times)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name}: {times}")?;
        }
        Ok(())
    }
}

/// One connection, made when it is needed.
pub(crate) struct Client {
    address: SocketAddr,
    request: Arc<[u8]>,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(target: &Target) -> Self {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: strand-bench\r\nAccept: */*\r\n\r\n",
            target.path, target.host
        );
        Self {
            address: target.address,
            request: request.into_bytes().into(),
            stream: None,
            buffer: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Asks once; the status of the answer, whose body is [`Client::body`].
    pub(crate) async fn ask(&mut self) -> Result<u16, Failure> {
        let mut stream = match self.stream.take() {
            // A server may close a connection between two requests, which is no failure.
            Some(stream) if is_open(&stream) => stream,
            _ => self.connect().await?,
        };
        stream.write_all(&self.request).await?;
        self.body.clear();
        let body = &mut self.body;
        let status = answer::read(&mut stream, &mut self.buffer, LONGEST, |piece| {
            body.extend_from_slice(piece);
        })
        .await?;
        // Not kept after a failure: what would come next belongs to the one before.
        self.stream = Some(stream);
        Ok(status)
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Makes the connection that the next request goes over.
    pub(crate) async fn open(&mut self) -> Result<(), Failure> {
        self.stream = Some(self.connect().await?);
        Ok(())
    }

    /// Ends when the server has closed the connection, or sent what nobody asked for. At once if
    /// there is none.
    pub(crate) async fn closed(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            // However it ends, it is over.
            let _ = stream.read(&mut [0]).await;
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

fn is_open(stream: &TcpStream) -> bool {
    let nothing = stream.try_read(&mut [0]);
    nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    pub(crate) const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";

    /// A server that answers so on every connection, each time after a while; hangs up after
    /// `each` requests.
    pub(crate) async fn server(answer: &'static str, each: usize, after: Duration) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    for _ in 0..each {
                        if stream.read(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                        tokio::time::sleep(after).await;
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Target {
            address,
            host: "a.example".to_owned(),
            path: "/".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_connection_closed_between_requests_is_no_failure() {
        let target = server(GOOD, 1, Duration::ZERO).await;
        let mut client = Client::new(&target);
        for _ in 0..3 {
            assert_eq!(client.ask().await.unwrap(), 200);
            assert_eq!(client.body(), b"hi");
            let stream = client.stream.as_ref().unwrap();
            stream.readable().await.unwrap();
        }
    }

    #[tokio::test]
    async fn outcomes_are_counted_by_status_and_reason() {
        let mut outcomes = Outcomes::default();
        let busy = server(BUSY, 9, Duration::ZERO).await;
        let mute = server("", 0, Duration::ZERO).await;
        let broken = server("HTTP/1.1 200 OK\r\n\r\nhi", 1, Duration::ZERO).await;
        for target in [busy.clone(), busy, mute, broken] {
            outcomes.count(&Client::new(&target).ask().await);
        }
        assert_eq!(outcomes.of("503"), 2);
        assert_eq!(outcomes.of("200"), 0);
        assert_eq!(outcomes.total(), 4);
        let said = outcomes.to_string();
        assert!(said.starts_with("503: 2, "), "{said}");
        assert!(
            said.contains("an answer that does not say how long it is: 1"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn who_waits_for_the_end_of_a_connection_sees_it() {
        let target = server(GOOD, 1, Duration::ZERO).await;
        let mut client = Client::new(&target);
        client.open().await.unwrap();
        assert_eq!(client.ask().await.unwrap(), 200);
        client.closed().await;
        assert!(client.stream.is_none());
    }
}
