//! Something of which there is so much and no more, and which apps take parts of.
//!
//! An app may have up to seven times as much as is left then. So one that asks alone gets seven
//! eighths, and something is always left for the next one: seven eighths of the last eighth, and
//! so on. Two that both want all of it come to have seven fifteenths each, as those of who has
//! more that come back are not given out to it again. Nothing is taken away from anybody, and what
//! nobody wants is kept from nobody for long. (Dynamic thresholds, as switches share memory among
//! their ports: Choudhury and Hahne, 1998.)

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How many times as much as is left an app may have.
const TIMES: u64 = 7;

/// What is shared.
#[derive(Debug)]
pub(crate) struct Shares {
    limit: u64,
    used: AtomicU64,
    /// Apps that may have something.
    known: AtomicU64,
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
        // Those that are gone go before the table grows: to look at each every time takes long
        // where there are thousands.
        if apps.len() == apps.capacity() {
            apps.retain(|_, share| share.strong_count() > 0);
        }
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

    /// Whether some more could be taken if all together had so much less, and this one so much of
    /// that.
    pub(crate) fn has_room_for(&self, more: u64, all_less: u64, own_less: u64) -> bool {
        let used = self.of.used().saturating_sub(all_less);
        let own = self.used.load(Ordering::Relaxed).saturating_sub(own_less);
        self.sum_within(used, own.saturating_add(more), more)
            .is_some()
    }

    /// What all have with so much more, `own` being what this one has then; `None` if it may not.
    fn sum_within(&self, used: u64, own: u64, more: u64) -> Option<u64> {
        let all = &self.of;
        // An app alone on the node leaves nothing to anybody.
        let bounded = self.is_app && more > 0 && all.known.load(Ordering::Relaxed) > 1;
        let sum = used.checked_add(more).filter(|sum| *sum <= all.limit)?;
        let has_its_part = bounded && own > (all.limit - sum).saturating_mul(TIMES);
        (!has_its_part).then_some(sum)
    }

    /// Takes some more; what all have together then.
    pub(crate) fn take(&self, more: u64) -> Result<u64, Refused> {
        let all = &self.of;
        // Its own sum first: what is refused in the end must be in nobody's way but its own.
        let own = self
            .used
            .fetch_add(more, Ordering::Relaxed)
            .saturating_add(more);
        let taken = all
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                self.sum_within(used, own, more)
            });
        taken.map(|before| before + more).map_err(|used| {
            self.used.fetch_sub(more, Ordering::Relaxed);
            if used.checked_add(more).is_some_and(|sum| sum <= all.limit) {
                Refused::HasItsPart
            } else {
                Refused::Spent
            }
        })
    }

    /// Gives back some of what was taken.
    pub(crate) fn give_back(&self, less: u64) {
        self.used.fetch_sub(less, Ordering::Relaxed);
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
    fn something_is_left_for_whoever_comes() {
        let shares = Shares::new(4096);
        let apps = ["a", "b", "c", "d"].map(|app| shares.of_app(app));
        // Each takes what it can get.
        let most = apps.each_ref().map(|app| {
            while app.take(1).is_ok() {}
            assert_eq!(app.take(1), Err(Refused::HasItsPart));
            app.used()
        });
        assert_eq!(most, [3584, 448, 56, 7]);
    }

    #[test]
    fn who_wants_all_comes_to_have_as_much_as_another() {
        let shares = Shares::new(1500);
        let (first, second) = (shares.of_app("a"), shares.of_app("b"));
        while first.take(1).is_ok() {}
        // Both go on asking, and what they have comes back in turn.
        for _ in 0..20 {
            for app in [&first, &second] {
                app.give_back(app.used() / 10);
            }
            while [&second, &first].map(|app| app.take(1).is_ok()) != [false; 2] {}
        }
        let (first, second) = (first.used(), second.used());
        assert!(first.abs_diff(second) < 20, "{first} {second}");
        assert!(first + second > 1380, "{first} {second}");
    }

    #[test]
    fn an_app_has_one_share() {
        let shares = Shares::new(8);
        let one = shares.of_app("a");
        assert!(Arc::ptr_eq(&one, &shares.of_app("a")));
        assert_eq!(one.take(7), Ok(7));
        let other = shares.of_app("b");
        // It keeps what it has.
        assert_eq!(one.take(1), Err(Refused::HasItsPart));
        // For an app that is gone nothing is kept.
        drop(other);
        assert_eq!(one.take(1), Ok(8));
    }

    #[test]
    fn who_has_more_than_its_part_may_take_nothing() {
        let shares = Shares::new(8);
        let one = shares.of_app("a");
        assert_eq!(one.take(8), Ok(8));
        let _other = shares.of_app("b");
        // Which is no more: a growth by nothing does not fail.
        assert_eq!(one.take(0), Ok(8));
    }

    #[test]
    fn what_is_no_app_s_is_not_kept_from_anybody() {
        let shares = Shares::new(8);
        let apps = [shares.of_app("a"), shares.of_app("b")];
        let nobody = shares.of_nobody();
        assert_eq!(nobody.take(8), Ok(8));
        nobody.give_back(8);
        drop(nobody);
        // Nor is it missed when it is gone: there are two apps still.
        assert_eq!(apps[0].take(8), Err(Refused::HasItsPart));
    }

    #[test]
    fn apps_that_are_gone_are_forgotten_and_no_others() {
        let shares = Shares::new(8);
        let app = |of: &str, number: usize| shares.of_app(&format!("{of}{number}"));
        let stay: Vec<_> = (0..50).map(|number| app("stays", number)).collect();
        for number in 0..1000 {
            drop(app("goes", number));
        }
        for (number, share) in stay.iter().enumerate() {
            assert!(Arc::ptr_eq(share, &app("stays", number)));
        }
        let known = shares.apps.lock().expect("no panic").len();
        assert!(known < 200, "{known}");
    }

    /// What is told before something goes is what comes true when it has gone.
    #[test]
    fn there_is_room_for_what_can_be_taken() {
        let shares = Shares::new(80);
        let (greedy, modest) = (shares.of_app("a"), shares.of_app("b"));
        assert_eq!(greedy.take(70), Ok(70));
        assert_eq!(modest.take(8), Ok(78));
        for less in 0..=8 {
            for more in 0..=20 {
                let told = [
                    greedy.has_room_for(more, less, 0),
                    modest.has_room_for(more, less, less),
                ];
                modest.give_back(less);
                let can = [&greedy, &modest].map(|share| {
                    let taken = share.take(more).is_ok();
                    share.give_back(if taken { more } else { 0 });
                    taken
                });
                assert_eq!(told, can, "{more} when {less} have gone");
                modest.take(less).expect("it had so much");
            }
        }
    }

    /// Whoever asks, and in which order: what is counted is what they have.
    #[test]
    fn who_is_refused_is_in_nobody_s_way() {
        let shares = Shares::new(1000);
        let (greedy, modest) = (shares.of_app("a"), shares.of_app("b"));
        while greedy.take(1).is_ok() {}
        let left = shares.limit() - shares.used();
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                for _ in 0..200_000 {
                    // All that is left, or more than that.
                    assert!(greedy.take(left).is_err());
                }
            });
            while !asking.is_finished() {
                assert!(modest.take(1).is_ok());
                modest.give_back(1);
            }
        });
        assert_eq!(shares.used(), 1000 - left);
        assert_eq!(greedy.used(), 1000 - left);
    }

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
    }
}
