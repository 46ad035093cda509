//! Time and randomness, which tests bring themselves.

use std::time::SystemTime;

use uuid::Uuid;

/// Where a store has its time and its names from.
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> SystemTime;

    /// A name that nobody has had and nobody guesses.
    fn id(&self) -> Uuid;
}

/// The machine's clock, and its randomness.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Clock for System {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }
}
