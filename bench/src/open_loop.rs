//! Load in open loop: a request is sent when it is due, whatever became of those before, and its
//! latency counts from when it was due. So a server that stands still for a second is seen to
//! have kept a second's requests waiting, and not only the one that it was working on.
//!
//! Where all connections are waiting, what is due waits for the first that is free.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::{Client, Outcomes, Target};

/// How long the last answers may take beyond the measured time.
const PATIENCE: Duration = Duration::from_secs(30);
/// The shortest sleep between two requests: what is due in it goes out together.
const NAP: Duration = Duration::from_millis(1);

/// What is asked, and how often.
pub(crate) struct OpenLoop<'a> {
    pub(crate) target: &'a Target,
    /// Requests a second.
    pub(crate) rate: u32,
    /// Time before what is counted.
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    /// Requests that may be under way at once.
    pub(crate) connections: usize,
    /// What the body of a good answer must be, if that is known.
    pub(crate) body: Option<&'static [u8]>,
}

/// What was seen in the measured time. Times in nanoseconds, in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// From when a request was due until its answer had been read; of good answers only.
    pub(crate) latencies: Vec<u64>,
    /// From when a request was due until it was sent, for want of a connection or of CPU time for
    /// the load itself.
    pub(crate) late: Vec<u64>,
    /// Requests that should have been sent.
    pub(crate) due: u64,
    pub(crate) sent: u64,
    /// Of all that were due: `not sent` and `not answered` stand among them.
    pub(crate) outcomes: Outcomes,
}

impl Seen {
    /// Requests without a good answer.
    pub(crate) fn failed(&self) -> u64 {
        self.due.saturating_sub(self.latencies.len() as u64)
    }
}

/// When requests are due, evenly.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    begin: Instant,
    rate: u32,
    count: u64,
}

const SECOND: u128 = 1_000_000_000;

impl Schedule {
    fn new(begin: Instant, rate: u32, window: Duration) -> Self {
        Self {
            begin,
            rate,
            count: number(window.as_nanos() * u128::from(rate) / SECOND),
        }
    }

    /// When the request of this number (from 0) is due.
    fn at(&self, request: u64) -> Instant {
        let after = u128::from(request) * SECOND / u128::from(self.rate);
        self.begin + Duration::from_nanos(number(after))
    }

    /// How many requests are due by then.
    fn due(&self, now: Instant) -> u64 {
        let Some(after) = now.checked_duration_since(self.begin) else {
            return 0;
        };
        let due = after.as_nanos() * u128::from(self.rate) / SECOND + 1;
        number(due).min(self.count)
    }
}

fn number(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// What the connections share.
struct Shared {
    schedule: Schedule,
    /// Requests that belong to the warm-up.
    first: u64,
    /// One for each request that is due and not yet sent.
    tickets: Semaphore,
    next: AtomicU64,
    body: Option<&'static [u8]>,
    seen: Mutex<Seen>,
}

/// Asks, and waits for all answers.
///
/// # Errors
/// When a connection cannot be made beforehand.
pub(crate) async fn run(load: &OpenLoop<'_>) -> Result<Seen> {
    let mut clients = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let mut client = Client::new(load.target);
        let opened = client.open().await;
        opened.map_err(|failure| anyhow!("{}: {failure}", load.target.host))?;
        clients.push(client);
    }
    let end = load.warm_up + load.window;
    let schedule = Schedule::new(Instant::now(), load.rate, end);
    let first = Schedule::new(schedule.begin, load.rate, load.warm_up).count;
    let shared = Arc::new(Shared {
        schedule,
        first,
        tickets: Semaphore::new(0),
        next: AtomicU64::new(0),
        body: load.body,
        seen: Mutex::default(),
    });
    let mut connections = JoinSet::new();
    for client in clients {
        connections.spawn(connection(client, Arc::clone(&shared)));
    }
    let closing = Closing(Arc::clone(&shared));
    let issuing = Arc::clone(&shared);
    tokio::task::spawn_blocking(move || issue(&issuing)).await?;
    // Whoever waits for a ticket ends now, and who has one when it is done.
    drop(closing);
    let all = async { while connections.join_next().await.is_some() {} };
    // What was not answered by then is counted as such.
    let _ = tokio::time::timeout(PATIENCE, all).await;
    connections.shutdown().await;

    let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seen = std::mem::take(&mut *seen);
    seen.due = schedule.count - first;
    seen.sent = shared.next.load(Ordering::Relaxed).saturating_sub(first);
    let answered = seen.outcomes.total();
    seen.outcomes.add("not sent", seen.due - seen.sent);
    seen.outcomes.add("not answered", seen.sent - answered);
    seen.latencies.sort_unstable();
    seen.late.sort_unstable();
    Ok(seen)
}

