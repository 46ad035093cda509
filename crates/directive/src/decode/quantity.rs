//! Numbers with their bounds: sizes, durations, counts.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{At, Decoder};
use crate::diagnostic::quote;
use crate::model::bounds;
use crate::units::{format_duration, format_size, parse_duration, parse_size};
use crate::yaml::{Kind, Scalar};

/// A size: text with a unit, or an integer of bytes.
pub(super) fn size(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    bounds: RangeInclusive<u64>,
) -> Option<u64> {
    let parsed = match (&at.node.kind, at.node.scalar()) {
        // A float may be meant as bytes or as a unit that was forgotten; both need a whole number.
        (Kind::Scalar { text, .. }, Some(Scalar::Text(_) | Scalar::Float)) => {
            parse_size(text).map(Some)
        }
        (_, Some(Scalar::Integer(bytes))) => Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok())),
        _ => {
            decoder.wrong_type(at, "a size such as `64Mi`", None);
            return None;
        }
    };
    match parsed {
        Ok(bytes) => in_bounds(decoder, at, bytes, bounds, format_size),
        Err(invalid) => {
            decoder.invalid(at, invalid);
            None
        }
    }
}

/// A duration: text with a unit.
pub(super) fn duration(decoder: &mut Decoder<'_>, at: &At<'_>) -> Option<Duration> {
    duration_in(decoder, at, bounds::TIME)
}

/// A duration that browsers are told, which is in whole seconds. The bounds are in milliseconds.
pub(super) fn seconds(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    bounds: RangeInclusive<u64>,
) -> Option<Duration> {
    let duration = duration_in(decoder, at, bounds)?;
    if duration.subsec_nanos() == 0 {
        return Some(duration);
    }
    let written = format_duration(duration);
    let more = format_duration(Duration::from_secs(duration.as_secs() + 1));
    let message = format!(
        "{} is told to browsers in whole seconds, found `{written}`",
        at.name
    );
    let help = format!("write `{more}`, for example; with `0s` they remember nothing");
    decoder.error(at.path.clone(), at.mark(), message, Some(help));
    None
}

fn duration_in(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    bounds: RangeInclusive<u64>,
) -> Option<Duration> {
    let parsed = match (&at.node.kind, at.node.scalar()) {
        (Kind::Scalar { text, .. }, Some(Scalar::Text(_) | Scalar::Float | Scalar::Integer(_))) => {
            parse_duration(text)
        }
        _ => {
            decoder.wrong_type(at, "a duration such as `30s`", None);
            return None;
        }
    };
    match parsed {
        Ok(duration) => {
            let millis = u64::try_from(duration.as_millis()).ok();
            in_bounds(decoder, at, millis, bounds, |millis| {
                format_duration(Duration::from_millis(millis))
            })
            .map(Duration::from_millis)
        }
        Err(invalid) => {
            decoder.invalid(at, invalid);
            None
        }
    }
}

/// A number of things.
pub(super) fn count(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    bounds: RangeInclusive<u32>,
) -> Option<u32> {
    match at.node.scalar() {
        Some(Scalar::Integer(number)) => {
            let number = number.and_then(|number| u32::try_from(number).ok());
            in_bounds(decoder, at, number, bounds, |number| number)
        }
        _ => {
            decoder.wrong_type(at, "a whole number", None);
            None
        }
    }
}

/// The number if it is in bounds; `None` is a number beyond the type.
fn in_bounds<N: PartialOrd + Copy, D: Display>(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    number: Option<N>,
    bounds: RangeInclusive<N>,
    show: impl Fn(N) -> D,
) -> Option<N> {
    if let Some(number) = number.filter(|number| bounds.contains(number)) {
        return Some(number);
    }
    let written = match &at.node.kind {
        Kind::Scalar { text, .. } => quote(text),
        Kind::List(_) | Kind::Map(_) => String::new(),
    };
    let message = format!(
        "{} must be from `{}` to `{}`, found {written}",
        at.name,
        show(*bounds.start()),
        show(*bounds.end())
    );
    decoder.error(at.path.clone(), at.mark(), message, None);
    None
}
