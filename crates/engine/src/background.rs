//! Where guests run.
//!
//! A call begins on the thread of its connection, and most end there: nothing is
//! handed over, and a short request waits for others of its thread for a quantum
//! each at most. A guest that has used [`HEAVY`] of CPU time, and is in the way of
//! other guests on its thread, moves to the background: threads that yield to the others
//! (a lower priority), where apps get their share by weight. One that has used a quantum
//! moves already while threads there have nothing to do, so that what a request has begun
//! in parallel runs in parallel. One that is alone stays, however long it takes, while
//! nobody wants time in the background: between it and its client nothing has to go from
//! thread to thread.
//!
//! A task whose time is over, or that nobody wants any more, has its next turn before all
//! others, so that its deadline holds and its place is free however much there is to do.
//!
//! What moves is the guest's task, between two polls. A stub stays behind, so that
//! whoever ends the task or waits for its end need not know where it is, and the
//! background's threads enter the runtime of the thread that it came from, so that its
//! timers and connections stay there.
//!
//! Three more rules keep one app's requests from standing before another's. Of the guests of an app
//! that have used a quantum, only as many as there are threads stay until they have used
//! [`HEAVY`]: a flood of requests that need a little less than that goes to the background, too,
//! where weights count. A function most of whose calls use a quantum has its next ones begin there
//! while more of its guests wait there than there are threads, so that their first quantum is not at
//! the expense of others. And a function whose guests keep their turns, in long operations that no
//! tick ends, for more of the time than a bucket holds, has its calls begin in the background for a
//! while. The last two are in `outlook`.

mod fair;
mod outlook;

use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, pending};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use async_task::Runnable;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::mapping::give_back_free_pages;
use crate::meter::{Meter, QUANTUM, thread_cpu_time};
use fair::FairQueue;

/// CPU time from which on a guest runs in the background.
const HEAVY: Duration = Duration::from_millis(4);

/// How much its threads yield to the others: with this, a thread gets a tenth of the time
/// of one that does not yield, where the two compete.
const NICE: i32 = 10;

/// How long after a turn that came before all others the next one may, for a task that goes
/// on.
const HURRY_AGAIN: Duration = Duration::from_millis(100);

/// How long a thread has nothing to do before it gives back the memory that it keeps for its next
/// allocations: nobody else can.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// A guest's task.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The threads for what is heavy.
#[derive(Debug)]
pub(crate) struct Background(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
    /// Threads that wait for something to do.
    idle: AtomicUsize,
    /// Tasks that have their turn here, or wait for it.
    wanting: AtomicUsize,
    threads: usize,
    apps: Mutex<HashMap<Box<str>, Weak<App>>>,
    began: Instant,
}

/// What is known of an app outside of the background.
#[derive(Debug, Default)]
struct App {
    /// Guests that have used a quantum, and have their turns on the threads that serve.
    warm: AtomicUsize,
}

/// What a task in the background has with it.
#[derive(Debug)]
struct Ticket {
    /// The runtime of the thread that it came from.
    home: Handle,
    /// Who it is charged to. Held, so that it is charged before its function is gone.
    share: Arc<Share>,
    /// What counts what it uses.
    meter: Arc<Meter>,
    /// Its next turn comes before all others.
    hurried: Arc<AtomicBool>,
    /// It is one of [`Share::waiting`].
    counted: AtomicBool,
}

impl Ticket {
    /// It waits from now on. Whether it is fresh: it has not used a quantum.
    fn begin_wait(&self) -> bool {
        let is_fresh = self.meter.used_each() < QUANTUM;
        if !is_fresh && !self.counted.swap(true, Relaxed) {
            self.share.waiting.fetch_add(1, Relaxed);
        }
        is_fresh
    }

    fn end_wait(&self) {
        if self.counted.swap(false, Relaxed) {
            self.share.waiting.fetch_sub(1, Relaxed);
        }
    }
}

#[derive(Debug)]
struct State {
    queue: FairQueue<Runnable<Ticket>>,
    stop: bool,
}

/// How much of the background's time something gets beside others that want it.
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

