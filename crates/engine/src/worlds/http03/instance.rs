//! An instance as its callers see it: seats, an inbox, and the requests that
//! have not been answered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use http::Request;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use crate::admission::Permit;
use crate::call::Body;
use crate::ctx::CallInfo;
use crate::function::Reuse;
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::worlds::Head;

/// A request on its way to an instance.
pub(super) struct Accepted {
    pub(super) request: Request<Body>,
    pub(super) info: CallInfo,
    pub(super) head: oneshot::Sender<Head>,
    /// Alive as long as somebody waits for the answer or sends it on.
    pub(super) outcome: Weak<Outcome>,
    pub(super) permit: Permit,
}

/// A request that an instance has taken.
struct Live {
    id: u32,
    deadline: Instant,
    /// Until the guest has answered.
    head: Option<oneshot::Sender<Head>>,
    outcome: Weak<Outcome>,
}

#[derive(Default)]
struct State {
    inbox: VecDeque<Taken>,
    live: Vec<Live>,
    /// Requests whose callers have not had all of their answer.
    seats: u32,
    /// Requests in all.
    taken: u32,
    closed: bool,
    permit: Option<Permit>,
}

pub(super) struct Instance {
    /// A request goes to an instance of its own thread, so that the two need no
    /// wake-up across cores.
    thread: ThreadId,
    reuse: Reuse,
    abort: OnceLock<AbortHandle>,
    state: Mutex<State>,
    arrived: Notify,
}

/// A request that the instance is to serve, with the number it is answered by.
pub(super) struct Taken {
    pub(super) id: u32,
    pub(super) request: Request<Body>,
    pub(super) info: CallInfo,
}

/// A request's place at its instance, held until its answer has been sent.
pub(super) struct Seat {
    instance: Arc<Instance>,
    permit: Option<Permit>,
}

impl Seat {
    pub(super) fn abort_handle(&self) -> Option<AbortHandle> {
        self.instance.abort.get().cloned()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.instance.state();
        state.seats -= 1;
        if self.instance.reuse.requests == 1 {
            // What the guest does after its only answer counts as running.
            state.permit = self.permit.take();
        }
    }
}

impl Instance {
    /// An instance with its first request.
    pub(super) fn new(reuse: Reuse, first: Accepted) -> (Arc<Self>, Seat) {
        let instance = Arc::new(Self {
            thread: std::thread::current().id(),
            reuse,
            abort: OnceLock::new(),
            state: Mutex::default(),
            arrived: Notify::new(),
        });
        let seat = instance.take(&mut instance.state(), first);
        (instance, seat)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request if it comes from this thread and there is room.
    pub(super) fn offer(self: &Arc<Self>, request: Box<Accepted>) -> Result<Seat, Box<Accepted>> {
        let mut state = self.state();
        if state.closed
            || state.seats >= self.reuse.concurrency
            || self.thread != std::thread::current().id()
        {
            return Err(request);
        }
        let seat = self.take(&mut state, *request);
        drop(state);
        self.arrived.notify_one();
        Ok(seat)
    }

    fn take(self: &Arc<Self>, state: &mut State, request: Accepted) -> Seat {
        state.seats += 1;
        state.taken += 1;
        state.closed |= state.taken >= self.reuse.requests;
        state.live.push(Live {
            id: state.taken,
            deadline: request.info.deadline,
            head: Some(request.head),
            outcome: request.outcome,
        });
        let taken = Taken {
            id: state.taken,
            request: request.request,
            info: request.info,
        };
        state.inbox.push_back(taken);
        Seat {
            instance: Arc::clone(self),
            permit: Some(request.permit),
        }
    }

    /// Whether it takes further requests.
    pub(super) fn is_open(&self) -> bool {
        !self.state().closed
    }

    pub(super) fn set_abort_handle(&self, abort: AbortHandle) {
        // Set once, by whoever started the instance.
        let _ = self.abort.set(abort);
    }

    /// The next request, or `None` when nothing more will come: closes the
    /// instance when none comes for so long while nobody waits for an answer.
    pub(super) async fn next(&self, idle: Duration) -> Option<Taken> {
        loop {
            {
                let mut state = self.state();
                if let Some(taken) = state.inbox.pop_front() {
                    return Some(taken);
                }
                if state.closed {
                    return None;
                }
            }
            let arrived = tokio::time::timeout(idle, self.arrived.notified()).await;
            let mut state = self.state();
            if arrived.is_err() && state.inbox.is_empty() && state.seats == 0 {
                state.closed = true;
            }
        }
    }

    /// Sends a request's answer to its caller.
    pub(super) fn answer(&self, id: u32, answer: Head) {
        let mut state = self.state();
        if let Some(live) = state.live.iter_mut().find(|live| live.id == id)
            && let Some(head) = live.head.take()
        {
            drop(state);
            // Nobody may be there any more to take it.
            let _ = head.send(answer);
        }
    }

    /// When the first of the requests must have ended. Forgets those that have.
    pub(super) fn earliest_deadline(&self) -> Option<Instant> {
        let mut state = self.state();
        state.live.retain(|live| live.outcome.strong_count() > 0);
        state.live.iter().map(|live| live.deadline).min()
    }

    pub(super) fn farewell(&self) -> Farewell<'_> {
        Farewell(Some(self))
    }
}

/// Sees to it that the end of an instance reaches its callers.
pub(super) struct Farewell<'a>(Option<&'a Instance>);

impl Farewell<'_> {
    /// The instance ended, in a problem or well.
    pub(super) fn end(mut self, problem: Option<Problem>) {
        if let Some(instance) = self.0.take() {
            instance.end(problem);
        }
    }
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        if let Some(instance) = self.0.take() {
            instance.end(Some(Problem::host_fault(
                "the host failed during this call",
            )));
        }
    }
}

impl Instance {
    fn end(&self, problem: Option<Problem>) {
        let mut state = self.state();
        state.closed = true;
        state.inbox.clear();
        let live = std::mem::take(&mut state.live);
        drop(state);
        let Some(mut problem) = problem else { return };
        let live: Vec<_> = live
            .into_iter()
            .filter_map(|live| Some((live.outcome.upgrade()?, live.head)))
            .collect();
        if live.len() > 1 {
            problem = problem.shared();
        }
        // The problem first: a caller whose head is dropped looks for it.
        for (outcome, _head) in &live {
            outcome.fail(problem.clone());
        }
    }
}
