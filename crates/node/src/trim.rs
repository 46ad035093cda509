//! Gives memory back: code beyond its limit, when the calls that kept it are gone, and to the
//! system what the allocator keeps when much less is used than was.
//!
//! What requests held is counted in the memory budget while they hold it. When they are
//! gone the budget gives it to others, so the allocator must not keep it.

use std::sync::Arc;
use std::time::Duration;

use strand_engine::{Engine, give_back_free_pages};

/// How often the use is looked at. Between a flood and the look after it, what the one
/// before held is there twice.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long it is left alone after that: functions that take and leave much memory look
/// like a flood after each call.
const REST: Duration = Duration::from_secs(1);

/// Bytes by which the use has to have fallen to be worth the while.
const WORTH: u64 = 32 << 20;

/// Whether the use has fallen so far that memory is to be given back.
#[derive(Debug, Default)]
struct Ebb {
    /// The most that was used since it was given back last.
    high_water: u64,
}

impl Ebb {
    /// `peak` is the most that was used since the last look.
    fn has_come(&mut self, peak: u64, used: u64) -> bool {
        self.high_water = self.high_water.max(peak);
        let fell = self.high_water.saturating_sub(used) >= WORTH;
        if fell {
            self.high_water = used;
        }
        fell
    }
}

/// Watches an engine for ever.
pub(crate) async fn watch(engine: Arc<Engine>) {
    let budget = Arc::clone(engine.budget());
    let mut ebb = Ebb::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        if engine.has_too_much_code() {
            let unloading = Arc::clone(&engine);
            engine.aside(move || unloading.unload_code()).await;
        }
        if ebb.has_come(budget.take_peak(), budget.used()) {
            // It takes its time. A panic there would be reported, and the next one may do.
            let _ = tokio::task::spawn_blocking(give_back_free_pages).await;
            tokio::time::sleep(REST).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_after_each_flood() {
        let mut ebb = Ebb::default();
        for (peak, used, expected) in [
            (0, 0, false),
            (100, 100, false),
            (100, 69, false),
            (69, 68, true),
            (68, 68, false),
            (68, 37, false),
            (37, 36, true),
            // One that was over before anybody looked.
            (36, 0, true),
            (200, 0, true),
            (0, 0, false),
            (31, 0, false),
        ] {
            let found = ebb.has_come(peak << 20, used << 20);
            assert_eq!(found, expected, "{peak} {used}");
        }
    }
}
