//! What a guest wrote and the store does not have yet: at most so many bytes,
//! whatever the size of the guest's writes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::account::Charge;

/// Small writes are joined up to this size: each `Bytes` costs memory of its own.
const CHUNK: usize = 256 << 10;

/// Bytes on their way from one writer to one reader.
pub(crate) struct Pipe {
    state: Mutex<State>,
    readable: Notify,
    writable: Notify,
    gone: Notify,
    limit: usize,
}

struct State {
    chunks: VecDeque<BytesMut>,
    /// Bytes in `chunks`.
    queued: usize,
    /// The same, and what the reader took and did not release.
    held: usize,
    charge: Charge,
    /// No more bytes come.
    closed: bool,
    /// What was written is not wanted any more.
    abandoned: bool,
    /// There is a reader.
    attached: bool,
    /// The reader failed.
    failure: Option<String>,
}

impl Pipe {
    /// A pipe that holds `limit` bytes, charged as they come.
    pub(crate) fn new(limit: usize, charge: Charge) -> Self {
        Self {
            state: Mutex::new(State {
                chunks: VecDeque::new(),
                queued: 0,
                held: 0,
                charge,
                closed: false,
                abandoned: false,
                attached: false,
                failure: None,
            }),
            readable: Notify::new(),
            writable: Notify::new(),
            gone: Notify::new(),
            limit,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that may be written now.
    ///
    /// # Errors
    /// When the reader failed, or when the pipe is full and nobody will read.
    pub(crate) fn room(&self) -> Result<usize, String> {
        let state = self.state();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let room = self.limit - state.held;
        if room == 0 && !state.attached {
            return Err(format!(
                "a value of more than {} bytes must have a place before: call write-data first",
                self.limit
            ));
        }
        Ok(room)
    }

    /// Waits until there is room, or an error to tell.
    pub(crate) async fn writable(&self) {
        while matches!(self.room(), Ok(0)) {
            self.writable.notified().await;
        }
    }

    /// Writes no more than there is room for.
    ///
    /// # Errors
    /// When the instance or the node has no memory for it.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), String> {
        let mut state = self.state();
        let held = (state.held + bytes.len()) as u64;
        let charged = state.charge.bytes();
        let more = held.saturating_sub(charged);
        if more > 0 {
            // In steps, so that small writes do not contend for the budget.
            let step = more.max((CHUNK as u64).min(self.limit as u64 - charged));
            if state.charge.grow(step).is_err() {
                state.charge.grow(more)?;
            }
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = match state.chunks.back() {
                Some(chunk) => CHUNK.saturating_sub(chunk.len()),
                None => 0,
            };
            if room == 0 {
                state.chunks.push_back(BytesMut::new());
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(room));
            if let Some(chunk) = state.chunks.back_mut() {
                chunk.extend_from_slice(now);
            }
            rest = later;
        }
        state.queued += bytes.len();
        state.held += bytes.len();
        drop(state);
        self.readable.notify_one();
        Ok(())
    }

    /// Writes all, waiting for room.
    pub(crate) async fn write_all(&self, mut bytes: Bytes) -> Result<(), String> {
        while !bytes.is_empty() {
            self.writable().await;
            let now = bytes.split_to(self.room()?.min(bytes.len()));
            self.write(&now)?;
        }
        Ok(())
    }

    /// No more bytes come.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.readable.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// What was written is not wanted any more.
    pub(crate) fn abandon(&self) {
        self.state().abandoned = true;
        self.readable.notify_one();
        self.gone.notify_one();
    }

    /// Somebody reads from now on.
    pub(crate) fn attach(&self) {
        self.state().attached = true;
        self.writable.notify_one();
    }

    /// The reader gives up; the writer is told why.
    pub(crate) fn fail(&self, why: &str) {
        let mut state = self.state();
        state.failure = Some(why.to_owned());
        state.chunks.clear();
        state.queued = 0;
        // Nothing can be written any more, and nobody will read.
        state.charge.release_memory();
        drop(state);
        self.writable.notify_one();
    }

    /// The next `size` bytes, fewer only at the end. `None` when abandoned.
    pub(crate) async fn part(&self, size: usize) -> Option<Part> {
        loop {
            {
                let mut state = self.state();
                if state.abandoned {
                    return None;
                }
                if state.queued >= size || state.closed {
                    return Some(state.take(size));
                }
            }
            self.readable.notified().await;
        }
    }

    /// Waits until the value is abandoned, for a reader that does something else
    /// meanwhile.
    pub(crate) async fn abandoned(&self) {
        while !self.state().abandoned {
            self.gone.notified().await;
        }
    }

    /// Bytes of a part are with the store.
    pub(crate) fn release(&self, bytes: usize) {
        let mut state = self.state();
        state.held -= bytes;
        if state.closed && state.held == 0 {
            // The guest may keep the value, which is empty for ever.
            state.charge.release_memory();
        }
        drop(state);
        self.writable.notify_one();
    }
}

impl State {
    fn take(&mut self, size: usize) -> Part {
        let mut chunks = Vec::new();
        let mut length = 0;
        while length < size
            && let Some(mut chunk) = self.chunks.pop_front()
        {
            let over = (length + chunk.len()).saturating_sub(size);
            if over > 0 {
                let rest = chunk.split_off(chunk.len() - over);
                self.chunks.push_front(rest);
            }
            length += chunk.len();
            chunks.push(chunk.freeze());
        }
        self.queued -= length;
        Part {
            chunks,
            length,
            last: self.closed && self.queued == 0,
        }
    }
}

/// A part of what was written.
pub(crate) struct Part {
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) length: usize,
    /// Nothing follows.
    pub(crate) last: bool,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use strand_engine::MemoryBudget;

