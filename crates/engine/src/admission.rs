//! Who may start, who waits, who is sent away.
//!
//! How long a call would wait is reckoned from the pace at which places come back while calls wait:
//! the time of a round, in which as many come back as there are, since those that began together
//! end together. It is measured anew each time that calls begin to wait, so that what was slow an
//! hour ago sends nobody away, and neither does a long call that leaves the others their places.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Limits;
use crate::problem::{Limit, Problem};

/// How fast the pace follows what is seen: each round counts for one in so many.
const FOLLOWS: u32 = 4;

/// Longest time that a client is told to stay away for.
const LONGEST: Duration = Duration::from_secs(60);

/// Lets so many calls run and so many wait.
#[derive(Debug)]
pub(crate) struct Admission {
    permits: Arc<Semaphore>,
    concurrency: u32,
    queue: u32,
    waiting: AtomicU32,
    /// Touched only while calls wait.
    pace: Mutex<Pace>,
}

/// How fast places come back.
#[derive(Debug)]
struct Pace {
    /// How many make a round.
    places: u32,
    /// When this round began.
    since: Instant,
    /// How many have come back in it.
    came: u32,
    /// The time for each, in the rounds before.
    each: Option<Duration>,
}

impl Pace {
    fn new(places: u32, now: Instant) -> Self {
        Self {
            places: places.max(1),
            since: now,
            came: 0,
            each: None,
        }
    }

    fn came_back(&mut self, now: Instant) {
        self.came += 1;
        if self.came < self.places {
            return;
        }
        let seen = self.so_far(now);
        self.since = now;
        self.came = 0;
        self.each = Some(match self.each {
            None => seen,
            Some(each) => each - each / FOLLOWS + seen / FOLLOWS,
        });
    }

    /// What each takes at least, as this round goes.
    fn so_far(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since) / self.places
    }

    /// How long it takes until so many have come back. `None` before a round is over.
    fn time_of(&self, places: u32, now: Instant) -> Option<Duration> {
        // It has slowed down if this round takes longer.
        Some(self.each?.max(self.so_far(now)).saturating_mul(places))
    }
}

