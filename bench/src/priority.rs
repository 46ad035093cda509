//! The load goes before the node on the cores that they share. Clients are elsewhere: one that
//! waits for a core would see in its latencies what is no fault of the node's.

use rustix::process::{getpriority_process, setpriority_process};

/// The highest there is (setpriority(2)).
const HIGHEST: i32 = -20;

/// This thread has priority for as long as this lives. Threads that begin meanwhile have it for
/// good, and so would processes.
pub(crate) struct Priority {
    before: i32,
}

impl Priority {
    /// Takes it; nothing where that is not allowed, which is for root alone.
    pub(crate) fn take() -> Option<Self> {
        let before = getpriority_process(None).ok()?;
        setpriority_process(None, HIGHEST).ok()?;
        Some(Self { before })
    }
}

impl Drop for Priority {
    fn drop(&mut self) {
        // Lowering it is always allowed.
        let _ = setpriority_process(None, self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_is_given_back() {
        let now = || getpriority_process(None).unwrap();
        let before = now();
        if let Some(priority) = Priority::take() {
            assert_eq!(now(), HIGHEST);
            drop(priority);
        }
        assert_eq!(now(), before);
    }
}
