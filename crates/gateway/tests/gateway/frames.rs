//! HTTP/2 frame by frame, for clients that no library would be.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::PATIENCE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// A client that says what it is told to.
pub(crate) struct Frames(TcpStream);

impl Frames {
    /// Says what every client begins with.
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let mut frames = Self(TcpStream::connect(addr).await.unwrap());
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        frames.0.write_all(preface).await.unwrap();
        frames.send(SETTINGS, 0, 0, &[]).await;
        frames
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// The next frame; `None` at the end. Settings and pings are acknowledged.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let frame = timeout(PATIENCE, self.read()).await.expect("no frame")?;
        if frame.flags & ACK == 0 {
            match frame.kind {
                SETTINGS => self.send(SETTINGS, ACK, 0, &[]).await,
                PING => self.send(PING, ACK, 0, &frame.payload).await,
                _ => {}
            }
        }
        Some(frame)
    }

    /// Reads to the connection's end, which must come; whether such a frame did before.
    pub(crate) async fn ends_with(&mut self, kind: u8) -> bool {
        let mut seen = false;
        loop {
            // Acknowledging would be a sign of life.
            match timeout(PATIENCE, self.read()).await.expect("no end") {
                Some(frame) => seen |= frame.kind == kind,
                None => return seen,
            }
        }
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }
}

/// A request's header (RFC 7541): all but the path from the static table.
pub(crate) fn header(method: &str, path: &str) -> Vec<u8> {
    let method = match method {
        "GET" => 0x82,
        "POST" => 0x83,
        other => panic!("{other}"),
    };
    let mut block = vec![method, 0x86];
    for (name, value) in [(1, "t"), (4, path)] {
        block.extend([name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    block
}
