//! Who may start, who waits, who is sent away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Limits;
use crate::problem::{Limit, Problem};

/// A call's place among those that run. Given back when dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

/// Lets so many calls run and so many wait.
#[derive(Debug)]
pub(crate) struct Admission {
    permits: Arc<Semaphore>,
    concurrency: u32,
    queue: u32,
    waiting: AtomicU32,
}

struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.concurrency as usize)),
            concurrency: limits.concurrency,
            queue: limits.queue,
            waiting: AtomicU32::new(0),
        }
    }

    /// Waits for a place, at most until the deadline, which is so long after the
    /// call's arrival.
    pub(crate) async fn enter(&self, deadline: Instant, wall: Duration) -> Result<Permit, Problem> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue {
            drop(Waiting(&self.waiting));
            let (running, queue) = (self.concurrency, self.queue);
            return Err(Problem::limit(
                Limit::Concurrency,
                running,
                format!("{running} calls of this function run and {queue} wait already"),
            ));
        }
        let _waiting = Waiting(&self.waiting);
        let turn = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout_at(deadline.into(), turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_closed)) => Err(Problem::draining()),
            Err(_elapsed) => {
                let value = format!("{wall:?}");
                let detail = format!("the call waited for its turn for all of its {value}");
                Err(Problem::limit(Limit::Wall, value, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;

    fn admission(concurrency: u32, queue: u32) -> Admission {
        Admission::new(&Limits {
            concurrency,
            queue,
            ..Limits::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn runs_queues_and_sheds() {
        let admission = Arc::new(admission(1, 1));
        let soon = Instant::now() + Duration::from_secs(5);
        let first = admission.enter(soon, Duration::MAX).await.expect("runs");
        let second = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.enter(soon, Duration::MAX).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 1);
        let third = admission
            .enter(soon, Duration::MAX)
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
        let _first = admission.enter(soon, Duration::MAX).await.expect("runs");
        let wall = Duration::from_millis(50);
        let second = admission.enter(soon, wall).await.expect_err("times out");
        let value = "50ms".to_owned();
        let limit = Limit::Wall;
        assert_eq!(*second.kind(), Kind::Limit { limit, value });
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn no_queue_sheds_at_once() {
        let admission = admission(1, 0);
        let soon = Instant::now() + Duration::from_secs(5);
        let _first = admission.enter(soon, Duration::MAX).await.expect("runs");
        let second = admission
            .enter(soon, Duration::MAX)
            .await
            .expect_err("is shed");
        assert_eq!(second.limit_reached(), Some(Limit::Concurrency));
    }
}
