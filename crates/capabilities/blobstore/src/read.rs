//! Reading an object: each byte asked for once, a bounded part of it ahead of
//! the guest, and on after an interruption from where it stood.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use strand_engine::{MemoryBudget, Reservation};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

use crate::failure::{describe, is_transient, no_memory};

/// Bytes that go to the guest at once.
const PIECE: usize = 256 << 10;
/// The pause before the first further try; it doubles up to the second.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A part of an object that is being read.
#[expect(unreachable_pub, reason = "the bindings name it in a `pub use`")]
pub struct Source {
    store: Arc<dyn ObjectStore>,
    name: String,
    meta: ObjectMeta,
    /// The next byte, and the one after the last.
    next: u64,
    end: u64,
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    /// How long without a byte it is tried.
    retry_for: Duration,
    moved: Instant,
    pause: Duration,
}

impl Source {
    /// Begins to read from `start` to `last`, both included. What is beyond the
    /// object's end is left out.
    pub(crate) async fn open(
        store: &Arc<dyn ObjectStore>,
        location: &Path,
        name: &str,
        (start, last): (u64, u64),
        retry_for: Duration,
    ) -> Result<Self, String> {
        if start > last {
            return Err(format!("the range from {start} to {last} is none"));
        }
        // No object reaches so far, and servers count in 63 bits.
        let end = last
            .checked_add(1)
            .filter(|end| i64::try_from(*end).is_ok());
        let range = match (start, end) {
            // The whole, which may be nothing: no range could say that.
            (0, None) => None,
            (start, None) => Some(GetRange::Offset(start)),
            (start, Some(end)) => Some(GetRange::Bounded(start..end)),
        };
        let options = GetOptions {
            range,
            ..GetOptions::default()
        };
        let (meta, range, stream) = match store.get_opts(location, options).await {
            Ok(result) => (
                result.meta.clone(),
                result.range.clone(),
                result.into_stream(),
            ),
            // A range that begins behind the end: stores differ in how they say it.
            Err(error @ Error::Generic { .. }) => match store.head(location).await {
                Ok(meta) if meta.size == 0 && start == 0 => {
                    (meta, 0..0, futures::stream::empty().boxed())
                }
                Ok(meta) if meta.size <= start => {
                    return Err(format!(
                        "`{name}` has {} bytes: none from {start} on",
                        meta.size
                    ));
                }
                _ => return Err(describe(name, &error)),
            },
            Err(error) => return Err(describe(name, &error)),
        };
        Ok(Self {
            store: Arc::clone(store),
            name: name.to_owned(),
            meta,
            next: range.start,
            end: range.end,
            stream,
            retry_for,
            moved: Instant::now(),
            pause: PAUSE,
        })
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.next
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, String>> {
        // The guest's pauses are not the store's.
        self.moved = Instant::now();
        while self.next < self.end {
            let error = match self.stream.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => continue,
                Some(Ok(bytes)) if bytes.len() as u64 > self.left() => generic("too many bytes"),
                Some(Ok(bytes)) => {
                    self.next += bytes.len() as u64;
                    self.pause = PAUSE;
                    return Some(Ok(bytes));
                }
                Some(Err(error)) => error,
                None => generic("the answer ended early"),
            };
            if let Err(error) = self.resume(error).await {
                self.next = self.end;
                return Some(Err(describe(&self.name, &error)));
            }
        }
        None
    }

    /// Asks for the rest of the same state of the object.
    async fn resume(&mut self, mut error: Error) -> Result<(), Error> {
        let until = self.moved + self.retry_for;
        while is_transient(&error) && Instant::now() + self.pause < until {
            tracing::debug!(object = self.name, at = self.next, %error, "reading broke off");
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            let options = GetOptions {
                range: Some(GetRange::Bounded(self.next..self.end)),
                if_match: self.meta.e_tag.clone(),
                ..GetOptions::default()
            };
            let location = &self.meta.location;
            match timeout_at(until, self.store.get_opts(location, options)).await {
                Ok(Ok(result)) => {
                    let meta = &result.meta;
                    // Not every server heeds a condition.
                    if meta.e_tag != self.meta.e_tag
                        || meta.last_modified != self.meta.last_modified
                        || meta.size != self.meta.size
                        || result.range != (self.next..self.end)
                    {
                        return Err(Error::Precondition {
                            path: location.to_string(),
                            source: "another state of the object came".into(),
                        });
                    }
                    self.stream = result.into_stream();
                    return Ok(());
                }
                Ok(Err(again)) => error = again,
                Err(_elapsed) => break,
            }
        }
        Err(error)
    }

