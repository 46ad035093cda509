//! Takes connections, spreads them over threads, and lets them end.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use strand_engine::{Dispatch, MemoryBudget};
use strand_telemetry::{AccessLog, Metrics};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::compress::Compressors;
use crate::config::Config;
use crate::connection::{self, Control, Ends};
use crate::descriptors;
use crate::link::Shared;
use crate::routing::RoutingTable;
use crate::static_files::Places;
use crate::tls::{self, Tls};

/// How long to wait when the system has no descriptor or memory for a connection:
/// trying again at once would only burn time.
const STARVED: Duration = Duration::from_millis(100);

/// How often to say of the acceptor what may be so for long: it tries many times a second.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// How long cut connections have to be gone. Longer, and a thread is stuck.
const CUT: Duration = Duration::from_secs(5);

/// Why the gateway cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener cannot be used.
    #[error("the listener cannot be used: {0}")]
    Listener(#[from] io::Error),
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections and HTTP/2 streams that were cut at the deadline.
    pub cut: usize,
}

/// The way in of one listener.
pub struct Gateway {
    shared: Shared,
}

/// A thread's runtime, the connections that it has, and what these share.
struct Worker {
    handle: Handle,
    live: Arc<AtomicUsize>,
    compressors: Compressors,
}

/// Gives a connection's places back.
struct Place {
    live: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.metrics.connections().open.dec();
    }
}

/// When something was said that is not to be said all the time.
#[derive(Default)]
struct Said(Option<Instant>);

impl Said {
    /// Whether it is time to say it, which is done then.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.0.is_none_or(|last| now - last >= SAY_AGAIN);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

impl Gateway {
    /// A gateway that calls functions through `dispatch`.
    pub fn new(
        config: Config,
        routes: Arc<RoutingTable>,
        dispatch: Arc<dyn Dispatch>,
        metrics: Arc<Metrics>,
        access: AccessLog,
    ) -> Self {
        Self {
            shared: Shared {
                config,
                routes,
                dispatch,
                metrics,
                access,
                tls: None,
                budgets: Vec::new(),
                files: Places::new(descriptors::files()),
                draining: AtomicBool::new(false),
            },
        }
    }

    /// Charges [`Config::IN_FLIGHT`] to a budget for each request in flight, as one of its
    /// route's app. When it has no room, the request is answered with the problem
    /// `node-memory`. Without a budget only the numbers of connections and streams bound
    /// what they hold.
    #[must_use]
    pub fn charged_to(mut self, budget: &MemoryBudget) -> Self {
        let mut apps = HashMap::new();
        let of_app = |app: &Arc<str>| {
            let own = apps.entry(Arc::clone(app));
            Arc::clone(own.or_insert_with(|| budget.of_app(app)))
        };
        self.shared.budgets = self.shared.routes.apps().map(of_app).collect();
        self
    }

    /// Takes connections of TLS, and no others.
    #[must_use]
    pub fn over_tls(mut self, tls: Tls) -> Self {
        self.shared.tls = Some(tls);
        self
    }

    /// Serves until `shutdown`, then drains: no more connections are accepted, idle
    /// ones are closed, requests in flight may end within
    /// [`Config::drain_deadline`], new ones on live connections are told that the
    /// node is draining. Ends when no connection is left.
    ///
    /// Connections go to the runtime of `workers` that has the fewest; without any,
    /// to the one that this runs on. A worker is best a current-thread runtime with
    /// time and input and output enabled, driven by a thread of its own. Dropped,
    /// this cuts all connections.
    ///
    /// # Errors
    /// When the listener cannot be used. Failures to accept a connection are
    /// logged, and it goes on.
    pub async fn serve(
        mut self,
        listener: std::net::TcpListener,
        workers: Vec<Handle>,
        shutdown: CancellationToken,
    ) -> Result<Drained, ServeError> {
        let max_connections = &mut self.shared.config.max_connections;
        *max_connections = descriptors::connections(*max_connections);
        let shared = Arc::new(self.shared);
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let local = listener.local_addr()?;
        let control = Control {
            drain: shutdown.clone(),
            cut: CancellationToken::new(),
            tracker: TaskTracker::new(),
        };
        let _cut_when_dropped = control.cut.clone().drop_guard();
        let workers = workers_of(workers);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = accept(&shared, &listener, local, &workers, &control) => {}
        }
        // Closed before anything else, so that new clients are refused at once.
        drop(listener);
        shared.draining.store(true, Ordering::Relaxed);
        Ok(drain(&control, shared.config.drain_deadline).await)
    }
}

