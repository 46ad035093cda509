//! Who may start, who waits, who is sent away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Limits;
use crate::problem::{Limit, Problem};

/// How fast the usual length of a call follows the lengths of calls: each counts for one in so
/// many.
const FOLLOWS: u64 = 8;

/// Lets so many calls run and so many wait.
#[derive(Debug)]
pub(crate) struct Admission {
    permits: Arc<Semaphore>,
    concurrency: u32,
    queue: u32,
    waiting: AtomicU32,
    /// How long a call usually has its place, in nanoseconds; 0 while that is not known.
    usual: AtomicU64,
}

/// A call's place among those that run. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.learn(self.since.elapsed());
    }
}

struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(limits.concurrency as usize)),
            concurrency: limits.concurrency,
            queue: limits.queue,
            waiting: AtomicU32::new(0),
            usual: AtomicU64::new(0),
        })
    }

    /// Waits for a place, at most until the deadline, which is so long after the
    /// call's arrival. A call that would probably wait for longer is sent away at once:
    /// its client can go elsewhere, and those who wait already are served the sooner.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        now: Instant,
        deadline: Instant,
        wall: Duration,
    ) -> Result<Permit, Problem> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(self.permit(now, permit));
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let expected = self.expected(ahead);
        if ahead >= self.queue {
            let (running, queue) = (self.concurrency, self.queue);
            let detail = format!("{running} calls of this function run and {queue} wait already");
            let problem = Problem::limit(Limit::Concurrency, running, detail);
            return Err(problem.retry_after(expected.unwrap_or_default()));
        }
        let left = deadline.saturating_duration_since(now);
        if let Some(expected) = expected.filter(|expected| *expected > left) {
            let running = self.concurrency;
            let detail = format!(
                "the call would wait about {expected:.1?} for its turn, and has {left:.1?}"
            );
            let problem = Problem::limit(Limit::Concurrency, running, detail);
            return Err(problem.retry_after(expected - left));
        }
        let turn = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout_at(deadline.into(), turn).await {
            Ok(Ok(permit)) => Ok(self.permit(Instant::now(), permit)),
            Ok(Err(_closed)) => Err(Problem::draining()),
            Err(_elapsed) => {
                let value = format!("{wall:?}");
                let detail = format!("the call waited for its turn for all of its {value}");
                Err(Problem::limit(Limit::Wall, value, detail))
            }
        }
    }

    fn permit(self: &Arc<Self>, since: Instant, permit: OwnedSemaphorePermit) -> Permit {
        Permit {
            admission: Arc::clone(self),
            since,
            _permit: permit,
        }
    }

    /// How long a call waits that has so many ahead of it, if they take as long as usual. `None`
    /// before any has ended.
    fn expected(&self, ahead: u32) -> Option<Duration> {
        let usual = Duration::from_nanos(self.usual.load(Ordering::Relaxed));
        let turns = f64::from(ahead + 1) / f64::from(self.concurrency.max(1));
        (!usual.is_zero()).then(|| usual.mul_f64(turns))
    }

    /// A call had its place for so long.
    fn learn(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let usual = self.usual.load(Ordering::Relaxed);
        // Calls that end at the same moment may overwrite each other: it is an estimate.
        self.usual.store(
            match usual {
                0 => took,
                usual => (usual - usual / FOLLOWS + took / FOLLOWS).max(1),
            },
            Ordering::Relaxed,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;

    fn admission(concurrency: u32, queue: u32) -> Arc<Admission> {
        Admission::new(&Limits {
            concurrency,
            queue,
            ..Limits::default()
        })
    }

    async fn enter(
        admission: &Arc<Admission>,
        deadline: Instant,
        wall: Duration,
    ) -> Result<Permit, Problem> {
        admission.enter(Instant::now(), deadline, wall).await
    }

    #[test]
    fn a_wait_is_expected_to_be_as_long_as_calls_are() {
        let admission = admission(4, 100);
        assert_eq!(admission.expected(0), None);
        admission.learn(Duration::from_millis(800));
        for (ahead, millis) in [(0, 200), (3, 800), (11, 2400)] {
            let expected = Duration::from_millis(millis);
            assert_eq!(admission.expected(ahead), Some(expected), "{ahead}");
        }
        // It follows what calls take now.
        for _ in 0..100 {
            admission.learn(Duration::from_millis(80));
        }
        let expected = admission.expected(3).expect("known");
        assert!(expected.abs_diff(Duration::from_millis(80)) < Duration::from_millis(1));
        // Nothing overflows.
        admission.learn(Duration::MAX);
        assert!(admission.expected(u32::MAX - 1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_too_long_is_sent_away_at_once() {
        let admission = admission(1, 100);
        admission.learn(Duration::from_secs(4));
        let now = Instant::now();
        let within = |seconds| now + Duration::from_secs(seconds);
        let _first = admission
            .enter(now, within(1), Duration::MAX)
            .await
            .expect("runs");
        let refused = admission
            .enter(now, within(3), Duration::MAX)
            .await
            .expect_err("is sent away");
        assert_eq!(
            refused.to_string(),
            "limit concurrency (1): the call would wait about 4.0s for its turn, and has 3.0s"
        );
        let answer = refused.into_response(&crate::RequestId::new("id"));
        assert_eq!(answer.headers()["retry-after"], "1");
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
        // One that has the time waits.
        let waits = admission.enter(now, within(5), Duration::MAX);
        let waited = tokio::time::timeout(Duration::from_secs(1), waits).await;
        assert!(waited.is_err(), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn runs_queues_and_sheds() {
        let admission = admission(1, 1);
        let soon = Instant::now() + Duration::from_secs(5);
        let first = enter(&admission, soon, Duration::MAX).await.expect("runs");
        let second = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { enter(&admission, soon, Duration::MAX).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 1);
        let third = enter(&admission, soon, Duration::MAX)
            .await
            .expect_err("is shed");
        assert_eq!(third.limit_reached(), Some(Limit::Concurrency));
        assert_eq!(third.status(), 503);
        drop(first);
        let turn = second.await.expect("no panic").expect("gets its turn");
        drop(turn);
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_the_deadline() {
        let admission = admission(1, 1);
        let soon = Instant::now() + Duration::from_millis(50);
        let _first = enter(&admission, soon, Duration::MAX).await.expect("runs");
        let wall = Duration::from_millis(50);
        let second = enter(&admission, soon, wall).await.expect_err("times out");
        let value = "50ms".to_owned();
        let limit = Limit::Wall;
        assert_eq!(*second.kind(), Kind::Limit { limit, value });
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn no_queue_sheds_at_once() {
        let admission = admission(1, 0);
        let soon = Instant::now() + Duration::from_secs(5);
        let _first = enter(&admission, soon, Duration::MAX).await.expect("runs");
        let second = enter(&admission, soon, Duration::MAX)
            .await
            .expect_err("is shed");
        assert_eq!(second.limit_reached(), Some(Limit::Concurrency));
    }
}