    /// All that is left, if it is no more than `most` bytes.
    pub(crate) async fn collect(
        mut self,
        most: u64,
        budget: &Arc<MemoryBudget>,
    ) -> Result<Vec<u8>, String> {
        let left = self.left();
        if left > most {
            return Err(format!(
                "the value has {left} bytes and at most {most} are given at once: \
                 read a smaller range, or consume it as a stream"
            ));
        }
        let _charged = charge(budget, left)?;
        let mut whole = Vec::with_capacity(left as usize);
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole)
    }

    /// A stream of what is left, read up to `ahead` bytes ahead.
    pub(crate) fn stream(
        self,
        ahead: u64,
        budget: &Arc<MemoryBudget>,
    ) -> Result<ReadStream, String> {
        let ahead = ahead.clamp(PIECE as u64, u64::from(u32::MAX));
        let reservation = charge(budget, ahead.min(self.left()))?;
        // Bytes, not pieces: stores give them in any size.
        let room = Arc::new(Semaphore::new(ahead as usize));
        let (sender, receiver) = mpsc::unbounded_channel();
        let pump = tokio::spawn(pump(self, Arc::clone(&room), sender));
        Ok(ReadStream {
            receiver,
            room,
            current: Bytes::new(),
            failure: None,
            ended: false,
            pump: pump.abort_handle(),
            _reservation: reservation,
        })
    }
}

fn generic(why: &'static str) -> Error {
    Error::Generic {
        store: "reading",
        source: why.into(),
    }
}

fn charge(budget: &Arc<MemoryBudget>, bytes: u64) -> Result<Reservation, String> {
    let mut reservation = budget.empty_reservation();
    if !reservation.grow(bytes) {
        return Err(no_memory(bytes));
    }
    Ok(reservation)
}

type Piece = Result<Bytes, String>;

async fn pump(mut source: Source, room: Arc<Semaphore>, sender: mpsc::UnboundedSender<Piece>) {
    while let Some(piece) = source.next().await {
        let mut bytes = match piece {
            Ok(bytes) => bytes,
            Err(error) => {
                // Nobody may read any more.
                let _ = sender.send(Err(error));
                return;
            }
        };
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let Ok(permit) = room.acquire_many(piece.len() as u32).await else {
                return;
            };
            permit.forget();
            if sender.send(Ok(piece)).is_err() {
                return;
            }
        }
    }
}

/// An object's bytes as the guest reads them. Dropped, it ends the reading.
pub(crate) struct ReadStream {
    receiver: mpsc::UnboundedReceiver<Piece>,
    room: Arc<Semaphore>,
    current: Bytes,
    failure: Option<String>,
    ended: bool,
    pump: AbortHandle,
    _reservation: Reservation,
}

impl ReadStream {
    fn take(&mut self, piece: Option<Piece>) {
        match piece {
            Some(Ok(bytes)) => self.current = bytes,
            Some(Err(error)) => {
                self.failure = Some(error);
                self.ended = true;
            }
            None => self.ended = true,
        }
    }
}

impl Drop for ReadStream {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

#[async_trait]
impl Pollable for ReadStream {
    async fn ready(&mut self) {
        if self.current.is_empty() && !self.ended {
            let piece = self.receiver.recv().await;
            self.take(piece);
        }
    }
}

#[async_trait]
impl InputStream for ReadStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.current.is_empty() && !self.ended {
            match self.receiver.try_recv() {
                Ok(piece) => self.take(Some(piece)),
                Err(mpsc::error::TryRecvError::Disconnected) => self.take(None),
                Err(mpsc::error::TryRecvError::Empty) => return Ok(Bytes::new()),
            }
        }
        if !self.current.is_empty() {
            let bytes = self.current.split_to(size.min(self.current.len()));
            self.room.add_permits(bytes.len());
            return Ok(bytes);
        }
        match self.failure.take() {
            Some(error) => Err(StreamError::LastOperationFailed(wasmtime::Error::msg(
                error,
            ))),
            None => Err(StreamError::Closed),
        }
    }
}
