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

impl Share {
    /// Looks whether a guest kept its last turn.
    pub(super) fn note_kept_turn(&self, meter: &Meter) {
        if meter.take_overran() {
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
