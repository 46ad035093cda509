//! What one instance holds at once: values and listings that are open, and the
//! memory of their buffers.
//!
//! The node's budget alone would let one guest take all of it, and descriptors and
//! connections are in no budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strand_engine::{MemoryBudget, Reservation, format_bytes};

use crate::Config;
use crate::failure::no_memory;

/// What a listing counts as, in values: one of a folder holds a descriptor for
/// each of up to 64 folders.
const LISTING: u64 = 16;

/// The account of one instance.
#[derive(Debug)]
pub(crate) struct Account {
    most_values: u64,
    most_bytes: u64,
    values: AtomicU64,
    bytes: AtomicU64,
    node: Arc<MemoryBudget>,
}

impl Account {
    pub(crate) fn new(config: &Config, node: &Arc<MemoryBudget>) -> Arc<Self> {
        Arc::new(Self {
            most_values: config.values,
            most_bytes: config.buffers,
            values: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            node: Arc::clone(node),
        })
    }

    /// The place of a value.
    ///
    /// # Errors
    /// When as many are open as may be.
    pub(crate) fn value(self: &Arc<Self>) -> Result<Charge, String> {
        self.open(1)
    }

    /// The place of a listing.
    ///
    /// # Errors
    /// When as many are open as may be.
    pub(crate) fn listing(self: &Arc<Self>) -> Result<Charge, String> {
        self.open(LISTING)
    }

    /// The place of what holds nothing.
    pub(crate) fn nothing(self: &Arc<Self>) -> Charge {
        self.charge(0)
    }

    fn open(self: &Arc<Self>, values: u64) -> Result<Charge, String> {
        if !take(&self.values, values, self.most_values) {
            return Err(format!(
                "an instance may have {} values of blobs open at once, of which a listing \
                 takes {LISTING}: drop some before opening more",
                self.most_values
            ));
        }
        Ok(self.charge(values))
    }

    fn charge(self: &Arc<Self>, values: u64) -> Charge {
        Charge {
            account: Arc::clone(self),
            values,
            memory: self.node.empty_reservation(),
        }
    }
}

/// Counts more, unless that would be more than the limit.
fn take(counter: &AtomicU64, more: u64, limit: u64) -> bool {
    let sum = |count: u64| count.checked_add(more).filter(|sum| *sum <= limit);
    counter
        .try_update(Ordering::Relaxed, Ordering::Relaxed, sum)
        .is_ok()
}

/// What one value holds. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Arc<Account>,
    values: u64,
    memory: Reservation,
}

impl Charge {
    /// Takes memory, of the instance's share and of the node's.
    ///
    /// # Errors
    /// When one of them has no room; nothing is taken then.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), String> {
        let account = &self.account;
        if !take(&account.bytes, bytes, account.most_bytes) {
            return Err(format!(
                "an instance may buffer {} of blobs at once: finish or drop values before \
                 reading or writing more",
                format_bytes(account.most_bytes)
            ));
        }
        if !self.memory.grow(bytes) {
            account.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(no_memory(bytes));
        }
        Ok(())
    }

    /// Gives all memory back, but not the place.
    pub(crate) fn release_memory(&mut self) {
        let bytes = self.memory.bytes();
        self.memory.shrink(bytes);
        self.account.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that are taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.memory.bytes()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.release_memory();
        self.account
            .values
            .fetch_sub(self.values, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(values: u64, buffers: u64, node: &Arc<MemoryBudget>) -> Arc<Account> {
        let config = Config {
            values,
            buffers,
            ..Config::default()
        };
        Account::new(&config, node)
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let node = MemoryBudget::new(u64::MAX);
        let account = account(17, 0, &node);
        let value = account.value().expect("room");
        let listing = account.listing().expect("room");
        let error = account.value().expect_err("no room");
        assert!(
            error.starts_with("an instance may have 17 values of blobs open"),
            "{error}"
        );
        // What holds nothing needs no room.
        drop(account.nothing());
        drop(value);
        assert!(account.listing().is_err());
        drop(listing);
        let _listing = account.listing().expect("room");
        assert!(account.value().is_ok());
    }

    #[test]
    fn memory_is_the_instances_and_the_nodes() {
        let node = MemoryBudget::new(150);
        let one = account(9, 100, &node);
        let two = account(9, 100, &node);
        let mut first = one.value().expect("room");
        let mut second = one.value().expect("room");
        let mut other = two.value().expect("room");
        assert_eq!(first.grow(60), Ok(()));
        let error = second.grow(41).expect_err("the instance's share");
        assert!(
            error.starts_with("an instance may buffer 100 of blobs"),
            "{error}"
        );
        assert_eq!(second.grow(40), Ok(()));
        let error = other.grow(51).expect_err("the node's memory");
        assert!(error.starts_with("this node has no memory left"), "{error}");
        assert_eq!(other.grow(50), Ok(()));
        assert_eq!((first.bytes(), node.used()), (60, 150));
        first.release_memory();
        assert_eq!((first.bytes(), node.used()), (0, 90));
        assert_eq!(second.grow(60), Ok(()));
        drop((first, second, other));
        assert_eq!(node.used(), 0);
        assert_eq!(one.value().expect("room").grow(100), Ok(()));
    }
}