/// A function's part in the background's time.
#[derive(Debug)]
pub(crate) struct Share {
    shared: Arc<Shared>,
    key: usize,
    app: Arc<App>,
    /// Its tasks that have used a quantum, and wait for a turn in the background.
    waiting: AtomicUsize,
    /// How many of its last guests used a quantum, of [`outlook::ALL`].
    heavy: AtomicU32,
    /// When turns that its guests kept are forgotten: milliseconds since the start.
    kept_leaks_until: AtomicU64,
    /// Until then its calls begin in the background: milliseconds since the start.
    wary_until: AtomicU64,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shared.state().queue.leave(self.key);
    }
}

impl Background {
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
            threads: threads.max(1),
            apps: Mutex::default(),
            began: Instant::now(),
        });
        let background = Self(Arc::clone(&shared));
        for index in 0..shared.threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("strand-long-{index}"))
                .spawn(move || shared.work())?;
        }
        Ok(background)
    }

    /// Takes a function in.
    pub(crate) fn join(&self, app: &str, weights: Weights) -> Arc<Share> {
        let shared = Arc::clone(&self.0);
        let key = shared.state().queue.join(app, weights);
        let app = shared.app(app);
        Arc::new(Share {
            shared,
            key,
            app,
            waiting: AtomicUsize::new(0),
            heavy: AtomicU32::new(0),
            kept_leaks_until: AtomicU64::new(0),
            wary_until: AtomicU64::new(0),
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // The threads are not waited for: the last one who holds the engine may be one.
        self.0.state().stop = true;
        self.0.more.notify_all();
    }
}

/// When a task's time is over.
pub(crate) trait Deadline: Send + Sync + 'static {
    /// The next time at which it has to be looked at.
    fn at(&self) -> Instant;

    /// Ends when that may have come nearer.
    fn nearer(&self) -> impl Future<Output = ()> + Send {
        pending()
    }
}

/// One that stays.
impl Deadline for Instant {
    fn at(&self) -> Instant {
        *self
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
    D: Deadline,
{
    let share = Arc::clone(share);
    let mut others = Others::since_now();
    // Here, and not in the task: Tokio copies its tasks several times, and this is large.
    let mut task: Task = Box::pin(task);
    tokio::spawn(async move {
        let mut begins_here = !share.begins_there();
        loop {
            let mut warm = None;
            let in_the_way = || {
                // In any case: it counts turns. Where the background has work, nobody runs
                // long outside of it, for all shares are there.
                let others_here = others.had_a_turn();
                share.note_kept_turn(&meter);
                let used = meter.used_each();
                if used < QUANTUM {
                    warm = None;
                } else if warm.is_none() {
                    warm = Some(Warm::new(&share.app));
                }
                (others_here || share.shared.is_wanted()) && share.takes(used)
            };
            if begins_here {
                let left = poll_until(&mut task, in_the_way).await;
                share.learn(&meter);
                if left == Left::Nothing {
                    return;
                }
            }
            drop(warm);
            let back = share.run(Arc::clone(&meter), &deadline, task).await;
            if !begins_here {
                share.learn(&meter);
            }
            begins_here = true;
            match back {
                Some(back) => task = back,
                None => return,
            }
            others = Others::since_now();
        }
    })
}

/// Counts a guest that has used a quantum and stays.
struct Warm(Arc<App>);

impl Warm {
    fn new(app: &Arc<App>) -> Self {
        app.warm.fetch_add(1, Relaxed);
        Self(Arc::clone(app))
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        self.0.warm.fetch_sub(1, Relaxed);
    }
}

thread_local! {
    /// Turns of guests on this thread; in the background nobody counts.
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

/// A guest's task. A panic while it is dropped stays its own: to the background's thread
/// it would be the end of the process.
struct Contained(Option<Task>);

impl Drop for Contained {
    fn drop(&mut self) {
        let task = self.0.take();
        if catch_unwind(AssertUnwindSafe(|| drop(task))).is_err() {
            tracing::error!("the host failed while it cleaned up after a call");
        }
    }
}

/// Has a task's next turn come before all others: when its time is over, and when this is
/// dropped, because then nobody wants it any more.
struct Hurry<'a> {
    share: &'a Share,
    hurried: Arc<AtomicBool>,
    ended: bool,
}

impl Hurry<'_> {
    fn now(&self) {
        if !self.hurried.swap(true, Relaxed) {
            let hurried = |runnable: &Runnable<Ticket>| runnable.metadata().hurried.load(Relaxed);
            let mut state = self.share.shared.state();
            state.queue.prefer(self.share.key, hurried);
        }
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.now();
        }
    }
}

