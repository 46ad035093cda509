//! The node's memory budget: what all instances and host buffers may use
//! together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shares::{Share, Shares};

/// Counts the bytes in use against a limit, of all apps together.
#[derive(Debug)]
pub struct MemoryBudget {
    share: Arc<Share>,
    /// The most that was in use since somebody asked.
    peak: Arc<AtomicU64>,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            share: Shares::new(limit).of_nobody(),
            peak: Arc::default(),
        })
    }

    /// The same budget, charged by an app, which may have up to seven times as much as
    /// is left, if there are others.
    pub fn of_app(&self, app: &str) -> Arc<Self> {
        Arc::new(Self {
            share: self.share.all().of_app(app),
            peak: Arc::clone(&self.peak),
        })
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.share.all().limit()
    }

    /// Bytes in use, of all apps.
    pub fn used(&self) -> u64 {
        self.share.all().used()
    }

    /// The most bytes that were in use since this was asked last.
    pub fn take_peak(&self) -> u64 {
        let used = self.used();
        self.peak.swap(used, Ordering::Relaxed).max(used)
    }

    /// A reservation of nothing that can grow.
    pub fn empty_reservation(self: &Arc<Self>) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let Ok(sum) = self.share.take(bytes) else {
            return false;
        };
        // Most of the time there was more before: then nobody's cache line is written to.
        if sum > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(sum, Ordering::Relaxed);
        }
        true
    }
}

/// A part of the budget; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

impl Reservation {
    /// Takes more; false, and nothing taken, when the budget has no room for this app.
    pub fn grow(&mut self, bytes: u64) -> bool {
        let taken = self.budget.take(bytes);
        if taken {
            self.bytes += bytes;
        }
        taken
    }

    /// Gives a part back, at most all of it.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.share.give_back(bytes);
    }

    /// Bytes reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The budget that this is a part of.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.share.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = MemoryBudget::new(100);
        assert_eq!((budget.limit(), budget.used()), (100, 0));
        let mut a = budget.empty_reservation();
        let mut b = budget.empty_reservation();
        assert!(a.grow(60));
        assert!(!b.grow(41));
        assert!(b.grow(40));
        assert_eq!(budget.used(), 100);
        drop(a);
        assert_eq!(budget.used(), 40);
        assert_eq!((budget.take_peak(), budget.take_peak()), (100, 40));
        assert!(b.grow(60));
        assert!(!b.grow(u64::MAX));
        b.shrink(30);
        assert_eq!((b.bytes(), budget.used()), (70, 70));
        b.shrink(u64::MAX);
        assert_eq!((b.bytes(), budget.used()), (0, 0));
    }

    #[test]
    fn apps_share_it() {
        let budget = MemoryBudget::new(80);
        let (greedy, modest) = (budget.of_app("greedy"), budget.of_app("modest"));
        let mut most = greedy.empty_reservation();
        assert!(most.grow(70));
        assert!(!most.grow(1));
        assert_eq!(most.bytes(), 70);
        let mut little = modest.empty_reservation();
        assert!(little.grow(8));
        assert!(!little.grow(1));
        drop(little);
        assert_eq!((budget.used(), budget.take_peak()), (70, 78));
    }
}
