//! What the parts of one connection know of each other.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use strand_engine::{Dispatch, Limit, MemoryBudget, Problem, Reservation, format_bytes};
use strand_telemetry::{AccessLog, Metrics};

use crate::client::Peer;
use crate::compress::Compressors;
use crate::config::Config;
use crate::exchange::Exchange;
use crate::routing::RoutingTable;
use crate::static_files::Places;
use crate::stream::StreamProgress;
use crate::tls::Tls;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) routes: Arc<RoutingTable>,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: AccessLog,
    pub(crate) tls: Option<Tls>,
    /// What requests in flight are charged to, by their routes.
    pub(crate) budgets: Vec<Arc<MemoryBudget>>,
    /// Of files that are open for answers.
    pub(crate) files: Places,
    pub(crate) draining: AtomicBool,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The rest of a request's header; of HTTP/2, the first request.
    Header = 0,
    /// The next request.
    Idle = 1,
    /// The end of an answer.
    Busy = 2,
}

/// A connection. Its connection's task writes nearly all of this, so that atomics
/// and locks are there for `Sync` and never wait.
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) local: SocketAddr,
    pub(crate) http2: bool,
    /// Those of its thread.
    pub(crate) compressors: Compressors,
    phase: AtomicU8,
    /// Counts changes of the phase.
    steps: AtomicU32,
    /// Exchanges of HTTP/2 that have not ended.
    streams: AtomicU32,
    /// Whether the client may still be sending what nobody will read.
    unread: AtomicBool,
    has_ended: AtomicBool,
    /// An exchange of HTTP/1 whose last byte waits to be written.
    ended: Mutex<Option<Box<Exchange>>>,
    /// Hands a stream of HTTP/2 from the service to the executor.
    next_stream: Mutex<Option<Arc<StreamProgress>>>,
    /// What the connection's requests hold of the budget. One for all of an app: a
    /// request pays for its bytes and no more.
    memory: Mutex<Vec<Reservation>>,
}

impl Link {
    pub(crate) fn new(
        shared: Arc<Shared>,
        peer: Peer,
        local: SocketAddr,
        http2: bool,
        compressors: Compressors,
    ) -> Arc<Self> {
        Arc::new(Self {
            memory: Mutex::default(),
            shared,
            peer,
            local,
            http2,
            compressors,
            phase: AtomicU8::new(Phase::Header as u8),
            steps: AtomicU32::new(0),
            streams: AtomicU32::new(0),
            unread: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            ended: Mutex::default(),
            next_stream: Mutex::default(),
        })
    }

    /// The phase, and a number that is another one for every phase.
    pub(crate) fn phase(&self) -> (Phase, u32) {
        let phase = match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Header,
            1 => Phase::Idle,
            _ => Phase::Busy,
        };
        (phase, self.steps.load(Ordering::Relaxed))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether no byte of an answer of ours is on its way: what hyper writes now is
    /// its own.
    pub(crate) fn is_clean(&self) -> bool {
        self.phase.load(Ordering::Relaxed) != Phase::Busy as u8
    }

    pub(crate) fn bytes_came(&self) {
        if self.phase.load(Ordering::Relaxed) == Phase::Idle as u8 && !self.http2 {
            self.enter(Phase::Header);
        }
    }

    pub(crate) fn stream_begins(&self) {
        if self.http2 && self.streams.fetch_add(1, Ordering::Relaxed) == 0 {
            self.enter(Phase::Busy);
        }
    }

    pub(crate) fn stream_ends(&self) {
        if self.http2 && self.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.enter(Phase::Idle);
        }
    }

    pub(crate) fn leave_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// The last byte of an exchange was handed to hyper.
    pub(crate) fn end(&self, exchange: Box<Exchange>) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchange);
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Everything was written.
    pub(crate) fn flushed(&self) {
        if self.has_ended.load(Ordering::Relaxed) {
            self.enter(Phase::Idle);
            if let Some(exchange) = self.take_ended() {
                exchange.complete();
            }
        }
    }

    /// Also breaks the circle between the two when the connection is gone.
    pub(crate) fn take_ended(&self) -> Option<Box<Exchange>> {
        self.has_ended.store(false, Ordering::Relaxed);
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Takes what a request in flight may hold of the node's memory, for the app of its
    /// route.
    ///
    /// # Errors
    /// When there is not so much for that app.
    pub(crate) fn hold(&self, route: usize) -> Result<(), Problem> {
        let Some(budget) = self.shared.budgets.get(route) else {
            return Ok(());
        };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let place = position(&memory, budget).unwrap_or_else(|| {
            memory.push(budget.empty_reservation());
            memory.len() - 1
        });
        if memory[place].grow(Config::IN_FLIGHT) {
            return Ok(());
        }
        let value = format_bytes(budget.limit());
        let detail = format!(
            "this node's memory budget of {value} has no room for the {} of another request of this app",
            format_bytes(Config::IN_FLIGHT)
        );
        Err(Problem::limit(Limit::NodeMemory, value, detail))
    }

    /// Gives back what one request took.
    pub(crate) fn release(&self, route: usize) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = self.shared.budgets.get(route);
        let Some(place) = budget.and_then(|budget| position(&memory, budget)) else {
            return;
        };
        memory[place].shrink(Config::IN_FLIGHT);
        // Nearly all connections ask for one app. The others are not to keep a list.
        if memory[place].bytes() == 0 && memory.len() > 1 {
            memory.swap_remove(place);
        }
    }

    pub(crate) fn offer_stream(&self, stream: Option<Arc<StreamProgress>>) {
        *self
            .next_stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = stream;
    }

    pub(crate) fn take_stream(&self) -> Option<Arc<StreamProgress>> {
        self.next_stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

fn position(held: &[Reservation], budget: &Arc<MemoryBudget>) -> Option<usize> {
    held.iter()
        .position(|own| std::ptr::eq(own.budget(), &**budget))
}

#[cfg(test)]
pub(crate) mod tests {
    use strand_engine::{Answer, Call};

    use super::*;

    /// Calls nothing.
    struct Nobody;

    impl Dispatch for Nobody {
        fn dispatch(&self, call: Call) -> Answer<'_> {
            unreachable!("{}", call.function)
        }
    }

    /// A connection that has only this end.
    pub(crate) fn link(config: Config, http2: bool) -> Arc<Link> {
        let metrics = Arc::new(Metrics::new());
        let routes = RoutingTable::new(std::iter::empty(), &metrics).unwrap();
        let shared = Shared {
            config,
            routes: Arc::new(routes),
            dispatch: Arc::new(Nobody),
            metrics,
            access: AccessLog::off(),
            tls: None,
            budgets: Vec::new(),
            files: Places::new(1),
            draining: AtomicBool::new(false),
        };
        let local = SocketAddr::from(([127, 0, 0, 1], 8080));
        let peer = Peer::new(local.ip(), false, &[]);
        Link::new(Arc::new(shared), peer, local, http2, Compressors::default())
    }
}