impl Share {
    /// Whether a guest that has used so much is to move to the background.
    fn takes(&self, used: Duration) -> bool {
        let shared = &self.shared;
        let crowded = || self.app.warm.load(Relaxed) > shared.threads;
        used >= HEAVY || (used >= QUANTUM && (shared.idle.load(Relaxed) > 0 || crowded()))
    }

    /// Runs a task in the background; gives it back when it is light again.
    async fn run(
        self: &Arc<Self>,
        meter: Arc<Meter>,
        deadline: &impl Deadline,
        task: Task,
    ) -> Option<Task> {
        // Dropped after the task is, whose last turn is queued by then.
        let mut hurry = Hurry {
            share: self,
            hurried: Arc::default(),
            ended: false,
        };
        let ticket = Ticket {
            home: Handle::current(),
            share: Arc::clone(self),
            meter: Arc::clone(&meter),
            hurried: Arc::clone(&hurry.hurried),
            counted: AtomicBool::new(false),
        };
        let mut held = Contained(Some(task));
        let share = Arc::clone(self);
        let (runnable, mut task) = async_task::Builder::new()
            // A panic is the guest's caller's to hear of, not the thread's.
            .propagate_panic(true)
            .metadata(ticket)
            .spawn(
                |_ticket| async move {
                    let task = held.0.as_mut()?;
                    // Its count begins anew when it serves the next request.
                    let is_light = || {
                        share.note_kept_turn(&meter);
                        meter.used_each() < QUANTUM && !share.begins_there()
                    };
                    match poll_until(task, is_light).await {
                        Left::Nothing => None,
                        // Contained until it is taken: that may be never.
                        Left::Unfinished => Some(held),
                    }
                },
                |runnable: Runnable<Ticket>| {
                    let shared = Arc::clone(&runnable.metadata().share.shared);
                    shared.push(runnable);
                },
            );
        runnable.schedule();
        let mut not_before = Instant::now();
        loop {
            tokio::select! {
                biased;
                back = &mut task => {
                    hurry.ended = true;
                    return back.and_then(|mut held| held.0.take());
                }
                // The next turn of the loop looks at it.
                () = deadline.nearer() => {}
                () = tokio::time::sleep_until(deadline.at().max(not_before).into()) => {
                    // Another one may have come meanwhile. And an instance that serves
                    // others, too, goes on when the time of one is over.
                    if deadline.at() <= Instant::now() {
                        hurry.now();
                        not_before = Instant::now() + HURRY_AGAIN;
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

    fn milliseconds(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// The app of this name, one for all its functions.
    fn app(&self, name: &str) -> Arc<App> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(app) = apps.get(name).and_then(Weak::upgrade) {
            return app;
        }
        // Those that are gone go before the table grows.
        if apps.len() == apps.capacity() {
            apps.retain(|_, app| app.strong_count() > 0);
        }
        let app = Arc::new(App::default());
        apps.insert(name.into(), Arc::downgrade(&app));
        app
    }

    /// Whether anybody wants a turn in the background.
    fn is_wanted(&self) -> bool {
        self.wanting.load(Relaxed) > 0
    }

    fn push(&self, runnable: Runnable<Ticket>) {
        let ticket = runnable.metadata();
        let (key, is_hurried) = (ticket.share.key, ticket.hurried.load(Relaxed));
        let is_fresh = ticket.begin_wait();
        self.wanting.fetch_add(1, Relaxed);
        let queue = &mut self.state().queue;
        if is_hurried {
            queue.push_first(key, runnable);
        } else if is_fresh {
            queue.push_fresh(key, runnable);
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
            let ticket = runnable.metadata();
            ticket.hurried.store(false, Relaxed);
            ticket.end_wait();
            let (home, share) = (ticket.home.clone(), Arc::clone(&ticket.share));
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
        let mut patience = GIVE_BACK;
        let mut state = self.state();
        loop {
            if state.stop {
                return None;
            }
            if let Some(next) = state.queue.pop() {
                return Some(next);
            }
            self.idle.fetch_add(1, Relaxed);
            let (held, waited) = self
                .more
                .wait_timeout(state, patience)
                .unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Relaxed);
            state = held;
            if waited.timed_out() && patience == GIVE_BACK {
                patience = Duration::MAX;
                drop(state);
                give_back_free_pages();
                state = self.state();
            }
        }
    }
}

#[cfg(test)]
mod tests;
