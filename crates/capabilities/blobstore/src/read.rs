//! Reading an object: each byte asked for once, a bounded part of it ahead of
//! the guest, and on after an interruption from where it stood.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

use crate::account::Charge;
use crate::failure::{describe, is_transient};

/// Bytes that go to the guest at once.
const PIECE: usize = 256 << 10;
/// The pause before the first further try; it doubles up to the second.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A part of an object that a guest has opened.
#[expect(unreachable_pub, reason = "the bindings name it in a `pub use`")]
pub struct IncomingValue {
    source: Source,
    charge: Charge,
}

/// A part of an object that is being read.
pub(crate) struct Source {
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
            // A store that is silent is given up in time to ask again.
            let piece = timeout(self.retry_for / 2, self.stream.next());
            let piece = piece
                .await
                .unwrap_or_else(|_elapsed| Some(Err(generic("no byte came in time"))));
            let error = match piece {
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
}

impl IncomingValue {
    pub(crate) fn new(source: Source, charge: Charge) -> Self {
        Self { source, charge }
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.source.left()
    }

    /// All that is left, if it is no more than `most` bytes.
    pub(crate) async fn collect(self, most: u64) -> Result<Vec<u8>, String> {
        let Self {
            mut source,
            mut charge,
        } = self;
        let left = source.left();
        if left > most {
            return Err(format!(
                "the value has {left} bytes and at most {most} are given at once: \
                 read a smaller range, or consume it as a stream"
            ));
        }
        charge.grow(left)?;
        let mut whole = Vec::with_capacity(left as usize);
        while let Some(piece) = source.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole)
    }

    /// A stream of what is left, read up to `ahead` bytes ahead.
    pub(crate) fn stream(self, ahead: u64) -> Result<ReadStream, String> {
        let Self { source, mut charge } = self;
        let ahead = ahead.clamp(PIECE as u64, u64::from(u32::MAX));
        charge.grow(ahead.min(source.left()))?;
        // Bytes, not pieces: stores give them in any size.
        let room = Arc::new(Semaphore::new(ahead as usize));
        let (sender, receiver) = mpsc::unbounded_channel();
        let pump = tokio::spawn(pump(source, Arc::clone(&room), sender));
        Ok(ReadStream {
            receiver,
            room,
            current: Bytes::new(),
            failure: None,
            ended: false,
            pump: pump.abort_handle(),
            charge: Some(charge),
        })
    }
}

fn generic(why: &'static str) -> Error {
    Error::Generic {
        store: "reading",
        source: why.into(),
    }
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
    /// `None` after the end: guests may keep what holds nothing any more.
    charge: Option<Charge>,
}

impl ReadStream {
    fn take(&mut self, piece: Option<Piece>) {
        match piece {
            Some(Ok(bytes)) => self.current = bytes,
            Some(Err(error)) => {
                self.failure = Some(error);
                self.end();
            }
            None => self.end(),
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.charge = None;
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
