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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Verdict::{Close, Cut, Fine};
    use super::*;
    use crate::link::tests::link;

    /// A connection that is looked at.
    struct Looks {
        link: Arc<Link>,
        watch: Watch,
        start: Instant,
    }

    impl Looks {
        fn new(http2: bool) -> Self {
            let config = Config {
                header_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(20),
                write_timeout: Duration::from_secs(30),
                ..Config::default()
            };
            let start = Instant::now();
            Self {
                link: link(config, http2),
                watch: Watch::new(start),
                start,
            }
        }

        /// Looks at it so many milliseconds after its beginning.
        fn at(&mut self, milliseconds: u64) -> Verdict {
            let now = self.start + Duration::from_millis(milliseconds);
            self.watch.look(&self.link, now)
        }

        #[track_caller]
        fn are(&mut self, expected: &[(u64, Verdict)]) {
            for (milliseconds, verdict) in expected {
                assert_eq!(self.at(*milliseconds), *verdict, "{milliseconds}");
            }
        }
    }

    #[test]
    fn a_header_has_its_time_from_its_first_byte() {
        let mut looks = Looks::new(false);
        looks.are(&[(0, Fine), (9_999, Fine), (10_000, Cut)]);
        let mut looks = Looks::new(false);
        looks.link.enter(Phase::Busy);
        looks.are(&[(5_000, Fine)]);
        looks.link.enter(Phase::Idle);
        looks.are(&[(6_000, Fine), (17_000, Fine)]);
        looks.link.bytes_came();
        looks.are(&[(18_000, Fine), (27_999, Fine), (28_000, Cut)]);
    }

    #[test]
    fn a_client_of_http2_is_told_before_it_is_cut() {
        let mut looks = Looks::new(true);
        looks.are(&[
            (9_999, Fine),
            (10_000, Close),
            (19_999, Fine),
            (20_000, Cut),
        ]);
    }

    #[test]
    fn who_idles_is_told_and_may_still_take_what_it_is_owed() {
        for http2 in [false, true] {
            let mut looks = Looks::new(http2);
            looks.link.enter(Phase::Idle);
            looks.are(&[(0, Fine), (19_999, Fine), (20_000, Close)]);
            looks.are(&[(49_999, Fine), (50_000, Cut)]);
        }
    }

    #[test]
    fn a_request_takes_the_time_that_it_takes() {
        let mut looks = Looks::new(false);
        looks.link.enter(Phase::Busy);
        looks.are(&[(0, Fine), (1_000_000, Fine)]);
        // So does one that crosses what its client is told, after which all begins anew.
        let mut looks = Looks::new(true);
        looks.are(&[(10_000, Close)]);
        looks.link.enter(Phase::Busy);
        looks.are(&[(45_000, Fine)]);
        looks.link.enter(Phase::Idle);
        looks.are(&[(50_000, Fine), (69_999, Fine), (70_000, Close)]);
    }

    /// As often as an eighth of the shortest time, so that none is much longer than it says.
    #[test]
    fn the_shortest_time_says_how_often_to_look() {
        for (times, expected) in [
            ([8_000, 80_000, 80_000], 1_000),
            ([80_000, 8_000, 80_000], 1_000),
            ([80_000, 80_000, 8_000], 1_000),
            ([8, 8, 8], 5),
            ([80_000; 3], 2_000),
        ] {
            let [header_timeout, idle_timeout, write_timeout] = times.map(Duration::from_millis);
            let config = Config {
                header_timeout,
                idle_timeout,
                write_timeout,
                ..Config::default()
            };
            let expected = Duration::from_millis(expected);
            assert_eq!(Watch::interval(&config), expected, "{times:?}");
        }
    }
}
