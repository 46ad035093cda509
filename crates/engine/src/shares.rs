//! Something of which there is so much and no more, and which apps take parts of.
//!
//! Whoever comes first gets what it asks for, as long as an eighth of all is left. That eighth is
//! for those that have less than their part: of all that there is, divided by the apps that have
//! some of it and one more, which may come. So an app alone can have nearly everything, and
//! another one still finds something, however much the first one asks for. Nothing is taken away
//! from anybody: what was given comes back when it is no longer used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The part of all that only those get who have little: one in so many.
const KEPT: u64 = 8;

/// What is shared.
#[derive(Debug)]
pub(crate) struct Shares {
    limit: u64,
    used: AtomicU64,
    /// Apps that may have something.
    known: AtomicU64,
    /// Apps that have something.
    active: AtomicU64,
    apps: Mutex<HashMap<Arc<str>, Weak<Share>>>,
}

/// What an app has of it.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Shares>,
    used: AtomicU64,
    /// Whether it is an app's.
    is_app: bool,
}

/// Why something is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// All of it is in use.
    Spent,
    /// What is left is for apps that have less: this one has its part.
    HasItsPart,
}

impl Shares {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
            known: AtomicU64::new(0),
            active: AtomicU64::new(0),
            apps: Mutex::default(),
        })
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The share of an app, one for all who ask for it.
    pub(crate) fn of_app(self: &Arc<Self>, app: &str) -> Arc<Share> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = apps.get(app).and_then(Weak::upgrade) {
            return share;
        }
        apps.retain(|_, share| share.strong_count() > 0);
        let share = self.share(true);
        self.known.fetch_add(1, Ordering::Relaxed);
        apps.insert(app.into(), Arc::downgrade(&share));
        share
    }

    /// A share that is no app's, for which nothing is kept from anybody.
    pub(crate) fn of_nobody(self: &Arc<Self>) -> Arc<Share> {
        self.share(false)
    }

    fn share(self: &Arc<Self>, is_app: bool) -> Arc<Share> {
        Arc::new(Share {
            of: Arc::clone(self),
            used: AtomicU64::new(0),
            is_app,
        })
    }

    /// What an app may have of what is kept. With one app alone there is nobody to keep it for.
    fn part(&self) -> u64 {
        let known = self.known.load(Ordering::Relaxed).max(1);
        let active = self.active.load(Ordering::Relaxed);
        self.limit / (active + 1).min(known)
    }
}

impl Share {
    pub(crate) fn all(&self) -> &Arc<Shares> {
        &self.of
    }

    /// What this one has.
    #[cfg(test)]
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes some more; what all have together then.
    pub(crate) fn take(&self, more: u64) -> Result<u64, Refused> {
        let all = &self.of;
        let within = |used: u64| used.checked_add(more).filter(|sum| *sum <= all.limit);
        let before = all
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .map_err(|_| Refused::Spent)?;
        let own = self.used.fetch_add(more, Ordering::Relaxed);
        let sum = before + more;
        if !self.is_app || more == 0 {
            return Ok(sum);
        }
        if own == 0 {
            all.active.fetch_add(1, Ordering::Relaxed);
        }
        // Others may ask at the same moment: it may be refused what it would have been given a
        // moment later, but never the other way round.
        if sum > all.limit - all.limit / KEPT && own + more > all.part() {
            self.give_back(more);
            return Err(Refused::HasItsPart);
        }
        Ok(sum)
    }

    /// Gives back some of what was taken.
    pub(crate) fn give_back(&self, less: u64) {
        let own = self.used.fetch_sub(less, Ordering::Relaxed);
        if self.is_app && own == less && less > 0 {
            self.of.active.fetch_sub(1, Ordering::Relaxed);
        }
        self.of.used.fetch_sub(less, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.is_app {
            self.of.known.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_alone_has_all() {
        let shares = Shares::new(100);
        let app = shares.of_app("a");
        assert_eq!(app.take(100), Ok(100));
        assert_eq!(app.take(1), Err(Refused::Spent));
        app.give_back(100);
        assert_eq!((shares.used(), app.used()), (0, 0));
    }

    #[test]
    fn something_is_left_for_who_has_little() {
        let shares = Shares::new(80);
        let (greedy, modest) = (shares.of_app("greedy"), shares.of_app("modest"));
        // An eighth is ten.
        assert_eq!(greedy.take(70), Ok(70));
        assert_eq!(greedy.take(1), Err(Refused::HasItsPart));
        assert_eq!(modest.take(10), Ok(80));
        assert_eq!(modest.take(1), Err(Refused::Spent));
        // As much as its part is there for it, whoever else asks.
        greedy.give_back(30);
        assert_eq!(modest.take(30), Ok(80));
        assert_eq!((greedy.used(), modest.used()), (40, 40));
        greedy.give_back(1);
        assert_eq!(modest.take(1), Err(Refused::HasItsPart));
        assert_eq!(greedy.take(1), Ok(80));
    }

    #[test]
    fn who_has_nothing_is_thought_of_once() {
        let shares = Shares::new(800);
        let apps: Vec<_> = (0..100)
            .map(|app| shares.of_app(&app.to_string()))
            .collect();
        // Nobody else has anything: a part is a half.
        assert_eq!(apps[0].take(700), Ok(700));
        assert_eq!(apps[0].take(1), Err(Refused::HasItsPart));
        for (turn, app) in apps[1..=10].iter().enumerate() {
            assert_eq!(app.take(10), Ok(710 + 10 * turn as u64));
        }
        assert_eq!(shares.used(), 800);
    }

    #[test]
    fn an_app_has_one_share() {
        let shares = Shares::new(8);
        let one = shares.of_app("a");
        assert!(Arc::ptr_eq(&one, &shares.of_app("a")));
        assert_eq!(one.take(7), Ok(7));
        let other = shares.of_app("b");
        assert_eq!(one.take(1), Err(Refused::HasItsPart));
        // For an app that is gone nothing is kept.
        drop(other);
        assert_eq!(one.take(1), Ok(8));
    }

    #[test]
    fn what_is_no_app_s_is_not_kept_from_anybody() {
        let shares = Shares::new(8);
        let _apps = [shares.of_app("a"), shares.of_app("b")];
        assert_eq!(shares.of_nobody().take(8), Ok(8));
    }

    /// Whoever asks, and in which order: what is counted is what they have.
    #[test]
    fn the_sums_are_right_after_many_at_once() {
        let shares = Shares::new(1000);
        std::thread::scope(|scope| {
            for turn in 0..4_u64 {
                let share = shares.of_app(if turn % 2 == 0 { "a" } else { "b" });
                scope.spawn(move || {
                    for step in 0..10_000 {
                        let more = (step * 7 + turn) % 400;
                        if share.take(more).is_ok() {
                            share.give_back(more);
                        }
                    }
                });
            }
        });
        assert_eq!(shares.used(), 0);
        assert_eq!(shares.active.load(Ordering::Relaxed), 0);
    }
}
