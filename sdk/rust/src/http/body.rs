//! Bodies that are read: of requests, and of the answers to calls.

use std::io;

use wasip2::http::types::IncomingBody;
use wasip2::io::poll::Pollable;
use wasip2::io::streams::InputStream;

use crate::http::Broken;
use crate::streams::{Ready, read_into, read_ready, read_some};

/// Bytes that are read at once.
const PIECE: u64 = 64 * 1024;

/// A body as it comes: in pieces, through [`std::io::Read`], or whole.
#[derive(Debug)]
pub struct Body {
    // Before the body, whose child it is.
    stream: InputStream,
    _body: IncomingBody,
}

impl Body {
    pub(crate) fn new(body: Result<IncomingBody, ()>) -> Result<Self, Broken> {
        let taken = |()| Broken::new("the body was taken before");
        let body = body.map_err(taken)?;
        let stream = body.stream().map_err(taken)?;
        Ok(Self {
            stream,
            _body: body,
        })
    }

    /// The next bytes, at most 64 KiB, or `None` at the end.
    ///
    /// # Errors
    /// [`Broken`] when the other side went away, or the body is beyond the function's limit.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        Ok(read_some(&self.stream, PIECE)?)
    }

    /// What is there already, at most 64 KiB.
    pub(crate) fn ready(&self) -> Result<Ready, Broken> {
        Ok(read_ready(&self.stream, PIECE)?)
    }

    /// For waiting until something is there.
    pub(crate) fn subscribe(&self) -> Pollable {
        self.stream.subscribe()
    }

    /// All of it, up to `limit` bytes.
    ///
    /// # Errors
    /// [`Broken`], also when there is more.
    pub fn read(mut self, limit: usize) -> Result<Vec<u8>, Broken> {
        whole(limit, || self.piece())
    }
}

/// All pieces of a body, up to `limit` bytes.
pub(crate) fn whole(
    limit: usize,
    mut piece: impl FnMut() -> Result<Option<Vec<u8>>, Broken>,
) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    while let Some(piece) = piece()? {
        if piece.len() > limit - bytes.len() {
            return Err(Broken::new(format!(
                "the body is longer than {limit} bytes"
            )));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

impl io::Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_into(buffer, |most| {
            read_some(&self.stream, most).map_err(Broken::from)
        })
    }
}
