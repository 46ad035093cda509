//! What a route does to its requests and answers beside what answers them.

use http::header::{CACHE_CONTROL, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use strand_directive::{DEFAULT_CACHE_CONTROL, RouteLimits};

use crate::cors::Cors;

/// A route's rules, ready to be used.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) cors: Option<Cors>,
    pub(crate) limits: RouteLimits,
    pub(crate) compress: bool,
    cache_control: Option<HeaderValue>,
    set: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
}

/// What cannot stand in a header.
#[derive(Debug)]
pub(crate) struct Unfit {
    /// The rule, as the Directive names it.
    pub(crate) field: &'static str,
    pub(crate) text: String,
}

impl Rules {
    /// `None` for rules that change nothing.
    pub(crate) fn new(
        rules: &strand_directive::Rules,
        is_static: bool,
    ) -> Result<Option<Self>, Unfit> {
        if !is_static && *rules == strand_directive::Rules::default() {
            return Ok(None);
        }
        let usual = is_static.then_some(DEFAULT_CACHE_CONTROL);
        let cache_control = rules.cache_control.as_deref().or(usual);
        let set = rules.headers.set.iter().map(|(name, value)| {
            let field = "headers.set";
            Ok((header_name(field, name)?, header_value(field, value)?))
        });
        let remove = rules.headers.remove.iter();
        let remove = remove.map(|name| header_name("headers.remove", name));
        Ok(Some(Self {
            cors: rules.cors.as_ref().map(Cors::new).transpose()?,
            limits: rules.limits,
            compress: rules.compress,
            cache_control: cache_control
                .map(|text| header_value("cacheControl", text))
                .transpose()?,
            set: set.collect::<Result<_, _>>()?,
            remove: remove.collect::<Result<_, _>>()?,
        }))
    }

    /// Says of what was asked for how long it may be kept, unless the function said so itself.
    pub(crate) fn mark_lifetime(&self, status: StatusCode, headers: &mut HeaderMap) {
        let found = status.is_success() || status == StatusCode::NOT_MODIFIED;
        if let (true, Some(value)) = (found, &self.cache_control)
            && !headers.contains_key(CACHE_CONTROL)
        {
            headers.insert(CACHE_CONTROL, value.clone());
        }
    }

    /// Takes fields out of the head of any answer and sets others. An error of the node's own
    /// says nothing of how long it may be kept: it may be over with the next request, and no cache
    /// is to tell it to others.
    pub(crate) fn set_fields(&self, headers: &mut HeaderMap, is_error: bool) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            if !(is_error && is_lifetime(name)) {
                headers.insert(name, value.clone());
            }
        }
    }
}

/// Whether a field tells caches how long they may keep an answer. The names of those that are for
/// some caches alone end as that for all does (RFC 9213, section 2).
fn is_lifetime(name: &HeaderName) -> bool {
    let text = name.as_str();
    matches!(text, "expires" | "surrogate-control") || text.ends_with("cache-control")
}

pub(crate) fn header_name(field: &'static str, text: &str) -> Result<HeaderName, Unfit> {
    HeaderName::try_from(text).map_err(|_| Unfit {
        field,
        text: text.to_owned(),
    })
}

pub(crate) fn header_value(field: &'static str, text: &str) -> Result<HeaderValue, Unfit> {
    HeaderValue::try_from(text).map_err(|_| Unfit {
        field,
        text: text.to_owned(),
    })
}

/// Adds to `Vary` what the answer depends on, unless it says so already.
pub(crate) fn vary(headers: &mut HeaderMap, name: &'static str) {
    let known = headers.get_all(http::header::VARY).into_iter();
    let said = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim() == "*" || token.trim().eq_ignore_ascii_case(name));
    if !said {
        headers.append(http::header::VARY, HeaderValue::from_static(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(rules: strand_directive::HeaderRules) -> Rules {
        let rules = strand_directive::Rules {
            headers: rules,
            ..strand_directive::Rules::default()
        };
        Rules::new(&rules, false).unwrap().unwrap()
    }

    #[test]
    fn rules_that_say_nothing_cost_nothing() {
        let nothing = strand_directive::Rules::default();
        assert!(Rules::new(&nothing, false).unwrap().is_none());
        let of_files = Rules::new(&nothing, true).unwrap().unwrap();
        let mut headers = HeaderMap::new();
        of_files.mark_lifetime(StatusCode::NOT_FOUND, &mut headers);
        assert!(headers.is_empty());
        of_files.mark_lifetime(StatusCode::NOT_MODIFIED, &mut headers);
        assert_eq!(headers[CACHE_CONTROL], DEFAULT_CACHE_CONTROL);
    }

    #[test]
    fn an_error_is_told_without_a_lifetime() {
        let set = [
            "cache-control",
            "cdn-cache-control",
            "expires",
            "surrogate-control",
            "x-a",
        ];
        let rules = with(strand_directive::HeaderRules {
            set: set.map(|name| (name.to_owned(), "0".to_owned())).into(),
            ..Default::default()
        });
        for (is_error, expected) in [(false, &set[..]), (true, &["x-a"])] {
            let mut headers = HeaderMap::new();
            rules.set_fields(&mut headers, is_error);
            let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn fields_are_set_and_taken_out() {
        let rules = with(strand_directive::HeaderRules {
            set: [("x-a".to_owned(), "mine".to_owned())].into(),
            remove: ["server".to_owned()].into(),
        });
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        headers.append("server", HeaderValue::from_static("guest"));
        rules.set_fields(&mut headers, true);
        let left: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        assert_eq!(left, [("x-a", &HeaderValue::from_static("mine"))]);
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_named() {
        let rules = strand_directive::Rules {
            headers: strand_directive::HeaderRules {
                set: [("x".to_owned(), "a\r\nb: c".to_owned())].into(),
                ..Default::default()
            },
            ..Default::default()
        };
        let unfit = Rules::new(&rules, false).unwrap_err();
        assert_eq!(
            (unfit.field, unfit.text.as_str()),
            ("headers.set", "a\r\nb: c")
        );
    }

    #[test]
    fn vary_grows_by_what_it_lacks() {
        let mut headers = HeaderMap::new();
        vary(&mut headers, "origin");
        vary(&mut headers, "accept-encoding");
        vary(&mut headers, "origin");
        let said: Vec<_> = headers.get_all("vary").iter().collect();
        assert_eq!(said, ["origin", "accept-encoding"]);
        for known in ["*", "Accept, ORIGIN"] {
            let mut headers = HeaderMap::new();
            headers.insert("vary", HeaderValue::from_static(known));
            vary(&mut headers, "origin");
            assert_eq!(headers.get_all("vary").iter().count(), 1, "{known}");
        }
    }
}
