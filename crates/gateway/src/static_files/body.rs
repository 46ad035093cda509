//! A file, piece by piece.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use strand_engine::{BodyError, Problem};
use tokio::task::{JoinHandle, spawn_blocking};

use super::PIECE;

/// Reads a piece when the last one was taken, on a thread where that may block.
pub(super) struct FileBody {
    file: Arc<File>,
    /// What was read and not yet taken.
    ready: Bytes,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// Where the next piece begins.
    position: u64,
    end: u64,
    failed: bool,
}

impl FileBody {
    /// The bytes from `start` to before `end`. Blocks: reads the first piece, which
    /// for most files is all.
    pub(super) fn begin(file: File, start: u64, end: u64) -> io::Result<Self> {
        let ready = read_piece(&file, start, end)?;
        Ok(Self {
            position: start + ready.len() as u64,
            file: Arc::new(file),
            ready,
            reading: None,
            end,
            failed: false,
        })
    }
}

fn read_piece(file: &File, position: u64, end: u64) -> io::Result<Bytes> {
    let length = usize::try_from(end - position).map_or(PIECE, |left| left.min(PIECE));
    let mut piece = vec![0; length];
    file.read_exact_at(&mut piece, position)?;
    Ok(piece.into())
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if !this.ready.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.ready)))));
        }
        if this.position == this.end || this.failed {
            return Poll::Ready(None);
        }
        let (position, end) = (this.position, this.end);
        let reading = this.reading.get_or_insert_with(|| {
            let file = Arc::clone(&this.file);
            spawn_blocking(move || read_piece(&file, position, end))
        });
        let read = ready!(Pin::new(reading).poll(cx));
        this.reading = None;
        match read.map_err(io::Error::other).flatten() {
            Ok(piece) => {
                this.position += piece.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Err(error) => {
                this.failed = true;
                tracing::warn!(%error, "a file cannot be read on; did it shrink?");
                let problem = Problem::host_fault("the file could not be read to its end");
                Poll::Ready(Some(Err(problem.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.position == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.position + self.ready.len() as u64)
    }
}
