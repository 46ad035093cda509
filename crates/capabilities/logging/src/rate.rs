//! How many lines a function may write: so many a second, so many at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A leaky bucket: what is kept is the time at which it would be empty, in
/// nanoseconds since `start`, so that taking is one atomic update.
#[derive(Debug)]
pub(crate) struct Rate {
    start: Instant,
    empty_at: AtomicU64,
    /// Nanoseconds that one line takes to leak.
    line: u64,
    /// Nanoseconds that a full bucket takes to leak.
    full: u64,
}

impl Rate {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let line = 1_000_000_000 / u64::from(per_second.max(1));
        Self {
            start: Instant::now(),
            empty_at: AtomicU64::new(0),
            line,
            full: line.saturating_mul(u64::from(burst.max(1))),
        }
    }

    /// Whether a line may be written now.
    pub(crate) fn take(&self) -> bool {
        self.take_at(self.start.elapsed())
    }

    fn take_at(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.empty_at
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |empty_at| {
                let filled = empty_at.max(now).saturating_add(self.line);
                (filled - now <= self.full).then_some(filled)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rate: &Rate, now: Duration) -> usize {
        (0..10_000).take_while(|_| rate.take_at(now)).count()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate::new(1000, 50);
        assert_eq!(taken(&rate, Duration::ZERO), 50);
        assert_eq!(taken(&rate, Duration::from_micros(999)), 0);
        assert_eq!(taken(&rate, Duration::from_millis(20)), 20);
        // However long nobody wrote: no more than a burst.
        assert_eq!(taken(&rate, Duration::from_secs(3600)), 50);
    }

    #[test]
    fn nothing_is_taken_as_one() {
        let rate = Rate::new(0, 0);
        assert_eq!(taken(&rate, Duration::ZERO), 1);
        assert_eq!(taken(&rate, Duration::from_millis(999)), 0);
        assert_eq!(taken(&rate, Duration::from_secs(1)), 1);
    }
}
