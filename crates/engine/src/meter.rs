//! CPU time of one instance, and the turns it takes.
//!
//! The future that drives an instance is wrapped by [`Meter::drive`]; the epoch
//! callback asks [`Meter::on_tick`] whether the guest may go on. Reading a
//! thread's CPU clock is a system call (about 0.7 µs), too much for each poll of
//! a short request. So an instance is measured by the monotonic clock until it has used
//! [`LIGHT`]; from then on by the CPU clock, whose cost is small against a quantum. A poll of a
//! light one that takes longer than [`LIGHT_POLL`] either needs that, or did not have the processor
//! for all of it: which, the CPU clock tells, that each thread has read not long before.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::ticker::Ticker;

/// How long a guest runs before another one gets its turn.
pub(crate) const QUANTUM: Duration = Duration::from_millis(1);
/// Use below which the monotonic clock is good enough.
const LIGHT: Duration = Duration::from_millis(1);
/// How long a poll of a light instance counts as what it takes, and how much it counts at least if
/// it takes longer, so that one whose polls are all like that is light for a few of them only.
const LIGHT_POLL: Duration = Duration::from_micros(250);
/// How many requests at once are told apart from one that needs long, at most: with more, that
/// would be in the way of others for long before it counts as such.
const AT_ONCE: u32 = 64;
/// CPU time between two ticks that a guest takes at most if they reach it: one that takes more was
/// in one long operation (`memory.fill`), which kept others waiting.
const LONG_OPERATION: Duration = Duration::from_millis(4);

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

