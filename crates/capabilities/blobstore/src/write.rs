//! Writing an object: small ones at once, larger ones in parts, one after the
//! other, acknowledged when the store has them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::account::Account;
use crate::failure::describe;
use crate::pipe::Pipe;

/// What one write of a guest may hold, in bytes.
const PIECE: usize = 1 << 20;
/// Parts of an object that S3 takes.
const PARTS: u64 = 10_000;
/// How long the parts of an object that is not wanted are cleared away.
const ABORT: Duration = Duration::from_secs(10);

/// A value that a guest writes.
///
/// It is in the store when `finish` returned without an error, or, when the whole
/// body was written before, when `write-data` did. Dropped without `finish` it
/// leaves nothing.
#[expect(unreachable_pub, reason = "the bindings name it in a `pub use`")]
pub struct OutgoingValue {
    pipe: Arc<Pipe>,
    state: State,
    body_taken: bool,
}

enum State {
    /// It has no place yet.
    Free,
    /// It goes to a place as it is written.
    Writing(Upload),
    /// It went to a place, whether it came there or not.
    Spent(Result<(), String>),
    /// The instance has too many others.
    Refused(String),
}

impl OutgoingValue {
    /// A value of which two parts of `part` bytes are held at most.
    ///
    /// Without a place in the account it takes nothing and goes nowhere, and says
    /// why: the interface has no error for the making of one.
    pub(crate) fn new(part: usize, account: &Arc<Account>) -> Self {
        let (charge, refusal) = match account.value() {
            Ok(charge) => (charge, None),
            Err(why) => (account.nothing(), Some(why)),
        };
        let pipe = Arc::new(Pipe::new(2 * part, charge));
        let state = match refusal {
            None => State::Free,
            Some(why) => {
                pipe.fail(&why);
                State::Refused(why)
            }
        };
        Self {
            pipe,
            state,
            body_taken: false,
        }
    }

    /// The stream to write the value to; once.
    pub(crate) fn body(&mut self) -> Option<WriteStream> {
        if std::mem::replace(&mut self.body_taken, true) {
            return None;
        }
        Some(WriteStream(Arc::clone(&self.pipe)))
    }

    /// Gives the value its place. Waits for the store only when all of the value
    /// is there.
    pub(crate) async fn write_to(&mut self, place: Place) -> Result<(), String> {
        match &self.state {
            State::Free => {}
            State::Refused(why) => return Err(why.clone()),
            State::Writing(_) | State::Spent(_) => {
                return Err("this value was given a place before: make another one".to_owned());
            }
        }
        let upload = Upload::start(&self.pipe, place);
        if !self.pipe.is_closed() {
            self.state = State::Writing(upload);
            return Ok(());
        }
        // If this wait is given up the guest is gone, and the value with it.
        let result = upload.commit().await;
        self.state = State::Spent(result.clone());
        result
    }

    /// Ends the value: it is in the store when this returns without an error.
    pub(crate) async fn finish(mut self) -> Result<(), String> {
        self.pipe.close();
        match std::mem::replace(&mut self.state, State::Spent(Ok(()))) {
            State::Free => Err("this value has no place: call write-data before finish".to_owned()),
            State::Writing(upload) => upload.commit().await,
            State::Spent(result) => result,
            State::Refused(why) => Err(why),
        }
    }
}

impl Drop for OutgoingValue {
    fn drop(&mut self) {
        if !matches!(self.state, State::Spent(_)) {
            self.pipe.abandon();
        }
    }
}

/// Where a value goes.
pub(crate) struct Place {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) location: Path,
    /// As the guest knows it.
    pub(crate) name: String,
    /// Bytes of a part.
    pub(crate) part: usize,
}

/// A value on its way to a store.
pub(crate) struct Upload {
    commit: oneshot::Sender<()>,
    task: JoinHandle<Result<(), String>>,
}

