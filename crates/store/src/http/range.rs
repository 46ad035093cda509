//! `Range: bytes=…` (RFC 9110, 14).

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

/// What a request wants of so many bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All; also where it wants several ranges, or none that can be read.
    All,
    /// These.
    Part(Range<u64>),
    /// None that there are.
    Nothing,
}

pub(super) fn wanted(headers: &HeaderMap, size: u64) -> Wanted {
    let value = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let Some((unit, range)) = value.and_then(|value| value.split_once('=')) else {
        return Wanted::All;
    };
    let Some((first, last)) = range.trim().split_once('-') else {
        return Wanted::All;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::All;
    }
    let number = |text: &str| match text {
        // `+1` would be a number, too.
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u64>().ok(),
        _ => None,
    };
    let range = match (first, last) {
        ("", last) => match number(last) {
            Some(last) => size.saturating_sub(last)..size,
            None => return Wanted::All,
        },
        (first, "") => match number(first) {
            Some(first) => first..size,
            None => return Wanted::All,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Wanted::All,
        },
    };
    match range.is_empty() {
        true => Wanted::Nothing,
        false => Wanted::Part(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood() {
        for (value, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=5-99", Wanted::Part(5..10)),
            ("Bytes=5-18446744073709551615", Wanted::Part(5..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=3-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=+0-1", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=a-", Wanted::All),
            ("bytes=18446744073709551616-", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("bytes", Wanted::All),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, value.parse().unwrap());
            assert_eq!(wanted(&headers, 10), expected, "{value}");
        }
        assert_eq!(wanted(&HeaderMap::new(), 10), Wanted::All);
    }
}