/// A call's place among those that run. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.admission.waiting.load(Ordering::Relaxed) > 0 {
            self.admission.pace().came_back(Instant::now());
        }
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
            pace: Mutex::new(Pace::new(limits.concurrency, Instant::now())),
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
            return Ok(self.permit(permit));
        }
        let ahead = self.begin_to_wait(now);
        let _waiting = Waiting(&self.waiting);
        self.is_worth_it(ahead, now, deadline)?;
        let turn = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout_at(deadline.into(), turn).await {
            Ok(Ok(permit)) => Ok(self.permit(permit)),
            Ok(Err(_closed)) => Err(Problem::draining()),
            Err(_elapsed) => {
                let value = format!("{wall:?}");
                let detail = format!("the call waited for its turn for all of its {value}");
                Err(Problem::limit(Limit::Wall, value, detail))
            }
        }
    }

    /// Counts one more that waits; how many were there before.
    fn begin_to_wait(&self, now: Instant) -> u32 {
        // Counted under the lock: the second one must not see the pace before the first one has
        // begun it anew.
        let mut pace = self.pace();
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        if ahead == 0 {
            *pace = Pace::new(self.concurrency, now);
        }
        ahead
    }

    /// Whether a call that has so many ahead of it is to wait.
    fn is_worth_it(&self, ahead: u32, now: Instant, deadline: Instant) -> Result<(), Problem> {
        let pace = self.pace();
        let running = self.concurrency;
        if ahead >= self.queue {
            let queue = self.queue;
            let detail = format!("{running} calls of this function run and {queue} wait already");
            let problem = Problem::limit(Limit::Concurrency, running, detail);
            let next = pace.time_of(1, now).unwrap_or_default();
            return Err(problem.retry_after(next.min(LONGEST)));
        }
        let left = deadline.saturating_duration_since(now);
        match pace.time_of(ahead.saturating_add(1), now) {
            Some(expected) if expected > left => {
                let detail = format!(
                    "the call would wait about {expected:.1?} for its turn, and has {left:.1?}"
                );
                let problem = Problem::limit(Limit::Concurrency, running, detail);
                Err(problem.retry_after((expected - left).min(LONGEST)))
            }
            _ => Ok(()),
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Permit {
        Permit {
            admission: Arc::clone(self),
            _permit: permit,
        }
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
    fn a_wait_is_as_long_as_places_take_to_come_back() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let time =
            |pace: &Pace, places, now| pace.time_of(places, at(now)).map(|it| it.as_millis());
        let mut pace = Pace::new(1, start);
        assert_eq!(time(&pace, 1, 900), None);
        pace.came_back(at(100));
        assert_eq!(time(&pace, 1, 100), Some(100));
        assert_eq!(time(&pace, 12, 100), Some(1200));
        // It follows what it sees.
        for step in 1..=50 {
            pace.came_back(at(100 + 20 * step));
        }
        let found = time(&pace, 10, 1100).expect("known");
        assert!((200..210).contains(&found), "{found}");
        // The next one is late.
        assert_eq!(time(&pace, 2, 1600), Some(1000));
        assert!(pace.time_of(u32::MAX, at(u64::MAX >> 32)).is_some());
    }

    #[test]
    fn those_that_began_together_end_together() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::new(64, start);
        // Of the first ones nobody knows how many follow.
        for step in 0..63 {
            pace.came_back(at(2000 + step / 8));
            assert_eq!(pace.time_of(64, at(2008)), None);
        }
        pace.came_back(at(2016));
        let seconds = |places, now| {
            let time = pace.time_of(places, at(now)).expect("known");
            time.as_secs_f64()
        };
        assert!((2.0..2.1).contains(&seconds(64, 2016)));
        // In the middle of the next one nothing comes back, which slows nobody down.
        assert!((0.1..0.2).contains(&seconds(4, 3500)));
        assert!((2.0..2.1).contains(&seconds(64, 4000)));
        // One that takes longer tells on all who wait.
        assert!((5.9..6.0).contains(&seconds(64, 8000)));
        assert!((0.3..0.4).contains(&seconds(4, 8000)));
    }

    #[test]
    fn each_round_has_all_its_places() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::new(4, start);
        for _ in 0..4 {
            pace.came_back(at(4000));
        }
        assert_eq!(pace.each, Some(Duration::from_secs(1)));
        // Those of the next one tell nothing before the last of them is back.
        for millis in [4001, 4002, 4003] {
            pace.came_back(at(millis));
            assert_eq!(pace.each, Some(Duration::from_secs(1)));
        }
        pace.came_back(at(4400));
        assert_eq!(pace.each, Some(Duration::from_millis(750 + 25)));
    }

    #[tokio::test]
    async fn the_pace_begins_anew_with_the_first_one_that_waits() {
        let admission = admission(1, 3);
        let now = Instant::now();
        admission.pace().each = Some(Duration::from_secs(3600));
        assert_eq!(admission.begin_to_wait(now), 0);
        let soon = now + Duration::from_secs(1);
        assert!(admission.is_worth_it(0, now, soon).is_ok());
        // What is seen from then on holds for those that follow.
        admission.pace().each = Some(Duration::from_secs(3600));
        assert_eq!(admission.begin_to_wait(now), 1);
        assert!(admission.is_worth_it(1, now, soon).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn places_that_come_back_while_calls_wait_make_the_pace() {
        let admission = admission(1, 1);
        let soon = Instant::now() + Duration::from_secs(5);
        // Nobody waits for this one.
        drop(enter(&admission, soon, Duration::MAX).await.expect("runs"));
        assert_eq!(admission.pace().each, None);
        let first = enter(&admission, soon, Duration::MAX).await.expect("runs");
        let second = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { enter(&admission, soon, Duration::MAX).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(admission.pace().each.is_some());
        assert!(second.await.expect("no panic").is_ok());
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_sent_away_at_once() {
        let admission = admission(1, 3);
        let now = Instant::now();
        let within = |seconds| now + Duration::from_secs(seconds);
        admission.waiting.fetch_add(1, Ordering::Relaxed);
        let pace = |seconds| Pace {
            each: Some(Duration::from_secs(seconds)),
            ..Pace::new(1, now)
        };
        *admission.pace() = pace(2);
        let refused = |ahead, seconds| {
            let refused = admission.is_worth_it(ahead, now, within(seconds));
            refused.map_err(|problem| {
                let text = problem.to_string();
                let answer = problem.into_response(&crate::RequestId::new("id"));
                (text, answer.headers()["retry-after"].clone())
            })
        };
        assert_eq!(refused(1, 4), Ok(()));
        let (text, later) = refused(1, 3).expect_err("is sent away");
        assert_eq!(
            text,
            "limit concurrency (1): the call would wait about 4.0s for its turn, and has 3.0s"
        );
        assert_eq!(later, "1");
        // A full queue has room for one when the next place comes back.
        let (text, later) = refused(3, 3600).expect_err("is sent away");
        assert_eq!(
            text,
            "limit concurrency (1): 1 calls of this function run and 3 wait already"
        );
        assert_eq!(later, "2");
        // However slow it is, nobody is told to stay away for long,
        *admission.pace() = pace(6000);
        assert_eq!(refused(2, 1).expect_err("is sent away").1, "60");
        assert_eq!(refused(3, 3600).expect_err("is sent away").1, "60");
        // or to come back at once, or too early.
        *admission.pace() = pace(0);
        assert_eq!(refused(3, 3600).expect_err("is sent away").1, "1");
        admission.pace().each = Some(Duration::from_millis(2500));
        assert_eq!(refused(3, 3600).expect_err("is sent away").1, "3");
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