impl Upload {
    /// Sends what comes through the pipe. Goes on to its end, or until the value
    /// is abandoned, whoever waits for it: an upload that was begun must be
    /// completed or cleared away.
    pub(crate) fn start(pipe: &Arc<Pipe>, place: Place) -> Self {
        pipe.attach();
        let (commit, committed) = oneshot::channel();
        let task = tokio::spawn(run(Arc::clone(pipe), place, committed));
        Self { commit, task }
    }

    /// Says that the value is whole, and waits until the store has it.
    pub(crate) async fn commit(self) -> Result<(), String> {
        // It failed already: the task says why.
        let _ = self.commit.send(());
        match self.task.await {
            Ok(result) => result,
            Err(error) => {
                tracing::error!(%error, "an upload ended in a panic");
                Err("the node failed while it wrote the value".to_owned())
            }
        }
    }
}

async fn run(
    pipe: Arc<Pipe>,
    place: Place,
    committed: oneshot::Receiver<()>,
) -> Result<(), String> {
    let mut parts = None;
    let result = tokio::select! {
        biased;
        () = pipe.abandoned() => Err(abandoned(&place)),
        result = transfer(&pipe, &place, committed, &mut parts) => result,
    };
    if let Err(why) = &result {
        pipe.fail(why);
        if let Some(mut parts) = parts {
            clear(parts.as_mut(), &place).await;
        }
    }
    result
}

fn abandoned(place: &Place) -> String {
    format!(
        "the value for `{}` was dropped before it was finished",
        place.name
    )
}

async fn transfer(
    pipe: &Pipe,
    place: &Place,
    committed: oneshot::Receiver<()>,
    parts: &mut Option<Box<dyn MultipartUpload>>,
) -> Result<(), String> {
    let failed = |error| describe(&place.name, &error);
    let mut count = 0;
    loop {
        let part = pipe
            .part(place.part)
            .await
            .ok_or_else(|| abandoned(place))?;
        let payload: PutPayload = part.chunks.into_iter().collect();
        if part.last && parts.is_none() {
            committed.await.map_err(|_| abandoned(place))?;
            let put = place.store.put(&place.location, payload).await;
            pipe.release(part.length);
            return put.map(|_| ()).map_err(failed);
        }
        if part.length > 0 {
            count += 1;
            if count > PARTS {
                let most = strand_engine::format_bytes(PARTS * place.part as u64);
                return Err(format!("an object may have {most} here: write several"));
            }
            let upload = match parts {
                Some(upload) => upload,
                None => {
                    let upload = place.store.put_multipart(&place.location).await;
                    parts.insert(upload.map_err(failed)?)
                }
            };
            let put = upload.put_part(payload).await;
            pipe.release(part.length);
            put.map_err(failed)?;
        }
        if part.last
            && let Some(upload) = parts
        {
            committed.await.map_err(|_| abandoned(place))?;
            return upload.complete().await.map(|_| ()).map_err(failed);
        }
    }
}

async fn clear(parts: &mut dyn MultipartUpload, place: &Place) {
    match tokio::time::timeout(ABORT, parts.abort()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(object = place.name, %error, "an upload's parts are left in the store");
        }
        Err(_elapsed) => {
            tracing::warn!(
                object = place.name,
                "an upload's parts are left in the store"
            );
        }
    }
}

/// A value's body as the guest writes it.
pub(crate) struct WriteStream(Arc<Pipe>);

impl Drop for WriteStream {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn failed(why: String) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::msg(why))
}

#[async_trait]
impl Pollable for WriteStream {
    async fn ready(&mut self) {
        self.0.writable().await;
    }
}

#[async_trait]
impl OutputStream for WriteStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > self.0.room().map_err(failed)?.min(PIECE) {
            return Err(StreamError::trap("a write larger than was permitted"));
        }
        self.0.write(&bytes).map_err(failed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.0.room().map(|_| ()).map_err(failed)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.0.room().map_err(failed)?.min(PIECE))
    }
}
