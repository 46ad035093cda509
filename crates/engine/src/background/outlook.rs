//! Where the next call of a function begins: in the background, if there is reason to think that
//! it would only be moved there, or keep its turn.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Share;
use crate::meter::{Meter, QUANTUM};

/// What [`Share::heavy`] is of: with each guest it goes an eighth of the way to all or nothing.
pub(super) const ALL: u32 = 256;

/// How long the calls of a function begin in the background after a turn that was not given back.
const WARY: Duration = Duration::from_secs(10);

/// For how long its guests may keep their turns, and how much of the time they may for good: one in
/// so many. Not everything that looks like it is one: what another virtual machine takes of a core
/// counts as CPU time, too.
const KEPT: Duration = Duration::from_millis(16);
const KEPT_OF: u32 = 50;

impl Share {
    /// Looks whether a guest kept its last turn.
    pub(super) fn note_kept_turn(&self, meter: &Meter) {
        if let Some(kept) = meter.take_overran() {
            self.charge_kept(kept);
        }
    }

    /// Guests have kept their turns for so long: a bucket that holds [`KEPT`] and leaks.
    pub(super) fn charge_kept(&self, kept: Duration) {
        let now = self.shared.milliseconds();
        let full = now + leaks_in(KEPT);
        let with = |until: u64| until.max(now) + leaks_in(kept);
        let before = self
            .kept_leaks_until
            .fetch_update(Relaxed, Relaxed, |until| Some(with(until).min(full)))
            .unwrap_or_else(|until| until);
        if with(before) > full {
            self.be_wary();
        }
    }

    /// What a guest used where it began. One that serves several requests teaches nothing: what
    /// the next call needs, none of its polls tells.
    pub(super) fn learn(&self, meter: &Meter) {
        if meter.is_for_several() {
            return;
        }
        let before = self.heavy.load(Relaxed);
        let after = if meter.used_each() >= QUANTUM {
            before + (ALL - before) / 8
        } else {
            before - before / 8
        };
        // Hardly ever, so that threads have no line of memory to fight for.
        if after != before {
            self.heavy.store(after, Relaxed);
        }
    }

    /// Whether most of its guests use a quantum, and more of those that have wait for a turn in the
    /// background than can have one at once.
    fn is_crowded(&self) -> bool {
        self.waiting.load(Relaxed) > self.shared.threads && self.heavy.load(Relaxed) > ALL / 2
    }

    /// Whether its guests are to be in the background from the beginning.
    pub(super) fn begins_there(&self) -> bool {
        self.is_wary() || self.is_crowded()
    }

    pub(super) fn is_wary(&self) -> bool {
        let until = self.wary_until.load(Relaxed);
        until > 0 && self.shared.milliseconds() < until
    }

    pub(super) fn be_wary(&self) {
        let until = self.shared.milliseconds() + WARY.as_millis() as u64;
        self.wary_until.store(until, Relaxed);
    }
}

/// In how many milliseconds so much leaks out of the bucket.
fn leaks_in(kept: Duration) -> u64 {
    (kept * KEPT_OF).as_millis() as u64
}
