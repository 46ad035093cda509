//! An instance as its callers see it: its inbox, and the requests that it works on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::Request;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use crate::admission::Permit;
use crate::background::Deadline;
use crate::call::Body;
use crate::cell::wall_problem;
use crate::ctx::CallInfo;
use crate::function::Reuse;
use crate::meter::Meter;
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::worlds::Head;

/// When an instance that is at rest looks at the clock again: there is nothing to see.
const AT_REST: Duration = Duration::from_secs(60);

/// A request on its way to an instance.
pub(super) struct Accepted {
    pub(super) request: Request<Body>,
    pub(super) info: CallInfo,
    pub(super) head: oneshot::Sender<Head>,
    /// Alive as long as somebody waits for the answer or sends it on.
    pub(super) outcome: Weak<Outcome>,
    pub(super) permit: Permit,
}

/// A request from when the instance takes it until the guest has answered it and
/// its caller has all of the answer, or is gone.
struct Live {
    id: u32,
    info: CallInfo,
    /// Until the guest has answered.
    head: Option<oneshot::Sender<Head>>,
    /// Its caller went before that.
    is_abandoned: bool,
    outcome: Weak<Outcome>,
    permit: Permit,
}

impl Live {
    fn is_answered(&self) -> bool {
        self.head.is_none()
    }
}

struct State {
    inbox: VecDeque<Taken>,
    live: Vec<Live>,
    /// Requests in all.
    taken: u32,
    closed: bool,
    /// The guest has nothing to do, not even of what it began with its last answer.
    at_rest: bool,
    /// The last of all deadlines: what the guest does beyond its answers ends then.
    latest: Instant,
    /// The place of the only request of an instance, kept while it runs on.
    permit: Option<Permit>,
}

impl State {
    /// When the time of the first of all requests is over.
    fn next_end(&self) -> Option<Instant> {
        self.live.iter().map(|live| live.info.deadline).min()
    }

    fn is_waiting(&self) -> bool {
        !self.closed && self.at_rest && self.live.is_empty() && self.inbox.is_empty()
    }

    /// Takes a request off the list.
    fn remove(&mut self, index: usize, reuse: Reuse) {
        let live = self.live.swap_remove(index);
        if reuse.requests == 1 {
            // What the guest does after its only answer counts as running.
            self.permit = Some(live.permit);
        }
    }
}

pub(super) struct Instance {
    reuse: Reuse,
    meter: Arc<Meter>,
    abort: OnceLock<AbortHandle>,
    state: Mutex<State>,
    arrived: Notify,
    /// A request came whose time is over before that of all others.
    nearer: Notify,
}

/// A request that the instance is to serve, with the number it is answered by.
pub(super) struct Taken {
    pub(super) id: u32,
    pub(super) request: Request<Body>,
    pub(super) info: CallInfo,
}

/// What became of a request that was offered to an instance.
pub(super) enum Offered {
    /// It was taken.
    Seated(Seat),
    /// The instance is busy.
    Full(Box<Accepted>),
    /// The instance takes no more requests.
    Closed(Box<Accepted>),
}

/// What the clock says to an instance.
#[derive(Debug)]
pub(super) enum Clock {
    /// Look again then.
    Until(Instant),
    /// This request's time is over, and the guest has not answered it.
    Over(CallInfo),
    /// All that still runs is what nobody waits for, and its time is over.
    Forgotten,
}

/// A request's place at its instance, held by whoever sends its answer on.
pub(super) struct Seat {
    instance: Arc<Instance>,
    id: u32,
}

impl Seat {
    pub(super) fn abort_handle(&self) -> Option<AbortHandle> {
        self.instance.abort.get().cloned()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.instance.state();
        let Some(index) = state.live.iter().position(|live| live.id == self.id) else {
            return;
        };
        if state.live[index].is_answered() {
            state.remove(index, self.instance.reuse);
        } else {
            // The guest works on it: it keeps its place until it is answered.
            state.live[index].is_abandoned = true;
        }
    }
}

