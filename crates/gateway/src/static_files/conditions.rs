//! Conditional requests (RFC 9110, section 13).

use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderName};

use super::tag::Tag;

/// A request's conditions, and the range that goes with them.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
    if_range: Option<String>,
    range: Option<String>,
}

/// What they come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Send it, or the range that was asked for.
    Send {
        /// Whether a range counts.
        ranges: bool,
    },
    /// The client has it.
    NotModified,
    /// A precondition does not hold.
    Failed,
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let date = |name| {
            let text = headers.get(name)?.to_str().ok()?;
            httpdate::parse_http_date(text).ok()
        };
        Self {
            if_match: joined(headers, &header::IF_MATCH),
            if_none_match: joined(headers, &header::IF_NONE_MATCH),
            if_modified_since: date(header::IF_MODIFIED_SINCE),
            if_unmodified_since: date(header::IF_UNMODIFIED_SINCE),
            if_range: joined(headers, &header::IF_RANGE),
            range: joined(headers, &header::RANGE),
        }
    }

    pub(super) fn range(&self) -> Option<&str> {
        self.range.as_deref()
    }

    /// In the order of RFC 9110, section 13.2.2.
    pub(super) fn evaluate(&self, tag: &Tag, modified: Option<SystemTime>) -> Outcome {
        // Dates in headers are of whole seconds.
        let modified = modified.map(whole_seconds);
        if let Some(wanted) = &self.if_match {
            if !any_tag(wanted, |other| strongly_equal(other, tag)) {
                return Outcome::Failed;
            }
        } else if let (Some(since), Some(modified)) = (self.if_unmodified_since, modified)
            && modified > since
        {
            return Outcome::Failed;
        }
        if let Some(known) = &self.if_none_match {
            if any_tag(known, |other| other.opaque == tag.opaque) {
                return Outcome::NotModified;
            }
        } else if let (Some(since), Some(modified)) = (self.if_modified_since, modified)
            && modified <= since
        {
            return Outcome::NotModified;
        }
        let ranges = match &self.if_range {
            None => true,
            Some(text) => match parse_tag(text.trim()) {
                Some((other, "")) => strongly_equal(&other, tag),
                // A date is as good as a tag only if the file cannot have changed
                // twice in that second: then its tag is a strong one.
                _ => {
                    !tag.weak
                        && modified.is_some()
                        && httpdate::parse_http_date(text).ok() == modified
                }
            },
        };
        Outcome::Send { ranges }
    }
}

/// A field that may be there several times, as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers
        .get_all(name)
        .into_iter()
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn strongly_equal(one: &Tag, other: &Tag) -> bool {
    !one.weak && !other.weak && one.opaque == other.opaque
}

/// Whether a list of tags has one that fits; `*` always fits. What cannot be read ends
/// the list.
fn any_tag(list: &str, fits: impl Fn(&Tag) -> bool) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        match parse_tag(rest) {
            Some((tag, _)) if fits(&tag) => return true,
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
}

/// A tag at the beginning of a text, and what follows it.
fn parse_tag(text: &str) -> Option<(Tag, &str)> {
    let (weak, quoted) = match text.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (opaque, after) = quoted.strip_prefix('"')?.split_once('"')?;
    let tag = Tag {
        weak,
        opaque: opaque.to_owned(),
    };
    Some((tag, after))
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const EXACT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn evaluate(fields: &[(&'static str, &str)], weak: bool) -> Outcome {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let tag = Tag {
            weak,
            opaque: "t".to_owned(),
        };
        let modified = httpdate::parse_http_date(EXACT).unwrap() + Duration::from_millis(500);
        Conditions::of(&headers).evaluate(&tag, Some(modified))
    }

    const SEND: Outcome = Outcome::Send { ranges: true };
    const WHOLE: Outcome = Outcome::Send { ranges: false };

    #[test]
    fn conditions_of_a_strong_tag() {
        for (fields, expected) in [
            (&[][..], SEND),
            (&[("if-none-match", "\"t\"")], Outcome::NotModified),
            (&[("if-none-match", "W/\"t\"")], Outcome::NotModified),
            (&[("if-none-match", "\"a\", \"t\"")], Outcome::NotModified),
            (&[("if-none-match", "\"a,b\",\"t\"")], Outcome::NotModified),
            (
                &[("if-none-match", "\"a\""), ("if-none-match", "\"t\"")],
                Outcome::NotModified,
            ),
            (&[("if-none-match", "*")], Outcome::NotModified),
            (&[("if-none-match", "\"a\"")], SEND),
            (&[("if-none-match", "t")], SEND),
            (&[("if-none-match", "\"t")], SEND),
            (
                &[("if-none-match", "\"a\""), ("if-modified-since", AFTER)],
                SEND,
            ),
            (&[("if-modified-since", BEFORE)], SEND),
            (&[("if-modified-since", EXACT)], Outcome::NotModified),
            (&[("if-modified-since", AFTER)], Outcome::NotModified),
            (&[("if-modified-since", "yesterday")], SEND),
            (&[("if-unmodified-since", BEFORE)], Outcome::Failed),
            (&[("if-unmodified-since", EXACT)], SEND),
            (&[("if-match", "\"t\"")], SEND),
            (&[("if-match", "*")], SEND),
            (&[("if-match", "\"a\"")], Outcome::Failed),
            (&[("if-match", "W/\"t\"")], Outcome::Failed),
            (
                &[("if-match", "\"t\""), ("if-unmodified-since", BEFORE)],
                SEND,
            ),
            (
                &[("if-match", "\"t\""), ("if-none-match", "\"t\"")],
                Outcome::NotModified,
            ),
            (&[("if-range", "\"t\"")], SEND),
            (&[("if-range", "\"a\"")], WHOLE),
            (&[("if-range", "W/\"t\"")], WHOLE),
            (&[("if-range", EXACT)], SEND),
            (&[("if-range", AFTER)], WHOLE),
            (&[("if-range", "nonsense")], WHOLE),
            // One tag and nothing else.
            (&[("if-range", "\"t\", \"a\"")], WHOLE),
            (&[("if-range", "\"t\""), ("if-range", "\"t\"")], WHOLE),
        ] {
            assert_eq!(evaluate(fields, false), expected, "{fields:?}");
        }
    }

    #[test]
    fn conditions_of_a_weak_tag() {
        for (fields, expected) in [
            (&[("if-none-match", "\"t\"")], Outcome::NotModified),
            (&[("if-match", "\"t\"")], Outcome::Failed),
            (&[("if-range", "\"t\"")], WHOLE),
            (&[("if-range", EXACT)], WHOLE),
        ] {
            assert_eq!(evaluate(fields, true), expected, "{fields:?}");
        }
    }
}
