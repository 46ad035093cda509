//! Clients: HTTP/1.1 byte by byte, HTTP/2 by hyper.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use strand_engine::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether it ended as it should.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(addr).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// One whose kernel buffers little.
    pub(crate) async fn connect_small(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        Self {
            stream: socket.connect(addr).await.unwrap(),
            read: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a request without a body and reads the answer.
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str, headers: &str) -> Answer {
        self.send(format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n"
        ))
        .await;
        self.answer(method == "HEAD").await
    }

    pub(crate) async fn answer(&mut self, head: bool) -> Answer {
        timeout(PATIENCE, self.read_answer(head))
            .await
            .expect("no answer came")
    }

    /// Whether the server ends the connection, and nothing more comes.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut rest = [0; 64];
        match timeout(PATIENCE, self.stream.read(&mut rest)).await {
            Ok(Ok(length)) => length == 0 && self.read.is_empty(),
            Ok(Err(_)) => true,
            Err(_) => false,
        }
    }

    /// More bytes; false at the end.
    async fn more(&mut self) -> bool {
        let length = self.stream.read_buf(&mut self.read).await;
        length.is_ok_and(|length| length > 0)
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.read.split_off(end + 2);
                let line = std::mem::replace(&mut self.read, rest);
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn fields(&mut self) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(fields);
            }
            let (name, value) = line.split_once(": ").unwrap();
            fields.push((name.to_owned(), value.to_owned()));
        }
    }

    async fn exactly(&mut self, length: usize, body: &mut Vec<u8>) -> bool {
        while self.read.len() < length {
            if !self.more().await {
                body.append(&mut self.read);
                return false;
            }
        }
        let rest = self.read.split_off(length);
        body.append(&mut std::mem::replace(&mut self.read, rest));
        true
    }

    async fn read_answer(&mut self, head: bool) -> Answer {
        let line = self.line().await.expect("no status line");
        let status: u16 = line[9..12].parse().unwrap();
        let headers = self.fields().await.expect("no end of the header");
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
            trailers: Vec::new(),
            complete: true,
        };
        if head || status == 304 || status == 204 || status == 100 {
            return answer;
        }
        if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            answer.complete = self.exactly(length, &mut answer.body).await;
        } else if answer.header("transfer-encoding") == Some("chunked") {
            answer.complete = self.chunks(&mut answer).await.is_some();
        } else {
            while self.more().await {}
            answer.body = std::mem::take(&mut self.read);
        }
        answer
    }

    async fn chunks(&mut self, answer: &mut Answer) -> Option<()> {
        loop {
            let length = usize::from_str_radix(&self.line().await?, 16).unwrap();
            if length == 0 {
                answer.trailers = self.fields().await?;
                return Some(());
            }
            let whole = self.exactly(length, &mut answer.body).await;
            whole.then_some(())?;
            self.line().await?;
        }
    }
}

/// A client of HTTP/2.
pub(crate) async fn http2(addr: SocketAddr) -> http2::SendRequest<Body> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(async {
        // How it ends is seen in the requests.
        let _ = connection.await;
    });
    sender
}
