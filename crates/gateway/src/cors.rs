//! Which pages of other origins may use a route: the server's side of CORS (Fetch, section 3.2).
//!
//! This is for browsers, which ask on behalf of their users. It keeps nobody out who asks without
//! one: a request whose origin is not allowed is answered as any other, and the browser does not
//! show the answer to the page. Only a preflight, which asks in advance, is refused.

use std::collections::BTreeSet;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN,
};
use http::request::Parts;
use http::uri::Uri;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use strand_directive::{HttpRule, Origins};
use strand_engine::{Body, Kind, Problem};

use crate::answer::empty;
use crate::rules::{Unfit, header_value, vary};

/// Fields that every page may send, so that no route has to name them. Browsers ask for them all
/// the same where a value is not one of those that every page may send, as in `range: bytes=-500`.
const SAFELISTED: [&str; 4] = ["accept", "accept-language", "content-language", "range"];

/// Characters of a client's text that are told back to it.
const MOST_TOLD: usize = 100;

/// A route's rule.
#[derive(Debug)]
pub(crate) struct Cors {
    /// `None` stands for all.
    origins: Option<Vec<HttpRule>>,
    headers: BTreeSet<String>,
    credentials: bool,
    allow_headers: Option<HeaderValue>,
    expose_headers: Option<HeaderValue>,
    max_age: HeaderValue,
}

impl Cors {
    pub(crate) fn new(rule: &strand_directive::Cors) -> Result<Self, Unfit> {
        let list = |field, names: &BTreeSet<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            (!names.is_empty())
                .then(|| header_value(field, &names.join(", ")))
                .transpose()
        };
        Ok(Self {
            origins: match &rule.origins {
                Origins::Any => None,
                Origins::Of(rules) => Some(rules.clone()),
            },
            allow_headers: list("cors.headers", &rule.headers)?,
            expose_headers: list("cors.expose", &rule.expose)?,
            headers: rule.headers.clone(),
            credentials: rule.credentials,
            max_age: HeaderValue::from(rule.max_age.as_secs()),
        })
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let Some(rules) = &self.origins else {
            return true;
        };
        // A serialized origin: a scheme, a host and perhaps a port, and nothing behind.
        let text = origin.to_str().unwrap_or_default();
        let Ok(uri) = text.parse::<Uri>() else {
            return false;
        };
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return false;
        };
        let port = match uri.port_u16() {
            Some(port) => port,
            None if scheme == "https" => 443,
            None => 80,
        };
        let whole = match uri.port() {
            Some(port) => text == format!("{scheme}://{host}:{port}"),
            None => text == format!("{scheme}://{host}"),
        };
        whole && rules.iter().any(|rule| rule.matches(scheme, host, port))
    }

    /// Tells the browser who may see an answer, of which [`strip`] took what the function said.
    pub(crate) fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.allow_origin(origin, headers)
            && let Some(expose) = &self.expose_headers
        {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }

    /// Whether the origin is allowed, which it is told then.
    fn allow_origin(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
        if self.origins.is_none() {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return true;
        }
        vary(headers, "origin");
        let Some(origin) = origin.filter(|origin| self.allows(origin)) else {
            return false;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        true
    }

    /// Answers what a browser asks before a request of this method.
    ///
    /// # Errors
    /// [`Kind::Denied`] says what of it is not allowed.
    pub(crate) fn preflight(
        &self,
        method: &Method,
        parts: &Parts,
    ) -> Result<Response<Body>, Problem> {
        let origin = parts.headers.get(ORIGIN);
        if !origin.is_some_and(|origin| self.allows(origin)) {
            let origin = origin.and_then(|origin| origin.to_str().ok());
            return Err(denied("pages of the origin", origin.unwrap_or_default()));
        }
        let asked = parts.headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS);
        let asked = asked.into_iter().map(|value| value.to_str());
        let mut safelisted = BTreeSet::new();
        for names in asked {
            let names = names.unwrap_or("?").split(',').map(str::trim);
            for name in names.filter(|name| !name.is_empty()) {
                let lower = name.to_ascii_lowercase();
                if self.headers.contains(&lower) {
                    continue;
                }
                match SAFELISTED.into_iter().find(|known| *known == lower) {
                    Some(known) => safelisted.insert(known),
                    None => return Err(denied("the header field", name)),
                };
            }
        }
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        vary(headers, "access-control-request-method");
        vary(headers, "access-control-request-headers");
        if let Ok(method) = HeaderValue::from_str(method.as_str()) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method);
        }
        if let Some(allowed) = self.allow_headers(&safelisted) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        Ok(response)
    }

    /// What pages may send: what the route names, and what of the rest was asked for and every page
    /// may send.
    fn allow_headers(&self, safelisted: &BTreeSet<&'static str>) -> Option<HeaderValue> {
        if safelisted.is_empty() {
            return self.allow_headers.clone();
        }
        let named = self.headers.iter().map(String::as_str);
        let names: Vec<&str> = named.chain(safelisted.iter().copied()).collect();
        // Names of fields, which is what `new` made a value of.
        HeaderValue::from_str(&names.join(", ")).ok()
    }
}