impl Instance {
    /// An instance with its first request.
    pub(super) fn new(reuse: Reuse, meter: Arc<Meter>, first: Accepted) -> (Arc<Self>, Seat) {
        let instance = Arc::new(Self {
            reuse,
            meter,
            abort: OnceLock::new(),
            state: Mutex::new(State {
                inbox: VecDeque::new(),
                live: Vec::new(),
                taken: 0,
                closed: false,
                at_rest: false,
                latest: first.info.deadline,
                permit: None,
            }),
            arrived: Notify::new(),
            nearer: Notify::new(),
        });
        let seat = instance.take(&mut instance.state(), first);
        (instance, seat)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request if there is room.
    pub(super) fn offer(self: &Arc<Self>, request: Box<Accepted>) -> Offered {
        let mut state = self.state();
        if state.closed {
            return Offered::Closed(request);
        }
        if state.live.is_empty() {
            // The limit is for what requests use, not for all of an instance's life.
            self.meter.reset();
        } else if self.meter.is_half_used() {
            // Those that share it have used most of what one may: the next one
            // would soon end all of them.
            state.closed = true;
            drop(state);
            self.arrived.notify_one();
            return Offered::Closed(request);
        }
        if state.live.len() >= self.reuse.concurrency as usize {
            return Offered::Full(request);
        }
        let seat = self.take(&mut state, *request);
        drop(state);
        self.arrived.notify_one();
        Offered::Seated(seat)
    }

    fn take(self: &Arc<Self>, state: &mut State, request: Accepted) -> Seat {
        let Accepted {
            request,
            info,
            head,
            outcome,
            permit,
        } = request;
        self.meter.count_request(self.reuse.concurrency);
        state.taken += 1;
        state.at_rest = false;
        state.closed |= state.taken >= self.reuse.requests;
        state.latest = state.latest.max(info.deadline);
        if state.next_end().is_some_and(|end| info.deadline < end) {
            self.nearer.notify_one();
        }
        let id = state.taken;
        state.live.push(Live {
            id,
            info: info.clone(),
            head: Some(head),
            is_abandoned: false,
            outcome,
            permit,
        });
        state.inbox.push_back(Taken { id, request, info });
        Seat {
            instance: Arc::clone(self),
            id,
        }
    }

    /// Whether it takes further requests.
    pub(super) fn is_open(&self) -> bool {
        !self.state().closed
    }

    /// Whether the guest has nothing to do.
    pub(super) fn is_at_rest(&self) -> bool {
        self.state().at_rest
    }

    /// The guest has nothing to do, unless a request has come meanwhile.
    pub(super) fn set_at_rest(&self) {
        let mut state = self.state();
        state.at_rest = state.inbox.is_empty();
    }

    /// Whether all that it does is to wait for its next request.
    pub(super) fn is_waiting(&self) -> bool {
        self.state().is_waiting()
    }

    /// Has it take no more requests if it only waits for the next one.
    pub(super) fn dismiss(&self) {
        let mut state = self.state();
        if state.is_waiting() {
            state.closed = true;
            drop(state);
            self.arrived.notify_one();
        }
    }

    pub(super) fn set_abort_handle(&self, abort: AbortHandle) {
        // Set once, by whoever started the instance.
        let _ = self.abort.set(abort);
    }

    /// The next request, or `None` when nothing more will come: closes the
    /// instance when none comes for so long while it works on none.
    pub(super) async fn next(&self, idle: Option<Duration>) -> Option<Taken> {
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
            let arrived = self.arrived.notified();
            let Some(idle) = idle else {
                arrived.await;
                continue;
            };
            let arrived = tokio::time::timeout(idle, arrived).await;
            let mut state = self.state();
            if arrived.is_err() && state.inbox.is_empty() && state.live.is_empty() {
                state.closed = true;
            }
        }
    }

    /// What holds for calls that the guest makes: a store does not tell which of its
    /// requests makes one, so the nearest deadline and the greatest depth hold. Gives how many
    /// requests there are.
    pub(super) fn bound(&self, call: &mut CallInfo) -> usize {
        let state = self.state();
        let live = || state.live.iter().map(|live| &live.info);
        if let Some(deadline) = live().map(|info| info.deadline).min() {
            call.deadline = deadline;
        }
        if let Some(depth) = live().map(|info| info.depth).max() {
            call.depth = depth;
        }
        state.live.len()
    }

    /// Sends a request's answer to its caller.
    pub(super) fn answer(&self, id: u32, answer: Head) {
        let mut state = self.state();
        let Some(index) = state.live.iter().position(|live| live.id == id) else {
            return;
        };
        let head = state.live[index].head.take();
        if state.live[index].is_abandoned {
            state.remove(index, self.reuse);
        }
        drop(state);
        if let Some(head) = head {
            // Nobody may be there any more to take it.
            let _ = head.send(answer);
        }
    }

    /// What the clock says. A caller that takes its answer too slowly loses it: that
    /// is no fault of the guest's, and none of the others'.
    pub(super) fn look_at_clock(&self, now: Instant) -> Clock {
        let mut state = self.state();
        let mut late = Vec::new();
        while let Some(index) = state
            .live
            .iter()
            .position(|live| live.is_answered() && live.info.deadline <= now)
        {
            let live = &state.live[index];
            late.push((live.outcome.clone(), live.info.wall));
            state.remove(index, self.reuse);
        }
        let first = state.live.iter().min_by_key(|live| live.info.deadline);
        let clock = match first.map(|live| &live.info) {
            Some(info) if info.deadline <= now => Clock::Over(info.clone()),
            Some(info) => Clock::Until(info.deadline),
            // It ends when nobody wants it for long.
            None if state.at_rest => Clock::Until(now + AT_REST),
            None if state.latest <= now => {
                state.closed = true;
                Clock::Forgotten
            }
            None => Clock::Until(state.latest),
        };
        drop(state);
        for (outcome, wall) in late {
            if let Some(outcome) = outcome.upgrade() {
                outcome.fail(wall_problem(wall));
            }
        }
        clock
    }

    /// The instance ended, in a problem or well: its callers hear of it. Gives the places that
    /// they had.
    pub(super) fn end(&self, problem: Option<Problem>) -> Vec<Permit> {
        let mut state = self.state();
        state.closed = true;
        state.inbox.clear();
        let mut permits: Vec<_> = state.permit.take().into_iter().collect();
        let live = std::mem::take(&mut state.live);
        drop(state);
        let mut told = Vec::with_capacity(live.len());
        for live in live {
            permits.push(live.permit);
            told.extend(live.outcome.upgrade().map(|outcome| (outcome, live.head)));
        }
        if let Some(mut problem) = problem {
            if told.len() > 1 {
                problem = problem.shared();
            }
            // The problem first: a caller whose head is dropped looks for it.
            for (outcome, _head) in &told {
                outcome.fail(problem.clone());
            }
        }
        permits
    }
}

impl Deadline for Arc<Instance> {
    /// When the next request's time is over, or all that there is.
    fn at(&self) -> Instant {
        let state = self.state();
        state.next_end().unwrap_or_else(|| {
            if state.at_rest {
                Instant::now() + AT_REST
            } else {
                state.latest
            }
        })
    }

    async fn nearer(&self) {
        self.nearer.notified().await;
    }
}

#[cfg(test)]
pub(super) mod tests;
