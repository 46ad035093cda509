//! Amounts of memory and time as they are written in a Directive and in a node's configuration.

use std::time::Duration;

use crate::diagnostic::{Invalid, quote};

const SIZES: [(&str, u64); 3] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

const SIZE_HELP: &str = "the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes";
const TIME_HELP: &str = "the units are `ms`, `s`, `m` and `h`";

/// Bytes of a size: a whole number with `Ki`, `Mi` or `Gi`, or without a unit for bytes.
///
/// # Errors
/// [`Invalid`] with the right spelling where it can be told what was meant.
///
/// ```
/// assert_eq!(strand_directive::units::parse_size("64Mi"), Ok(64 << 20));
/// assert!(strand_directive::units::parse_size("64MB").is_err());
/// ```
pub fn parse_size(text: &str) -> Result<u64, Invalid> {
    let (digits, unit) = split(text);
    let scale = match unit {
        "" => Some(1),
        _ => scale(&SIZES, unit),
    };
    match (scale, digits.is_empty()) {
        (Some(scale), false) => digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(scale))
            .ok_or_else(|| too_large(text)),
        _ => Err(unreadable(text, "size", meant_size(text), SIZE_HELP)),
    }
}

/// A duration: a whole number with `ms`, `s`, `m` or `h`.
///
/// # Errors
/// [`Invalid`] with the right spelling where it can be told what was meant.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(strand_directive::units::parse_duration("10m"), Ok(Duration::from_secs(600)));
/// assert!(strand_directive::units::parse_duration("10").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, Invalid> {
    let (digits, unit) = split(text);
    match (scale(&TIMES, unit), digits.is_empty()) {
        (Some(scale), false) => digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(scale))
            .map(Duration::from_millis)
            .ok_or_else(|| too_large(text)),
        _ => Err(unreadable(text, "duration", meant_time(text), TIME_HELP)),
    }
}

/// The shortest exact spelling of a size, for example `128Mi`.
pub fn format_size(bytes: u64) -> String {
    format(&SIZES, bytes).unwrap_or_else(|| bytes.to_string())
}

/// The shortest exact spelling of a duration, for example `10m`; parts of a millisecond are left
/// out.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    format(&TIMES, millis).unwrap_or_else(|| "0s".to_owned())
}

fn format(units: &[(&str, u64)], amount: u64) -> Option<String> {
    let (unit, scale) = units
        .iter()
        .rev()
        .find(|(_, scale)| amount >= *scale && amount.is_multiple_of(*scale))?;
    Some(format!("{}{unit}", amount / scale))
}

fn scale(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale)
}

/// Leading digits and the rest.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn too_large(text: &str) -> Invalid {
    Invalid::new(format!("{} is too large to be counted", quote(text)))
}

fn unreadable(text: &str, what: &str, meant: Option<String>, help: &str) -> Invalid {
    let invalid = Invalid::new(format!("{} is not a {what}", quote(text)));
    match meant {
        Some(meant) => invalid.help(format!("did you mean `{meant}`? {help}")),
        None => invalid.help(format!("write a whole number and a unit; {help}")),
    }
}

fn meant_size(text: &str) -> Option<String> {
    let (number, unit) = decimal(text)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "b" | "byte" | "bytes" => 1,
        "k" | "kb" | "ki" | "kib" => 1 << 10,
        "m" | "mb" | "mi" | "mib" => 1 << 20,
        "g" | "gb" | "gi" | "gib" => 1 << 30,
        "t" | "tb" | "ti" | "tib" => 1 << 40,
        _ => return None,
    };
    number.times(scale).map(format_size)
}