/// Takes out what a function says of CORS on a route that says it itself.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let is_said = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let said: Vec<_> = headers.keys().filter(is_said).cloned().collect();
    for name in said {
        headers.remove(name);
    }
}

fn denied(what: &str, text: &str) -> Problem {
    let text: String = text.chars().take(MOST_TOLD).collect();
    let detail = format!("`cors` of this route does not allow {what} `{text}`");
    Problem::new(Kind::Denied, detail)
}

/// The method that a browser asks about in advance, if this request is such a question.
pub(crate) fn preflight_method(parts: &Parts) -> Option<Method> {
    if parts.method != Method::OPTIONS || !parts.headers.contains_key(ORIGIN) {
        return None;
    }
    let method = parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(method.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;

    fn cors(origins: &[&str], credentials: bool) -> Cors {
        let rules = origins.iter().map(|text| HttpRule::parse(text).unwrap());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Cors::new(&strand_directive::Cors {
            origins: if origins.is_empty() {
                Origins::Any
            } else {
                Origins::Of(rules.collect())
            },
            headers: names(&["content-type", "x-token"]),
            expose: names(&["x-total"]),
            credentials,
            max_age: Duration::from_secs(600),
        })
        .unwrap()
    }

    fn marked(cors: &Cors, origin: Option<&str>) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        // What the function says counts for nothing.
        for name in [
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "access-control-allow-private-network",
            "access-control-max-age",
        ] {
            headers.append(name, HeaderValue::from_static("*"));
            headers.append(name, HeaderValue::from_static("more"));
        }
        strip(&mut headers);
        let origin = origin.map(|origin| HeaderValue::from_str(origin).unwrap());
        cors.mark(origin.as_ref(), &mut headers);
        let mut fields: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        fields.sort();
        fields
    }

    #[test]
    fn origins_are_whole() {
        let cors = cors(
            &[
                "https://a.example",
                "https://*.b.example",
                "http://localhost:3000",
                "http://c.example",
            ],
            false,
        );
        for (origin, expected) in [
            ("https://a.example", true),
            ("https://x.b.example", true),
            ("https://x.y.b.example", true),
            ("http://localhost:3000", true),
            ("https://a.example:443", true),
            ("http://c.example", true),
            ("http://c.example:80", true),
            ("https://c.example", false),
            ("http://c.example:443", false),
            ("http://a.example", false),
            ("https://a.example:8443", false),
            ("https://a.example.evil.example", false),
            ("https://evil-a.example", false),
            ("https://b.example", false),
            ("https://xb.example", false),
            ("http://localhost", false),
            ("https://a.example/", false),
            ("https://a.example/x", false),
            ("https://a.example?x", false),
            ("https://a.example:443/", false),
            ("https://user@a.example", false),
            ("https://user@a.example:443", false),
            ("https://a.example https://b", false),
            ("a.example", false),
            ("null", false),
            ("", false),
            ("//a.example", false),
        ] {
            let value = HeaderValue::from_str(origin).unwrap();
            assert_eq!(cors.allows(&value), expected, "{origin}");
        }
        assert!(!cors.allows(&HeaderValue::from_bytes(b"https://a.example\xff").unwrap()));
    }

    #[test]
    fn answers_are_marked_for_their_origin() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let some = cors(&["https://a.example"], true);
        assert_eq!(
            marked(&some, Some("https://a.example")),
            [
                field("access-control-allow-credentials", "true"),
                field("access-control-allow-origin", "https://a.example"),
                field("access-control-expose-headers", "x-total"),
                field("vary", "origin"),
            ]
        );
        for other in [Some("https://b.example"), None] {
            assert_eq!(marked(&some, other), [field("vary", "origin")], "{other:?}");
        }
        // Cookies come along only where the route says so.
        assert_eq!(
            marked(
                &cors(&["https://a.example"], false),
                Some("https://a.example")
            ),
            [
                field("access-control-allow-origin", "https://a.example"),
                field("access-control-expose-headers", "x-total"),
                field("vary", "origin"),
            ]
        );
        for origin in [Some("https://b.example"), Some("null"), None] {
            assert_eq!(
                marked(&cors(&[], false), origin),
                [
                    field("access-control-allow-origin", "*"),
                    field("access-control-expose-headers", "x-total"),
                ],
                "{origin:?}"
            );
        }
    }

    fn preflight(origin: &str, asked: &[&str]) -> Result<Response<Body>, String> {
        preflight_of(&cors(&["https://a.example"], false), origin, asked)
    }

    fn preflight_of(cors: &Cors, origin: &str, asked: &[&str]) -> Result<Response<Body>, String> {
        let mut request = Request::options("/").header(ORIGIN, origin);
        for names in asked {
            request = request.header(ACCESS_CONTROL_REQUEST_HEADERS, *names);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        cors.preflight(&Method::PUT, &parts)
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn preflights_are_answered() {
        let named = "content-type, x-token";
        for (asked, allowed) in [
            (&[][..], named),
            (&["content-type"], named),
            (&["X-Token,Content-Type"], named),
            (&["Range"], "content-type, x-token, range"),
            (
                &["x-token", " range , accept,", "range"],
                "content-type, x-token, accept, range",
            ),
        ] {
            let answer = preflight("https://a.example", asked).unwrap();
            assert_eq!(answer.status(), 204);
            let headers = answer.headers();
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "PUT");
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_HEADERS], allowed);
            assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "600");
            let vary: Vec<_> = headers.get_all("vary").iter().collect();
            assert_eq!(
                vary,
                [
                    "access-control-request-method",
                    "access-control-request-headers"
                ]
            );
        }
    }

    #[test]
    fn where_all_origins_are_allowed_all_may_ask_in_advance() {
        for origin in ["https://b.example", "null", "nonsense"] {
            let answer = preflight_of(&cors(&[], false), origin, &["x-token"]).unwrap();
            assert_eq!(answer.status(), 204, "{origin}");
        }
        let refused = preflight_of(&cors(&[], false), "https://b.example", &["x-other"]);
        assert!(refused.unwrap_err().ends_with("`x-other`"));
    }

    #[test]
    fn a_route_that_names_no_fields_allows_those_of_every_page() {
        let cors = Cors::new(&strand_directive::Cors {
            origins: Origins::Any,
            headers: BTreeSet::new(),
            expose: BTreeSet::new(),
            credentials: false,
            max_age: Duration::ZERO,
        })
        .unwrap();
        for (asked, allowed) in [(&[][..], None), (&["range"], Some("range"))] {
            let answer = preflight_of(&cors, "https://b.example", asked).unwrap();
            let told = answer.headers().get(ACCESS_CONTROL_ALLOW_HEADERS);
            assert_eq!(told.map(|told| told.to_str().unwrap()), allowed);
            assert_eq!(answer.headers()[ACCESS_CONTROL_MAX_AGE], "0");
        }
        assert!(preflight_of(&cors, "https://b.example", &["x-token"]).is_err());
        let told = [("access-control-allow-origin".to_owned(), "*".to_owned())];
        assert_eq!(marked(&cors, None), told);
    }

    #[test]
    fn what_a_preflight_is_refused_for_is_named() {
        let long = "x".repeat(300);
        let begun = format!("the header field `{}`", "x".repeat(100));
        for (origin, asked, expected) in [
            (
                "https://b.example",
                &[][..],
                "pages of the origin `https://b.example`",
            ),
            ("null", &[], "pages of the origin `null`"),
            (
                "https://a.example",
                &["x-token, X-Other"],
                "the header field `X-Other`",
            ),
            ("https://a.example", &["*"], "the header field `*`"),
            (
                "https://a.example",
                &["authorization"],
                "the header field `authorization`",
            ),
            // No name at all, and one that is too long to be told back.
            ("https://a.example", &["\u{e4}"], "the header field `?`"),
            ("https://a.example", &[&long], &begun),
        ] {
            let refused = preflight(origin, asked).unwrap_err();
            let expected = format!("denied: `cors` of this route does not allow {expected}");
            assert_eq!(refused, expected);
        }
    }

    #[test]
    fn only_questions_are_preflights() {
        for (method, fields, expected) in [
            (
                "OPTIONS",
                &[
                    ("origin", "https://a"),
                    ("access-control-request-method", "PUT"),
                ][..],
                Some(Method::PUT),
            ),
            ("OPTIONS", &[("access-control-request-method", "PUT")], None),
            ("OPTIONS", &[("origin", "https://a")], None),
            (
                "OPTIONS",
                &[
                    ("origin", "https://a"),
                    ("access-control-request-method", "a b"),
                ],
                None,
            ),
            (
                "GET",
                &[
                    ("origin", "https://a"),
                    ("access-control-request-method", "PUT"),
                ],
                None,
            ),
        ] {
            let mut request = Request::builder().method(method);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            assert_eq!(preflight_method(&parts), expected, "{method} {fields:?}");
        }
    }
}
