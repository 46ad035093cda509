//! Where guests run.
//!
//! A call begins on the thread of its connection, and most end there: nothing is
//! handed over, and a short request waits for others of its thread for a quantum
//! each at most. A guest that has used [`HEAVY`] of CPU time, and is in the way of
//! other guests on its thread, moves to a pool of threads that yield to the others (a
//! lower priority), where apps get their share by weight. One that has used a quantum
//! moves already while threads of the pool have nothing to do, so that what a request
//! has begun in parallel runs in parallel. One that is alone stays, however long it
//! takes, while nobody wants time of the pool: between it and its client nothing has to
//! go from thread to thread.
//!
//! A task whose time is over, or that nobody wants any more, has its last turn before
//! all others, so that its deadline holds and its place is free however full the pool is.
//!
//! What moves is the guest's task, between two polls. A stub stays behind, so that
//! whoever ends the task or waits for its end need not know where it is, and the
//! pool's threads enter the runtime of the thread that it came from, so that its
//! timers and connections stay there.

mod fair;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use async_task::Runnable;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::meter::{Meter, QUANTUM, thread_cpu_time};
use fair::FairQueue;

/// CPU time from which on a guest runs in the pool.
const HEAVY: Duration = Duration::from_millis(4);

/// How much the pool's threads yield to the others: with this, a thread gets a tenth
/// of the time of one that does not yield, where the two compete.
const NICE: i32 = 10;

/// A guest's task.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The threads for what is heavy.
#[derive(Debug)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
    /// Threads that wait for something to do.
    idle: AtomicUsize,
    /// Tasks that have their turn here, or wait for it.
    wanting: AtomicUsize,
}

/// What a task in the pool has with it.
#[derive(Debug)]
struct Ticket {
    /// The runtime of the thread that it came from.
    home: Handle,
    /// Who it is charged to. Held, so that it is charged before its function is gone.
    share: Arc<Share>,
    /// Its time is over, or nobody wants it any more: its next turn only ends it.
    ending: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    queue: FairQueue<Runnable<Ticket>>,
    stop: bool,
}

/// How much of the pool's time something gets beside others that want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Of the app among all apps.
    pub app: u32,
    /// Of the function in its app.
    pub function: u32,
}

impl Weights {
    /// What an app or a function has without saying so.
    pub const DEFAULT: u32 = 100;
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            app: Self::DEFAULT,
            function: Self::DEFAULT,
        }
    }
}

/// A function's part in the pool's time.
#[derive(Debug)]
pub(crate) struct Share {
    shared: Arc<Shared>,
    key: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shared.state().queue.leave(self.key);
    }
}

impl Pool {
    /// Starts so many threads.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: FairQueue::default(),
                stop: false,
            }),
            more: Condvar::new(),
            idle: AtomicUsize::new(0),
            wanting: AtomicUsize::new(0),
        });
        let pool = Self(Arc::clone(&shared));
        for index in 0..threads.max(1) {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("strand-pool-{index}"))
                .spawn(move || shared.work())?;
        }
        Ok(pool)
    }

    /// Takes a function in.
    pub(crate) fn join(&self, app: &str, weights: Weights) -> Arc<Share> {
        let shared = Arc::clone(&self.0);
        let key = shared.state().queue.join(app, weights);
        Arc::new(Share { shared, key })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The threads are not waited for: the last one who holds the engine may be one.
        self.0.state().stop = true;
        self.0.more.notify_all();
    }
}