async fn connection(mut client: Client, shared: Arc<Shared>) {
    while let Ok(ticket) = shared.tickets.acquire().await {
        ticket.forget();
        let request = shared.next.fetch_add(1, Ordering::Relaxed);
        let due = shared.schedule.at(request);
        let late = due.elapsed();
        let outcome = client.ask().await;
        let latency = due.elapsed();
        if request < shared.first {
            continue;
        }
        let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.late.push(number(late.as_nanos()));
        if shared.body.is_some_and(|body| body != client.body()) && matches!(outcome, Ok(200)) {
            seen.outcomes.add("another body", 1);
            continue;
        }
        if matches!(outcome, Ok(200)) {
            seen.latencies.push(number(latency.as_nanos()));
        }
        seen.outcomes.count(&outcome);
    }
}

/// Gives out tickets as requests become due. On a thread of its own, which sleeps: the runtime's
/// timers count whole milliseconds, and what is sent late would look like a slow answer.
fn issue(shared: &Shared) {
    let schedule = shared.schedule;
    let mut issued = 0;
    while issued < schedule.count && !shared.tickets.is_closed() {
        let now = Instant::now();
        let due = schedule.due(now);
        let new = usize::try_from(due - issued).unwrap_or(usize::MAX);
        shared.tickets.add_permits(new);
        issued = due;
        let next = schedule.at(issued).max(now + NAP);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Ends the giving out of tickets, also when nobody waits for the end.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.tickets.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::{GOOD, server};

    #[test]
    fn requests_are_due_evenly() {
        let begin = Instant::now();
        let schedule = Schedule::new(begin, 20, Duration::from_secs(3));
        assert_eq!(schedule.count, 60);
        let milliseconds = |after| begin + Duration::from_millis(after);
        assert_eq!(schedule.at(0), begin);
        assert_eq!(schedule.at(21), milliseconds(1050));
        for (after, due) in [(0, 1), (49, 1), (50, 2), (1049, 21), (2950, 60), (9000, 60)] {
            assert_eq!(schedule.due(milliseconds(after)), due, "{after} ms");
        }
        if let Some(before) = begin.checked_sub(Duration::from_millis(1)) {
            assert_eq!(schedule.due(before), 0);
        }
    }

    #[test]
    fn a_request_is_due_when_its_time_has_come_at_any_rate() {
        let begin = Instant::now();
        for rate in [1, 3, 7, 999, 5000, 30_011] {
            let schedule = Schedule::new(begin, rate, Duration::from_secs(2));
            for request in 0..schedule.count {
                let due = schedule.due(schedule.at(request) + Duration::from_nanos(1));
                assert_eq!(due, request + 1, "{rate} a second");
            }
        }
    }

    async fn load(target: &Target, connections: usize, body: &'static [u8]) -> Seen {
        run(&OpenLoop {
            target,
            rate: 200,
            warm_up: Duration::from_millis(20),
            window: Duration::from_millis(80),
            connections,
            body: Some(body),
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn every_request_that_was_due_is_accounted_for() {
        let target = server(GOOD, usize::MAX, Duration::ZERO).await;
        let seen = load(&target, 4, b"hi").await;
        // Those of the warm-up are not.
        assert_eq!(seen.due, 16);
        assert_eq!(seen.outcomes.total(), 16);
        assert_eq!(seen.sent + seen.outcomes.of("not sent"), 16);
        assert_eq!(seen.latencies.len() as u64, seen.outcomes.of("200"));
        assert_eq!(seen.failed(), 16 - seen.outcomes.of("200"));
        assert!(seen.latencies.is_sorted() && seen.late.is_sorted());
        let seen = load(&target, 4, b"ho").await;
        assert_eq!(seen.outcomes.of("another body"), seen.sent);
        assert_eq!(seen.failed(), 16);
    }

    #[tokio::test]
    async fn waiting_for_a_connection_counts_as_latency() {
        // One connection that takes 40 ms an answer: what is due every 5 ms waits for those
        // before, and the time from when it was due shows that.
        let each = Duration::from_millis(40);
        let target = server(GOOD, usize::MAX, each).await;
        let seen = run(&OpenLoop {
            target: &target,
            rate: 200,
            warm_up: Duration::ZERO,
            window: Duration::from_millis(100),
            connections: 1,
            body: Some(b"hi"),
        })
        .await
        .unwrap();
        assert!(seen.sent > 1, "{seen:?}");
        assert_eq!(seen.outcomes.of("not sent"), 20 - seen.sent);
        for (nth, latency) in (1_u32..).zip(&seen.latencies) {
            let least = each * nth - Duration::from_millis(5) * (nth - 1);
            assert!(u128::from(*latency) >= least.as_nanos(), "{seen:?}");
        }
    }
}