fn monotonic_nanos() -> u64 {
    u64::try_from(BASE.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn thread_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanos
}

/// The CPU time that this thread has used.
pub(crate) fn thread_cpu_time() -> Duration {
    Duration::from_nanos(thread_cpu_nanos())
}

thread_local! {
    /// When this thread's CPU clock was read last, by the monotonic clock, and what it said.
    static READING: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Reads the thread's CPU clock if that was not done within the last quantum.
fn refresh_reading(now: u64) {
    let (at, _) = READING.get();
    if at == 0 || now.saturating_sub(at) >= nanos(QUANTUM) {
        READING.set((now, thread_cpu_nanos()));
    }
}

/// CPU time of this thread from `started` until now, by the monotonic clock: at most a quantum too
/// little, if the reading was fresh then.
fn cpu_since(started: u64) -> u64 {
    let (at, cpu) = READING.get();
    let before = started.saturating_sub(at);
    thread_cpu_nanos()
        .saturating_sub(cpu)
        .saturating_sub(before)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the epoch callback is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The guest's turn is not over.
    GoOn,
    /// Others get a turn first.
    Yield,
    /// The CPU limit is reached.
    Stop,
}

/// Counts one instance's CPU time. One thread at a time counts, the one that polls the
/// instance; others look at what was counted, or have it begin anew.
#[derive(Debug)]
pub(crate) struct Meter {
    limit: u64,
    used: AtomicU64,
    /// What was used for requests that do not count any more as those of late.
    past: AtomicU64,
    /// Requests of late, where an instance serves several at once.
    requests: AtomicU32,
    is_for_several: bool,
    poll_started: AtomicU64,
    /// Zero while the instance is light.
    poll_started_cpu: AtomicU64,
    /// CPU time of the current poll at its last tick.
    at_tick: AtomicU64,
    /// CPU time of operations that were [long](LONG_OPERATION).
    overran: AtomicU64,
}

impl Meter {
    pub(crate) fn new(limit: Duration) -> Arc<Self> {
        Self::of(limit, false)
    }

    /// For an instance that serves several requests, which are [counted](Self::count_request).
    pub(crate) fn for_several(limit: Duration) -> Arc<Self> {
        Self::of(limit, true)
    }

    fn of(limit: Duration, is_for_several: bool) -> Arc<Self> {
        Arc::new(Self {
            limit: nanos(limit),
            used: AtomicU64::new(0),
            past: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            is_for_several,
            poll_started: AtomicU64::new(0),
            poll_started_cpu: AtomicU64::new(0),
            at_tick: AtomicU64::new(0),
            overran: AtomicU64::new(0),
        })
    }

    /// CPU time used, the current poll included.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Relaxed) + self.current_poll())
    }

    /// Starts the count anew, for an instance that serves its requests one
    /// after the other.
    pub(crate) fn reset(&self) {
        self.used.store(0, Relaxed);
        self.past.store(0, Relaxed);
        self.requests.store(0, Relaxed);
        self.overran.store(0, Relaxed);
    }

    /// What a request used. Of those that an instance serves at once nobody can tell which used how
    /// much, so each counts as much as the others of late.
    pub(crate) fn used_each(&self) -> Duration {
        let past = Duration::from_nanos(self.past.load(Relaxed));
        self.used().saturating_sub(past) / self.requests.load(Relaxed).max(1)
    }

    /// One more request, for an instance that serves so many at once: twice as many are of late,
    /// and at most twice [`AT_ONCE`], then half of them are not any more, with half of what was
    /// used. To be called by one thread at a time.
    pub(crate) fn count_request(&self, at_once: u32) {
        let requests = self.requests.load(Relaxed) + 1;
        if requests < 2 * at_once.clamp(1, AT_ONCE) {
            self.requests.store(requests, Relaxed);
            return;
        }
        self.requests.store(requests / 2, Relaxed);
        let past = self.past.load(Relaxed);
        let late = self.used.load(Relaxed).saturating_sub(past);
        self.past.store(past + late / 2, Relaxed);
    }

    pub(crate) fn is_for_several(&self) -> bool {
        self.is_for_several
    }

    /// Whether half of the limit is used, the current poll not counted: that may be
    /// another thread's, whose clock nobody can read here.
    pub(crate) fn is_half_used(&self) -> bool {
        self.used.load(Relaxed) >= self.limit / 2
    }

    fn current_poll(&self) -> u64 {
        match (
            self.poll_started.load(Relaxed),
            self.poll_started_cpu.load(Relaxed),
        ) {
            (0, _) => 0,
            (started, 0) => {
                let elapsed = monotonic_nanos().saturating_sub(started);
                if elapsed <= nanos(LIGHT_POLL) {
                    elapsed
                } else {
                    cpu_since(started).clamp(nanos(LIGHT_POLL), elapsed)
                }
            }
            (_, started) => thread_cpu_nanos().saturating_sub(started),
        }
    }

    fn enter(&self) {
        let light = self.used.load(Relaxed) < nanos(LIGHT);
        // At least 1: zero says that no poll is going on.
        let now = monotonic_nanos().max(1);
        self.poll_started.store(now, Relaxed);
        self.at_tick.store(0, Relaxed);
        if light {
            refresh_reading(now);
        }
        let cpu = if light { 0 } else { thread_cpu_nanos().max(1) };
        self.poll_started_cpu.store(cpu, Relaxed);
    }

    fn leave(&self) {
        let poll = self.current_poll();
        self.used.fetch_add(poll, Relaxed);
        self.poll_started.store(0, Relaxed);
        self.look_for_long_operation(poll);
    }

    /// A tick has reached the guest, or its poll is over, after so much CPU time of it.
    fn look_for_long_operation(&self, poll: u64) {
        let operation = poll.saturating_sub(self.at_tick.load(Relaxed));
        if operation >= nanos(LONG_OPERATION) {
            self.overran.fetch_add(operation, Relaxed);
        }
        self.at_tick.store(poll, Relaxed);
    }

    /// CPU time of long operations since this was asked last, if there was one.
    pub(crate) fn take_overran(&self) -> Option<Duration> {
        if self.overran.load(Relaxed) == 0 {
            return None;
        }
        Some(Duration::from_nanos(self.overran.swap(0, Relaxed)))
    }

    pub(crate) fn on_tick(&self) -> Turn {
        let poll = self.current_poll();
        self.look_for_long_operation(poll);
        if self.used.load(Relaxed).saturating_add(poll) >= self.limit {
            return Turn::Stop;
        }
        let started = self.poll_started.load(Relaxed);
        if monotonic_nanos().saturating_sub(started) < nanos(QUANTUM) {
            Turn::GoOn
        } else {
            Turn::Yield
        }
    }

    /// Polls a future, counting what each poll uses; the ticker runs meanwhile.
    pub(crate) async fn drive<F: Future>(&self, ticker: &Ticker, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let _turn = ticker.turn();
            self.enter();
            let poll = future.as_mut().poll(cx);
            self.leave();
            match poll {
                Poll::Ready(output) => Poll::Ready(output),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(for_: Duration) {
        let start = thread_cpu_nanos();
        while thread_cpu_nanos() - start < nanos(for_) {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn counts_cpu_time_and_not_sleep() {
        let meter = Meter::new(Duration::from_secs(1));
        meter.used.store(nanos(LIGHT), Relaxed);
        meter.enter();
        std::thread::sleep(Duration::from_millis(30));
        spin(Duration::from_millis(5));
        meter.leave();
        let used = meter.used() - LIGHT;
        assert!(used >= Duration::from_millis(5), "{used:?}");
        assert!(used < Duration::from_millis(30), "{used:?}");
    }

    #[test]
    fn a_light_poll_without_the_processor_counts_little() {
        let meter = Meter::new(Duration::from_secs(1));
        meter.enter();
        std::thread::sleep(Duration::from_millis(50));
        meter.leave();
        let used = meter.used();
        assert!(
            used >= LIGHT_POLL && used < Duration::from_millis(25),
            "{used:?}"
        );
        assert_eq!(meter.take_overran(), None);
    }

    #[test]
    fn a_long_poll_of_a_light_one_counts_as_what_it_takes() {
        let meter = Meter::new(Duration::from_secs(1));
        // The reading is from before, and this thread has worked since.
        refresh_reading(monotonic_nanos());
        spin(Duration::from_micros(500));
        meter.enter();
        spin(Duration::from_millis(20));
        meter.leave();
        let used = meter.used();
        assert!(used >= Duration::from_millis(20) - QUANTUM, "{used:?}");
        let overran = meter.take_overran().expect("it was one long operation");
        assert!(
            overran >= Duration::from_millis(20) - QUANTUM,
            "{overran:?}"
        );
        assert_eq!(meter.take_overran(), None);
    }

    #[test]
    fn a_poll_that_ticks_reach_is_no_long_operation_however_long() {
        let meter = Meter::new(Duration::from_secs(1));
        meter.used.store(nanos(LIGHT), Relaxed);
        meter.enter();
        for _ in 0..5 {
            spin(QUANTUM);
            meter.on_tick();
        }
        meter.leave();
        assert_eq!(meter.take_overran(), None);
        meter.enter();
        spin(LONG_OPERATION);
        meter.on_tick();
        meter.leave();
        assert!(
            meter
                .take_overran()
                .is_some_and(|overran| overran >= LONG_OPERATION)
        );
    }

    #[test]
    fn what_a_poll_uses_counts_before_its_end_and_nothing_between_polls() {
        let meter = Meter::new(Duration::from_secs(1));
        let before = Duration::from_millis(5);
        meter.used.store(nanos(before), Relaxed);
        meter.enter();
        spin(Duration::from_millis(1));
        let used = meter.used();
        assert!(used >= before + Duration::from_millis(1), "{used:?}");
        meter.leave();
        let used = meter.used();
        spin(Duration::from_millis(1));
        assert_eq!(meter.used(), used);
    }

    #[test]
    fn the_cpu_clock_is_read_once_a_quantum() {
        let read_at = |now| {
            refresh_reading(now);
            READING.get().0
        };
        READING.set((1, 0));
        assert_eq!(read_at(nanos(QUANTUM)), 1);
        assert_eq!(read_at(nanos(QUANTUM) + 1), nanos(QUANTUM) + 1);
    }

    #[test]
    fn stops_at_the_limit_and_not_before() {
        let meter = Meter::new(Duration::from_millis(10));
        meter.used.store(nanos(Duration::from_millis(9)), Relaxed);
        meter.enter();
        // It may yield already, where others take this processor.
        assert_ne!(meter.on_tick(), Turn::Stop);
        spin(Duration::from_millis(1));
        assert_eq!(meter.on_tick(), Turn::Stop);
        meter.leave();
        meter.reset();
        meter.enter();
        assert_ne!(meter.on_tick(), Turn::Stop);
    }

    #[test]
    fn requests_at_once_used_as_much_each_and_old_ones_are_forgotten() {
        let meter = Meter::new(Duration::from_secs(1));
        let nanos = Duration::from_nanos;
        meter.used.store(1200, Relaxed);
        assert_eq!(meter.used_each(), nanos(1200));
        for each in [1200, 600, 400] {
            meter.count_request(2);
            assert_eq!(meter.used_each(), nanos(each));
        }
        // The fourth: of twice as many as there are at once half are left.
        meter.count_request(2);
        assert_eq!(meter.used_each(), nanos(300));
        meter.count_request(2);
        assert_eq!(meter.used_each(), nanos(200));
        meter.count_request(2);
        assert_eq!(meter.used_each(), nanos(150));
        // The limit is for all of it.
        assert_eq!(meter.used(), nanos(1200));
        meter.reset();
        meter.used.store(1200, Relaxed);
        assert_eq!(meter.used_each(), nanos(1200));
        // However many there may be at once, so many count.
        for _ in 0..1000 {
            meter.count_request(1024);
        }
        assert!((64..128).contains(&meter.requests.load(Relaxed)));
    }

    #[test]
    fn what_counts_anew_kept_no_turn() {
        let meter = Meter::new(Duration::from_secs(1));
        meter.overran.store(1, Relaxed);
        meter.reset();
        assert_eq!(meter.take_overran(), None);
    }

    #[test]
    fn half_of_the_limit_is_told() {
        let meter = Meter::new(Duration::from_millis(10));
        assert!(!meter.is_half_used());
        meter
            .used
            .store(nanos(Duration::from_millis(5)) - 1, Relaxed);
        assert!(!meter.is_half_used());
        meter.used.store(nanos(Duration::from_millis(5)), Relaxed);
        assert!(meter.is_half_used());
    }

    #[test]
    fn yields_after_a_quantum() {
        let meter = Meter::new(Duration::from_secs(10));
        meter.enter();
        // As if it had begun later than it did, so that this holds on a slow machine, too.
        let later = monotonic_nanos() + nanos(Duration::from_secs(60));
        meter.poll_started.store(later, Relaxed);
        assert_eq!(meter.on_tick(), Turn::GoOn);
        meter.enter();
        std::thread::sleep(QUANTUM);
        assert_eq!(meter.on_tick(), Turn::Yield);
    }
}