/// Drives a guest's task to its end. `meter` counts what it uses, and the task looks
/// at `deadline` itself; it is asked so that a turn comes then.
///
/// Must be called on a Tokio runtime. Whoever aborts what this gives back ends the
/// task, wherever it runs.
pub(crate) fn spawn<F, D>(
    share: &Arc<Share>,
    meter: Arc<Meter>,
    deadline: D,
    task: F,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
    D: Fn() -> Instant + Send + Sync + 'static,
{
    let share = Arc::clone(share);
    let mut others = Others::since_now();
    tokio::spawn(async move {
        let mut task: Task = Box::pin(task);
        loop {
            let in_the_way = || {
                // In any case: it counts turns. Where the pool has work, nobody runs long
                // outside of it, for all shares are there.
                let others_here = others.had_a_turn();
                (others_here || share.shared.is_wanted()) && share.shared.takes(&meter)
            };
            if poll_until(&mut task, in_the_way).await == Left::Nothing {
                return;
            }
            match share.run(Arc::clone(&meter), &deadline, task).await {
                Some(back) => task = back,
                None => return,
            }
            others = Others::since_now();
        }
    })
}

thread_local! {
    /// Turns of guests on this thread, those of the pool not counted.
    static TURNS: Cell<u64> = const { Cell::new(0) };
}

/// Looks whether other guests have their turns on the same thread.
struct Others {
    /// The turns on this thread when the last one of this guest ended.
    seen: u64,
}

impl Others {
    fn since_now() -> Self {
        let seen = TURNS.get();
        Self { seen }
    }

    /// Whether there was a turn of another guest since this was asked last. To be asked at
    /// the end of each turn.
    fn had_a_turn(&mut self) -> bool {
        let turns = TURNS.get();
        let had = turns != self.seen;
        TURNS.set(turns + 1);
        self.seen = turns + 1;
        had
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Unfinished,
}

/// Drives a task to its end, or until after a turn it has to go elsewhere.
async fn poll_until(task: &mut Task, mut has_to_go: impl FnMut() -> bool) -> Left {
    std::future::poll_fn(|cx| {
        let poll = task.as_mut().poll(cx);
        // Asked in any case: it counts turns.
        let has_to_go = has_to_go();
        match poll {
            Poll::Ready(()) => Poll::Ready(Left::Nothing),
            Poll::Pending if has_to_go => Poll::Ready(Left::Unfinished),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// A guest's task; what panics while it is dropped is no more than its own.
struct Dropped(Option<Task>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let task = self.0.take();
        // Who has it dropped here would end the process.
        if catch_unwind(AssertUnwindSafe(|| drop(task))).is_err() {
            tracing::error!("the host failed while it cleaned up after a call");
        }
    }
}

/// Sees to it that a task which is to end has its last turn before all others.
struct Ending<'a> {
    share: &'a Share,
    ending: Arc<AtomicBool>,
    over: bool,
}

impl Ending<'_> {
    fn begin(&self) {
        if !self.ending.swap(true, Relaxed) {
            let is_ending = |runnable: &Runnable<Ticket>| runnable.metadata().ending.load(Relaxed);
            let mut state = self.share.shared.state();
            state.queue.prefer(self.share.key, is_ending);
        }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.begin();
        }
    }
}

impl Share {
    /// Runs a task in the pool; gives it back when it is light again.
    async fn run(
        self: &Arc<Self>,
        meter: Arc<Meter>,
        deadline: &(impl Fn() -> Instant + Sync),
        task: Task,
    ) -> Option<Task> {
        // Dropped after the task is: what that has queued comes first.
        let mut ending = Ending {
            share: self,
            ending: Arc::default(),
            over: false,
        };
        let ticket = Ticket {
            home: Handle::current(),
            share: Arc::clone(self),
            ending: Arc::clone(&ending.ending),
        };
        let mut held = Dropped(Some(task));
        let (runnable, mut task) = async_task::Builder::new()
            // A panic is the guest's caller's to hear of, not the thread's.
            .propagate_panic(true)
            .metadata(ticket)
            .spawn(
                |_ticket| async move {
                    let Some(task) = &mut held.0 else {
                        return None;
                    };
                    // Its count begins anew when it serves the next request.
                    match poll_until(task, || meter.used() < QUANTUM).await {
                        Left::Nothing => None,
                        Left::Unfinished => held.0.take(),
                    }
                },
                |runnable: Runnable<Ticket>| {
                    let shared = Arc::clone(&runnable.metadata().share.shared);
                    shared.push(runnable);
                },
            );
        runnable.schedule();
        loop {
            let end = deadline();
            tokio::select! {
                biased;
                back = &mut task => {
                    ending.over = true;
                    return back;
                }
                () = tokio::time::sleep_until(end.into()), if !ending.ending.load(Relaxed) => {
                    // Another one may have come meanwhile.
                    if deadline() <= Instant::now() {
                        ending.begin();
                    }
                }
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a guest that has used so much is to move here.
    fn takes(&self, meter: &Meter) -> bool {
        let used = meter.used();
        used >= HEAVY || (used >= QUANTUM && self.idle.load(Relaxed) > 0)
    }

    /// Whether anybody wants a turn in the pool.
    fn is_wanted(&self) -> bool {
        self.wanting.load(Relaxed) > 0
    }

    fn push(&self, runnable: Runnable<Ticket>) {
        let Ticket { share, ending, .. } = runnable.metadata();
        let (key, is_ending) = (share.key, ending.load(Relaxed));
        self.wanting.fetch_add(1, Relaxed);
        let queue = &mut self.state().queue;
        if is_ending {
            queue.push_first(key, runnable);
        } else {
            queue.push(key, runnable);
        }
        self.more.notify_one();
    }

    /// A thread's life.
    fn work(&self) {
        // Of this thread, not of the process: that is how Linux has it.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::warn!(%error, "long work cannot be given a lower priority");
        }
        while let Some((key, runnable)) = self.next() {
            let Ticket { home, share, .. } = runnable.metadata();
            let (home, share) = (home.clone(), Arc::clone(share));
            let entered = home.enter();
            let before = thread_cpu_time();
            runnable.run();
            let used = thread_cpu_time().saturating_sub(before);
            drop(entered);
            self.wanting.fetch_sub(1, Relaxed);
            self.state().queue.charge(key, used);
            drop(share);
        }
    }

    /// Waits for something to run; `None`: there will be no more.
    fn next(&self) -> Option<(usize, Runnable<Ticket>)> {
        let mut state = self.state();
        loop {
            if state.stop {
                return None;
            }
            if let Some(next) = state.queue.pop() {
                return Some(next);
            }
            self.idle.fetch_add(1, Relaxed);
            state = self
                .more
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
