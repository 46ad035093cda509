//! Finds connections that wait too long for their client's next byte.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::link::{Link, Phase};

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// Let it finish what it does.
    Close,
    /// Cut it.
    Cut,
}

/// Looks at a connection every now and then and notes since when nothing has
/// changed. Requests pay for this with a few counters instead of timers.
#[derive(Debug)]
pub(crate) struct Watch {
    step: u32,
    step_since: Instant,
    closing_since: Option<Instant>,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            step: 0,
            step_since: now,
            closing_since: None,
        }
    }

    /// How often to look.
    pub(crate) fn interval(config: &Config) -> Duration {
        config
            .header_timeout
            .min(config.idle_timeout)
            .min(config.write_timeout)
            .div_f32(8.0)
            .clamp(Duration::from_millis(5), Duration::from_secs(2))
    }

    pub(crate) fn look(&mut self, link: &Link, now: Instant) -> Verdict {
        let config = &link.shared.config;
        let (phase, step) = link.phase();
        if step != self.step {
            self.step = step;
            self.step_since = now;
        }
        if phase == Phase::Busy {
            self.closing_since = None;
            return Verdict::Fine;
        }
        if let Some(since) = self.closing_since {
            let patience = match phase {
                // It never asked for anything: there is nothing to wait for.
                Phase::Header => config.header_timeout,
                // It may still owe its client bytes that the client does not take, or
                // wait for the end of a request's body that nobody reads.
                _ => config.write_timeout,
            };
            return if now - since >= patience {
                Verdict::Cut
            } else {
                Verdict::Fine
            };
        }
        let waited = now - self.step_since;
        match phase {
            // HTTP/2 has a way to say so, and a first request may be on its way.
            Phase::Header if waited >= config.header_timeout && link.http2 => {
                self.closing_since = Some(now);
                Verdict::Close
            }
            Phase::Header if waited >= config.header_timeout => Verdict::Cut,
            Phase::Idle if waited >= config.idle_timeout => {
                self.closing_since = Some(now);
                Verdict::Close
            }
            _ => Verdict::Fine,
        }
    }
}
