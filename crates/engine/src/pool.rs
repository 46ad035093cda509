//! Where guests run.
//!
//! A call begins on the thread of its connection, and most end there: nothing is
//! handed over, and a short request waits for others of its thread for a quantum
//! each at most. A guest that has used [`HEAVY`] of CPU time, and is in the way of
//! other guests on its thread, moves to a pool of threads that yield to the others (a
//! lower priority), where apps get their share by weight. One that has used a quantum
//! moves already while threads of the pool have nothing to do, so that what a request
//! has begun in parallel runs in parallel. One that is alone stays, however long it
//! takes: between it and its client nothing has to go from thread to thread.
//!
//! What moves is the guest's task, between two polls. A stub stays behind, so that
//! whoever ends the task or waits for its end need not know where it is, and the
//! pool's threads enter the runtime of the thread that it came from, so that its
//! timers and connections stay there.

mod fair;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

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
}

#[derive(Debug)]
struct State {
    queue: FairQueue<Runnable<Handle>>,
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

/// Drives a guest's task to its end. `meter` counts what it uses.
///
/// Must be called on a Tokio runtime. Whoever aborts what this gives back ends the
/// task, wherever it runs.
pub(crate) fn spawn<F>(share: &Arc<Share>, meter: Arc<Meter>, task: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let share = Arc::clone(share);
    let mut others = Others::since_now();
    tokio::spawn(async move {
        let mut task: Task = Box::pin(task);
        loop {
            let in_the_way = || others.had_a_turn() && share.shared.takes(&meter);
            if poll_until(&mut task, in_the_way).await == Left::Nothing {
                return;
            }
            match share.run(Arc::clone(&meter), task).await {
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

impl Share {
    /// Runs a task in the pool; gives it back when it is light again.
    async fn run(self: &Arc<Self>, meter: Arc<Meter>, mut task: Task) -> Option<Task> {
        let share = Arc::clone(self);
        let schedule = move |runnable| share.shared.push(share.key, runnable);
        let (runnable, task) = async_task::Builder::new()
            // A panic is the guest's caller's to hear of, not the thread's.
            .propagate_panic(true)
            .metadata(Handle::current())
            .spawn(
                |_handle| async move {
                    // Its count begins anew when it serves the next request.
                    match poll_until(&mut task, || meter.used() < QUANTUM).await {
                        Left::Nothing => None,
                        Left::Unfinished => Some(task),
                    }
                },
                schedule,
            );
        runnable.schedule();
        task.await
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

    fn push(&self, key: usize, runnable: Runnable<Handle>) {
        self.state().queue.push(key, runnable);
        self.more.notify_one();
    }

    /// A thread's life.
    fn work(&self) {
        // Of this thread, not of the process: that is how Linux has it.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::warn!(%error, "long work cannot be given a lower priority");
        }
        while let Some((key, runnable)) = self.next() {
            let home = runnable.metadata().clone();
            let _entered = home.enter();
            let before = thread_cpu_time();
            runnable.run();
            let used = thread_cpu_time().saturating_sub(before);
            self.state().queue.charge(key, used);
        }
    }

    /// Waits for something to run; `None`: there will be no more.
    fn next(&self) -> Option<(usize, Runnable<Handle>)> {
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