async fn accept(
    shared: &Arc<Shared>,
    listener: &TcpListener,
    local: SocketAddr,
    workers: &[Worker],
    control: &Control,
) {
    let limit = shared.config.max_connections;
    let places = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
    let (mut full, mut failing) = (Said::default(), Said::default());
    loop {
        let Some(permit) = place(&places, limit, &mut full).await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                failed_to_accept(&error, &mut failing).await;
                continue;
            }
        };
        let Some(worker) = workers
            .iter()
            .min_by_key(|worker| worker.live.load(Ordering::Relaxed))
        else {
            return;
        };
        worker.live.fetch_add(1, Ordering::Relaxed);
        let connections = shared.metrics.connections();
        connections.accepted.inc();
        connections.open.inc();
        let place = Place {
            live: Arc::clone(&worker.live),
            metrics: Arc::clone(&shared.metrics),
            _permit: permit,
        };
        let shared = Arc::clone(shared);
        let own = control.clone();
        let compressors = worker.compressors.clone();
        let task = async move {
            let _place = place;
            let ends = Ends { peer, local };
            match here(stream, shared.config.write_timeout) {
                Ok(stream) if shared.tls.is_none() => {
                    connection::serve(stream, None, shared, ends, compressors, own).await;
                }
                // In a box: most of its size only the handshake needs.
                Ok(stream) => Box::pin(shake_hands(stream, shared, ends, compressors, own)).await,
                Err(error) => tracing::warn!(%peer, %error, "a connection cannot be used"),
            }
        };
        worker.handle.spawn(control.tracker.track_future(task));
    }
}

/// Serves a connection of TLS.
async fn shake_hands(
    stream: TcpStream,
    shared: Arc<Shared>,
    ends: Ends,
    compressors: Compressors,
    control: Control,
) {
    let Some(tls) = shared.tls.clone() else {
        return;
    };
    let handshake = tls.accept(stream, ends.peer.ip(), &shared);
    let shaken = tokio::select! {
        shaken = timeout(shared.config.header_timeout, handshake) => shaken,
        () = control.drain.cancelled() => return,
    };
    let connections = shared.metrics.connections();
    match shaken {
        Ok(Ok(stream)) => {
            let http2 = tls::chose_http2(&stream);
            connection::serve(stream, http2, shared, ends, compressors, control).await;
        }
        Ok(Err(error)) => {
            connections.handshakes_failed.inc();
            tracing::debug!(peer = %ends.peer, %error, "a handshake failed");
        }
        Err(_) => {
            connections.timed_out.inc();
        }
    }
}

/// Waits for room for a connection; `None` never comes, as nobody closes the
/// semaphore.
async fn place(
    places: &Arc<Semaphore>,
    limit: usize,
    full: &mut Said,
) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
        return Some(permit);
    }
    if full.is_due(Instant::now()) {
        tracing::warn!(
            limit,
            "as many connections as allowed are open; more have to wait"
        );
    }
    Arc::clone(places).acquire_owned().await.ok()
}

fn workers_of(handles: Vec<Handle>) -> Vec<Worker> {
    let handles = if handles.is_empty() {
        vec![Handle::current()]
    } else {
        handles
    };
    handles
        .into_iter()
        .map(|handle| Worker {
            handle,
            live: Arc::default(),
            compressors: Compressors::default(),
        })
        .collect()
}

/// Moves a connection from the acceptor's runtime to this one, and sets it up.
fn here(stream: TcpStream, write_timeout: Duration) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let milliseconds = u32::try_from(write_timeout.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&stream, milliseconds)?;
    TcpStream::from_std(stream.into_std()?)
}

async fn failed_to_accept(error: &io::Error, failing: &mut Said) {
    match error.kind() {
        // The client went before it was its turn.
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
        _ => {
            if failing.is_due(Instant::now()) {
                tracing::warn!(%error, "no connection can be accepted; trying again");
            }
            sleep(STARVED).await;
        }
    }
}

async fn drain(control: &Control, deadline: Duration) -> Drained {
    control.tracker.close();
    if timeout(deadline, control.tracker.wait()).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = control.tracker.len();
    tracing::warn!(cut, ?deadline, "requests did not end before the deadline");
    control.cut.cancel();
    if timeout(CUT, control.tracker.wait()).await.is_err() {
        let stuck = control.tracker.len();
        tracing::error!(stuck, "cut connections did not end: a thread is stuck");
    }
    Drained { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_said_now_and_then() {
        let mut said = Said::default();
        let start = Instant::now();
        let due: Vec<u32> = (0..300_u32)
            .filter(|turn| said.is_due(start + STARVED * *turn))
            .collect();
        assert_eq!(due, [0, 100, 200]);
    }
}