fn meant_time(text: &str) -> Option<String> {
    let mut total = 0_u64;
    let mut rest = text.trim();
    // `1h30m` is read part by part.
    while !rest.is_empty() {
        let (number, unit) = decimal(rest)?;
        let end = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        let (unit, next) = unit.split_at(end);
        let scale = match unit.trim().to_ascii_lowercase().as_str() {
            "ms" | "msec" | "msecs" | "millis" | "milliseconds" => 1,
            "" | "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
            "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.times(scale)?)?;
        rest = next;
    }
    (total > 0).then(|| format_duration(Duration::from_millis(total)))
}

/// A decimal number: `digits` / 10^`places`.
struct Decimal {
    digits: u64,
    places: u32,
}

impl Decimal {
    /// The product, if it is a whole number.
    fn times(&self, scale: u64) -> Option<u64> {
        let product = self.digits.checked_mul(scale)?;
        let divisor = 10_u64.checked_pow(self.places)?;
        product.is_multiple_of(divisor).then(|| product / divisor)
    }
}

/// A number, possibly with a fraction, and what follows it.
fn decimal(text: &str) -> Option<(Decimal, &str)> {
    let (whole, rest) = split(text.trim());
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split(rest),
        None => ("", rest),
    };
    let digits = format!("{whole}{fraction}").parse().ok()?;
    let places = u32::try_from(fraction.len()).ok()?;
    Some((Decimal { digits, places }, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("1Ki", 1 << 10),
            ("512Ki", 512 << 10),
            ("64Mi", 64 << 20),
            ("1Gi", 1 << 30),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            ("10m", 600_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_units_are_told_the_right_ones() {
        let help = |error: Invalid| error.help.unwrap_or_default();
        for (text, meant) in [
            ("128M", "128Mi"),
            ("128MB", "128Mi"),
            ("128 Mi", "128Mi"),
            (" 128Mi", "128Mi"),
            ("128mi", "128Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("4096kb", "4Mi"),
            ("1g", "1Gi"),
            ("2TiB", "2048Gi"),
            ("100 bytes", "100"),
        ] {
            let error = parse_size(text).unwrap_err();
            assert_eq!(error.message, format!("`{text}` is not a size"));
            assert_eq!(
                help(error),
                format!("did you mean `{meant}`? {SIZE_HELP}"),
                "{text}"
            );
        }
        for (text, meant) in [
            ("30", "30s"),
            ("30 s", "30s"),
            ("30S", "30s"),
            ("10min", "10m"),
            ("2 hours", "2h"),
            ("1d", "24h"),
            ("1.5s", "1500ms"),
            ("1h30m", "90m"),
            ("1m 30s", "90s"),
            ("250msec", "250ms"),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error.message, format!("`{text}` is not a duration"));
            assert_eq!(
                help(error),
                format!("did you mean `{meant}`? {TIME_HELP}"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_guessed_is_not_guessed() {
        for text in [
            "",
            "Mi",
            "-1Mi",
            "1.Mi.5",
            "many",
            "1/2Gi",
            "0.0001Ki",
            "1Pi",
            "99999999999999999999m",
        ] {
            let error = parse_size(text).unwrap_err();
            let help = error.help.unwrap_or_default();
            assert_eq!(
                help,
                format!("write a whole number and a unit; {SIZE_HELP}"),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "-1s",
            "1x",
            "5us",
            "0.0001s",
            "1h30x",
            "99999999999999999999d",
            "213503982335d1d",
        ] {
            let error = parse_duration(text).unwrap_err();
            let help = error.help.unwrap_or_default();
            assert_eq!(
                help,
                format!("write a whole number and a unit; {TIME_HELP}"),
                "{text}"
            );
        }
    }

    #[test]
    fn amounts_that_do_not_fit_are_refused() {
        for text in ["18446744073709551616", "17179869184Gi"] {
            let error = parse_size(text).unwrap_err();
            assert_eq!(
                error.message,
                format!("`{text}` is too large to be counted")
            );
        }
        for text in ["18446744073709551616ms", "5124095576031h"] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(
                error.message,
                format!("`{text}` is too large to be counted")
            );
        }
    }

    #[test]
    fn spelling_is_short_and_exact() {
        for text in ["1", "1023", "1Ki", "1025", "1536Mi", "2Gi", "0"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
        for text in ["1ms", "999ms", "1s", "90s", "1h", "25h", "0s"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(format_size(1024 * 1024), "1Mi");
        assert_eq!(format_duration(Duration::MAX), format!("{}ms", u64::MAX));
    }
}
