//! HTTP/2 frame by frame, for clients that no library would be.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep, timeout};

use crate::client::PATIENCE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const WITH_PRIORITY: u8 = 0x20;

/// What every client says first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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
pub(crate) struct Frames {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
}

impl Frames {
    /// Says what every client begins with.
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let mut frames = Self::connect_silent(addr).await;
        frames.send_bytes(PREFACE).await.unwrap();
        frames.send(SETTINGS, 0, 0, &[]).await;
        frames
    }

    /// Says nothing yet.
    pub(crate) async fn connect_silent(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (reader, writer) = stream.into_split();
        Self { reader, writer }
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let frame = frame(kind, flags, stream, payload);
        self.send_bytes(&frame).await.unwrap();
    }

    /// Sends bytes, whatever they are; an error when the other side has gone.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// The next frame; `None` at the end. Settings and pings are acknowledged.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let read = timeout(PATIENCE, self.read()).await.expect("no frame")?;
        if read.flags & ACK == 0 && matches!(read.kind, SETTINGS | PING) {
            let payload = if read.kind == PING {
                &*read.payload
            } else {
                &[]
            };
            // The other side may have gone after it said this.
            let _ = self.send_bytes(&frame(read.kind, ACK, 0, payload)).await;
        }
        Some(read)
    }

    /// Reads to a stream's end, and sends these bytes now and then meanwhile; the
    /// stream's last frame.
    pub(crate) async fn end_of(&mut self, stream: u32, again: &[u8], pause: Duration) -> Frame {
        let Self { reader, writer } = self;
        let sending = async {
            while writer.write_all(again).await.is_ok() {
                sleep(pause).await;
            }
        };
        let reading = async {
            loop {
                let frame = read(reader).await.expect("the connection lives");
                if frame.stream == stream && (frame.kind == RST_STREAM || frame.ends_stream()) {
                    return frame;
                }
            }
        };
        tokio::select! {
            frame = timeout(PATIENCE, reading) => frame.expect("no end of the stream"),
            () = sending => panic!("the connection ended"),
        }
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

    /// The next frame, which nothing is said to.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        read(&mut self.reader).await
    }
}

async fn read(reader: &mut OwnedReadHalf) -> Option<Frame> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    reader.read_exact(&mut payload).await.ok()?;
    Some(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        payload,
    })
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as literals with new names (RFC 7541, section 6.2.2), whatever they are.
pub(crate) fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // Longer ones are not of one byte.
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(*text);
        }
    }
    block
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
