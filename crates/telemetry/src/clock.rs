//! Instants as people and machines write them.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Appends the time as RFC 3339 has it, in UTC with milliseconds.
fn push_timestamp(out: &mut String, time: SystemTime) {
    // A clock set before 1970 is wrong anyway; its lines then say 1970.
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = date_of(seconds / 86_400);
    let of_day = seconds % 86_400;
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        since.subsec_millis()
    );
}

/// The last time that was written: at tens of thousands of lines a second, many are of the same
/// millisecond.
#[derive(Debug, Default)]
pub(crate) struct Stamp {
    milliseconds: u128,
    text: String,
}

impl Stamp {
    /// The time as [`push_timestamp`] writes it.
    pub(crate) fn of(&mut self, time: SystemTime) -> &str {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.text.is_empty() || self.milliseconds != since.as_millis() {
            self.milliseconds = since.as_millis();
            self.text.clear();
            push_timestamp(&mut self.text, time);
        }
        &self.text
    }
}

/// The date of a day since 1970-01-01 in the Gregorian calendar.
fn date_of(day: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    // Counted from 1 March of year 0, so that a leap day is a year's last.
    let day = day + 719_468;
    let era = day / DAYS_IN_400_YEARS;
    let of_era = day % DAYS_IN_400_YEARS;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stamp_is_of_its_time() {
        let mut stamp = Stamp::default();
        for microseconds in [0, 999, 1_000, 1_999, 5_000, 4_999, 1_000] {
            let time = UNIX_EPOCH + Duration::from_micros(microseconds);
            let mut fresh = String::new();
            push_timestamp(&mut fresh, time);
            assert_eq!(stamp.of(time), fresh, "{microseconds}");
        }
    }

    #[test]
    fn timestamps_are_those_of_date() {
        // Made with `date -u -d @N +%FT%T`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (951_868_799, "2000-02-29T23:59:59.007Z"),
            (1_709_164_800, "2024-02-29T00:00:00.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (1_767_225_600, "2026-01-01T00:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            let mut out = String::new();
            push_timestamp(
                &mut out,
                UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(7),
            );
            assert_eq!(out, text);
        }
    }
}
