//! Time that goes on when the test says so, and names that are the same each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::Clock;

/// A clock that stands.
#[derive(Debug, Default)]
pub(super) struct Still {
    seconds: AtomicU64,
    count: AtomicU64,
}

impl Still {
    pub(super) fn new() -> Arc<Self> {
        let still = Self::default();
        still.seconds.store(1_700_000_000, Ordering::Relaxed);
        Arc::new(still)
    }

    pub(super) fn advance(&self, by: Duration) {
        self.seconds.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

impl Clock for Still {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }

    fn id(&self) -> Uuid {
        // In no order, as names of several machines would be.
        let count = u128::from(self.count.fetch_add(1, Ordering::Relaxed) + 1);
        Uuid::from_u128(count.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }
}
