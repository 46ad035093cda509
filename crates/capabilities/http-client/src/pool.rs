//! One function's connections: at most so many, kept for the next request while
//! they are idle.
//!
//! A permit of `permits` belongs to each open connection, busy or idle, until its
//! socket is closed. Whoever finds none has an idle connection of another
//! destination closed, and waits for what comes first: a permit, or a connection
//! that somebody gives back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::Error;

use crate::connect::{Connector, Sender};
use crate::request::RequestBody;
use crate::rule::{Destination, Reach};

/// Turns that others get before a new connection is made while there are some. A
/// connection whose answer was read to its end comes back one or two turns later,
/// and a function that sends one request after the other is there before it.
const PATIENCE: u32 = 3;

/// A connection to send on.
pub(crate) struct Connection {
    pub(crate) sender: Sender,
    /// It served before, so that the other side may have closed it meanwhile.
    pub(crate) reused: bool,
}

/// One function's connections.
pub(crate) struct Pool {
    connector: Arc<Connector>,
    idle_time: Duration,
    connections: usize,
    permits: Arc<Semaphore>,
    given_back: Notify,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Idle HTTP/1.1 connections; the one that was used last is at the end.
    http1: HashMap<Destination, Vec<Idle<http1::SendRequest<RequestBody>>>>,
    /// HTTP/2 connections, which serve many requests at once.
    http2: HashMap<Destination, Idle<http2::SendRequest<RequestBody>>>,
    swept: bool,
}

struct Idle<S> {
    sender: S,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(connector: &Arc<Connector>, connections: usize, idle_time: Duration) -> Self {
        let connections = connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            connector: Arc::clone(connector),
            idle_time,
            connections,
            permits: Arc::new(Semaphore::new(connections)),
            given_back: Notify::new(),
            kept: Mutex::default(),
        }
    }

    /// A connection to a destination, kept or new.
    ///
    /// # Errors
    /// When the limit is reached and nothing becomes free in time, or the
    /// connection cannot be made.
    pub(crate) async fn get(
        &self,
        to: &Destination,
        reach: Reach,
        until: Instant,
    ) -> Result<Connection, Error> {
        let mut patience = PATIENCE;
        let permit = loop {
            if let Some(sender) = self.take(to) {
                // More than one may have come back for one wake-up.
                self.given_back.notify_one();
                let reused = true;
                return Ok(Connection { sender, reused });
            }
            if patience > 0 && self.permits.available_permits() < self.connections {
                patience -= 1;
                tokio::task::yield_now().await;
                continue;
            }
            match Arc::clone(&self.permits).try_acquire_owned() {
                Ok(permit) => break permit,
                Err(_none_left) => self.close_oldest(),
            }
            let free = async {
                tokio::select! {
                    permit = Arc::clone(&self.permits).acquire_owned() => permit.ok(),
                    () = self.given_back.notified() => None,
                }
            };
            match timeout_at(until, free).await {
                Ok(Some(permit)) => break permit,
                Ok(None) => {}
                Err(_elapsed) => return Err(Error::ConnectionLimitReached),
            }
        };
        self.connect(to, reach, until, permit).await
    }

    /// A new connection, whatever is kept.
    ///
    /// # Errors
    /// As [`Pool::get`].
    pub(crate) async fn get_new(
        &self,
        to: &Destination,
        reach: Reach,
        until: Instant,
    ) -> Result<Connection, Error> {
        let permits = Arc::clone(&self.permits);
        let permit = match permits.try_acquire_owned() {
            Ok(permit) => permit,
            Err(_none_left) => {
                self.close_oldest();
                timeout_at(until, Arc::clone(&self.permits).acquire_owned())
                    .await
                    .ok()
                    .and_then(Result::ok)
                    .ok_or(Error::ConnectionLimitReached)?
            }
        };
        self.connect(to, reach, until, permit).await
    }

    async fn connect(
        &self,
        to: &Destination,
        reach: Reach,
        until: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Result<Connection, Error> {
        let sender = self.connector.connect(to, reach, until, permit).await?;
        let reused = false;
        Ok(Connection { sender, reused })
    }

    /// Keeps a connection that can take another request.
    pub(crate) fn keep_http1(
        self: &Arc<Self>,
        to: Destination,
        sender: http1::SendRequest<RequestBody>,
    ) {
        let since = Instant::now();
        let mut kept = self.kept();
        kept.http1
            .entry(to)
            .or_default()
            .push(Idle { sender, since });
        self.sweep(&mut kept);
        drop(kept);
        self.given_back.notify_one();
    }

    /// Lets others send on a connection too, if there is none yet.
    pub(crate) fn share_http2(
        self: &Arc<Self>,
        to: &Destination,
        sender: &http2::SendRequest<RequestBody>,
    ) {
        let mut kept = self.kept();
        let known = kept
            .http2
            .get(to)
            .is_some_and(|idle| !idle.sender.is_closed());
        if !known {
            let sender = sender.clone();
            let since = Instant::now();
            kept.http2.insert(to.clone(), Idle { sender, since });
            self.sweep(&mut kept);
        }
        drop(kept);
        self.given_back.notify_one();
    }

    /// Forgets the connection that others would send on, because it is silent.
    pub(crate) fn forget_http2(&self, to: &Destination) {
        let forgotten = self.kept().http2.remove(to);
        drop(forgotten);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, to: &Destination) -> Option<Sender> {
        let mut kept = self.kept();
        if let Some(idle) = kept.http2.get_mut(to) {
            if !idle.sender.is_closed() {
                idle.since = Instant::now();
                return Some(Sender::Http2(idle.sender.clone()));
            }
            kept.http2.remove(to);
        }
        let list = kept.http1.get_mut(to)?;
        while let Some(idle) = list.pop() {
            if idle.since.elapsed() < self.idle_time && !idle.sender.is_closed() {
                return Some(Sender::Http1(idle.sender));
            }
        }
        kept.http1.remove(to);
        None
    }

    /// Closes the connection that was idle longest, so that its permit is free.
    fn close_oldest(&self) {
        let mut kept = self.kept();
        let oldest = kept
            .http1
            .iter()
            .filter_map(|(to, list)| Some((list.first()?.since, to.clone())))
            .min_by_key(|(since, _)| *since);
        if let Some((_, to)) = oldest {
            if let Some(list) = kept.http1.get_mut(&to) {
                list.remove(0);
            }
            return;
        }
        let oldest = kept
            .http2
            .iter()
            .min_by_key(|(_, idle)| idle.since)
            .map(|(to, _)| to.clone());
        if let Some(to) = oldest {
            // Requests on it end as they would; no new ones are sent.
            kept.http2.remove(&to);
        }
    }

    /// Has what is idle too long closed, while anything is kept.
    fn sweep(self: &Arc<Self>, kept: &mut Kept) {
        if std::mem::replace(&mut kept.swept, true) {
            return;
        }
        let pool = Arc::downgrade(self);
        let pause = self.idle_time.max(Duration::from_millis(10));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(pool) = pool.upgrade() else { return };
                let mut kept = pool.kept();
                kept.http1.retain(|_, list| {
                    list.retain(|idle| {
                        idle.since.elapsed() < pool.idle_time && !idle.sender.is_closed()
                    });
                    !list.is_empty()
                });
                kept.http2.retain(|_, idle| {
                    idle.since.elapsed() < pool.idle_time && !idle.sender.is_closed()
                });
                if kept.http1.is_empty() && kept.http2.is_empty() {
                    kept.swept = false;
                    return;
                }
            }
        });
    }
}