    use super::*;
    use crate::Config;
    use crate::account::Account;

    fn pipe(limit: usize, budget: u64) -> (Pipe, Arc<MemoryBudget>) {
        let budget = MemoryBudget::new(budget);
        let account = Account::new(&Config::default(), &budget);
        (Pipe::new(limit, account.nothing()), budget)
    }

    #[tokio::test]
    async fn small_writes_are_joined_and_parts_are_exact() {
        let (pipe, _) = pipe(1 << 20, u64::MAX);
        for at in 0..100_000_u32 {
            pipe.write(&[at as u8]).expect("room");
        }
        pipe.close();
        let first = pipe.part(99_999).await.expect("a part");
        assert_eq!(
            (first.length, first.last, first.chunks.len()),
            (99_999, false, 1)
        );
        let second = pipe.part(99_999).await.expect("a part");
        assert_eq!((second.length, second.last), (1, true));
        assert_eq!(second.chunks[0], [99_999_u32 as u8][..]);
    }

    #[tokio::test]
    async fn what_is_held_is_bounded_until_it_is_released() {
        let (pipe, _) = pipe(10, u64::MAX);
        pipe.attach();
        pipe.write(&[0; 10]).expect("room");
        assert_eq!(pipe.room(), Ok(0));
        let part = pipe.part(4).await.expect("a part");
        assert_eq!(pipe.room(), Ok(0));
        pipe.release(part.length);
        assert_eq!(pipe.room(), Ok(4));
        pipe.fail("broken");
        assert_eq!(pipe.room(), Err("broken".to_owned()));
    }

    #[tokio::test]
    async fn a_full_pipe_that_nobody_reads_is_an_error() {
        let (pipe, _) = pipe(10, u64::MAX);
        pipe.write(&[0; 10]).expect("room");
        let error = pipe.room().expect_err("full");
        assert!(error.contains("write-data first"), "{error}");
        pipe.attach();
        assert_eq!(pipe.room(), Ok(0));
    }

    #[tokio::test]
    async fn memory_is_charged_and_given_back() {
        let (pipe, budget) = pipe(1 << 20, 300 << 10);
        pipe.write(&[0; 10]).expect("room");
        assert_eq!(budget.used(), 256 << 10);
        pipe.write(&[0; 299 << 10]).expect("room");
        let error = pipe.write(&[0; 1024]).expect_err("no memory");
        assert!(error.starts_with("this node has no memory left"), "{error}");
        drop(pipe);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn what_is_over_holds_no_memory() {
        let (done, done_budget) = pipe(1 << 20, u64::MAX);
        done.write(&[0; 1000]).expect("room");
        done.close();
        let part = done.part(1000).await.expect("a part");
        assert_eq!(done_budget.used(), 256 << 10);
        done.release(part.length);
        assert_eq!(done_budget.used(), 0);
        let (failed, failed_budget) = pipe(1 << 20, u64::MAX);
        failed.write(&[0; 1000]).expect("room");
        failed.fail("broken");
        assert_eq!(failed_budget.used(), 0);
    }

    #[tokio::test]
    async fn what_is_abandoned_is_not_read() {
        let (pipe, _) = pipe(10, u64::MAX);
        pipe.write(&[0; 10]).expect("room");
        pipe.abandon();
        assert!(pipe.part(4).await.is_none());
        pipe.abandoned().await;
    }
}
