//! Gives memory back to the system when much less of it is used than was.
//!
//! What requests held is counted in the memory budget while they hold it. When they are
//! gone the budget gives it to others, so the allocator must not keep it.

use std::sync::Arc;
use std::time::Duration;

use strand_engine::{MemoryBudget, give_back_free_pages};

/// How often the use is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes by which the use has to have fallen to be worth the while.
const WORTH: u64 = 32 << 20;

/// The most that was used since memory was given back.
#[derive(Debug, Default)]
struct HighWater(u64);

impl HighWater {
    /// Whether the use has fallen so far that memory is to be given back.
    fn fell(&mut self, used: u64) -> bool {
        let fell = self.0.saturating_sub(used) >= WORTH;
        self.0 = if fell { used } else { self.0.max(used) };
        fell
    }
}

/// Watches a budget for ever.
pub(crate) async fn watch(budget: Arc<MemoryBudget>) {
    let mut high_water = HighWater::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        if high_water.fell(budget.used()) {
            // It takes its time. A panic there would be reported, and the next one may do.
            let _ = tokio::task::spawn_blocking(give_back_free_pages).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_after_each_flood() {
        let mut high_water = HighWater::default();
        let mebibytes = |mebibytes: u64| mebibytes << 20;
        for (used, expected) in [
            (0, false),
            (100, false),
            (69, false),
            (68, true),
            (68, false),
            (37, false),
            (36, true),
            (10, false),
            (0, true),
            (0, false),
            (31, false),
            (0, false),
        ] {
            assert_eq!(high_water.fell(mebibytes(used)), expected, "{used}");
        }
    }
}
