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
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinHandle, spawn_blocking};

use super::PIECE;

/// Reads a piece when the last one was taken, on a thread where that may block.
pub(super) struct FileBody {
    /// There as long as something is left to be read: neither the descriptor nor the
    /// place waits for a client to take the last piece.
    source: Option<Arc<Source>>,
    /// What was read and not yet taken.
    ready: Bytes,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// Where the next piece begins.
    position: u64,
    end: u64,
}

/// An open file, and its place among those that may be open.
struct Source {
    file: File,
    // After the file: the place is free when the descriptor is.
    _place: OwnedSemaphorePermit,
}

impl FileBody {
    /// The bytes from `start` to before `end`. Blocks: reads the first piece, which
    /// for most files is all.
    pub(super) fn begin(
        file: File,
        place: OwnedSemaphorePermit,
        start: u64,
        end: u64,
    ) -> io::Result<Self> {
        let ready = read_piece(&file, start, end)?;
        let position = start + ready.len() as u64;
        let source = Source {
            file,
            _place: place,
        };
        Ok(Self {
            source: (position < end).then(|| Arc::new(source)),
            ready,
            reading: None,
            position,
            end,
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
        let Some(source) = &this.source else {
            return Poll::Ready(None);
        };
        let (position, end) = (this.position, this.end);
        let reading = this.reading.get_or_insert_with(|| {
            let source = Arc::clone(source);
            spawn_blocking(move || read_piece(&source.file, position, end))
        });
        let read = ready!(Pin::new(reading).poll(cx));
        this.reading = None;
        match read.map_err(io::Error::other).flatten() {
            Ok(piece) => {
                this.position += piece.len() as u64;
                if this.position == this.end {
                    this.source = None;
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Err(error) => {
                this.source = None;
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

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;
    use tokio::sync::Semaphore;

    use super::*;

    /// All of a file of zeros, which nobody else sees.
    fn begin(places: &Arc<Semaphore>, length: usize) -> FileBody {
        let name = format!("strand-gateway-body-{}-{length}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, vec![0; length]).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let place = Arc::clone(places).try_acquire_owned().unwrap();
        FileBody::begin(file, place, 0, length as u64).unwrap()
    }

    #[test]
    fn a_file_of_one_piece_is_closed_at_once() {
        let places = Arc::new(Semaphore::new(1));
        let body = begin(&places, PIECE);
        assert!(body.source.is_none());
        assert_eq!(places.available_permits(), 1);
        assert_eq!(body.size_hint().exact(), Some(PIECE as u64));
        assert!(!body.is_end_stream());
    }

    #[tokio::test]
    async fn a_longer_file_is_open_until_its_last_piece_was_read() {
        let places = Arc::new(Semaphore::new(1));
        let mut body = begin(&places, PIECE + 1);
        for (length, free) in [(PIECE, 0), (1, 1)] {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap().len(), length);
            assert_eq!(places.available_permits(), free);
        }
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
    }
}
