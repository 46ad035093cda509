//! What went wrong, as `application/problem+json` (RFC 9457), in the kinds that the node has too.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde_json::Value;

/// The content type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The methods that the functions take, as the field `Allow` of a 405 has them.
pub const METHODS: &str = "GET, HEAD";

/// What every kind begins with.
const URN: &str = "urn:strand:problem:";

/// An answer that says what is wrong and what to do. Boxed, because it is the error of nearly every
/// function here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem(Box<Members>);

/// The members of a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Members {
    /// A URN for the kind of problem.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The kind in a few words.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The limit that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What there is instead of what was asked for; at most [`MOST_LISTED`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<Vec<String>>,
}

/// Names that a problem lists at most.
pub const MOST_LISTED: usize = 100;

impl Deref for Problem {
    type Target = Members;

    fn deref(&self) -> &Members {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Members {
        &mut self.0
    }
}

impl Problem {
    fn new(kind: &'static str, title: &'static str, status: u16, detail: String) -> Self {
        Self(Box::new(Members {
            kind: format!("{URN}{kind}").into(),
            title: title.into(),
            status,
            detail,
            instance: None,
            field: None,
            limit: None,
            value: None,
            available: None,
        }))
    }

    /// A parameter that is wrong.
    pub fn bad_request(field: &str, detail: impl Into<String>) -> Self {
        let title = "The request is malformed";
        let mut problem = Self::new("bad-request", title, 400, detail.into());
        problem.field = Some(field.to_owned());
        problem
    }

    /// Something that is not there, and what is.
    pub fn not_found(detail: impl Into<String>, available: Vec<String>) -> Self {
        let (mut detail, mut available) = (detail.into(), available);
        if available.len() > MOST_LISTED {
            detail += &format!(
                " (the first {MOST_LISTED} of {} are listed)",
                available.len()
            );
            available.truncate(MOST_LISTED);
        }
        let mut problem = Self::new("not-found", "Not found", 404, detail);
        problem.available = Some(available);
        problem
    }

    /// A path that this function does not serve.
    pub fn no_route(path: &str) -> Self {
        let detail = format!("nothing is served at {path}");
        Self::new("not-found", "Not found", 404, detail)
    }

    /// A method other than those of [`METHODS`].
    pub fn method() -> Self {
        let detail = format!("allowed here: {METHODS}");
        Self::new("method-not-allowed", "Method not allowed", 405, detail)
    }

    /// A function that is not set up as it has to be.
    pub fn misconfigured(detail: impl Into<String>) -> Self {
        Self::new("guest-fault", "The function failed", 500, detail.into())
    }

    /// A reference whose data is not what it should be.
    pub fn broken_reference(reference: &str, detail: impl fmt::Display) -> Self {
        let detail = format!("reference {reference} cannot be used: {detail}");
        Self::new("guest-fault", "The function failed", 500, detail)
    }

    /// What the function needs and the node could not give: an object, another function.
    pub fn unreachable(what: &str, detail: impl fmt::Display) -> Self {
        let detail = format!("{what}: {detail}");
        Self::new("host-fault", "The node failed", 500, detail)
    }

    /// The problem that another function answered with; `None` if it is none.
    pub fn received(status: u16, json: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(json).ok()?;
        let text = |name: &str| json.get(name)?.as_str().map(str::to_owned);
        Some(Self(Box::new(Members {
            kind: text("type")?.into(),
            title: text("title")?.into(),
            // What the caller does about it goes by the status that came.
            status,
            detail: text("detail")?,
            instance: text("instance"),
            field: text("field"),
            limit: text("limit"),
            value: text("value"),
            // Names of what the other one was asked for are of no use to whoever asks us.
            available: None,
        })))
    }

    /// Whether it may be gone in a moment: too much to do, and not that the node ends.
    pub fn may_pass(&self) -> bool {
        self.status == 503 && !self.kind.ends_with(":draining")
    }

    /// Seconds after which it is worth trying again.
    pub fn retry_after(&self) -> Option<&'static str> {
        (self.status == 503).then_some("1")
    }

    /// The body of the answer.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers always serialize; if they did not, an empty object is the least untruth.
        serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_those_of_the_kind() {
        let json = |problem: Problem| String::from_utf8(problem.to_json()).expect("JSON");
        let mut problem = Problem::bad_request("n", "n must be small");
        problem.instance = Some("id-7".into());
        assert_eq!(
            json(problem),
            r#"{"type":"urn:strand:problem:bad-request","title":"The request is malformed","status":400,"detail":"n must be small","instance":"id-7","field":"n"}"#
        );
        assert_eq!(
            json(Problem::not_found(
                "no such reference",
                vec!["lambda".into()]
            )),
            r#"{"type":"urn:strand:problem:not-found","title":"Not found","status":404,"detail":"no such reference","available":["lambda"]}"#
        );
        assert_eq!(
            json(Problem::unreachable("the object store", "no route")),
            r#"{"type":"urn:strand:problem:host-fault","title":"The node failed","status":500,"detail":"the object store: no route"}"#
        );
        let many = (0..101).map(|k| k.to_string()).collect();
        let problem = Problem::not_found("none", many);
        assert_eq!(problem.detail, "none (the first 100 of 101 are listed)");
        assert_eq!(problem.available.as_ref().map(Vec::len), Some(MOST_LISTED));
    }

    #[test]
    fn a_problem_of_another_function_stays_what_it_is() {
        // As the node writes it.
        let full = br#"{"detail":"1 calls of this function run and 16 wait already","instance":"id-7","limit":"concurrency","status":503,"title":"A limit was reached","type":"urn:strand:problem:limit","value":"1"}"#;
        let problem = Problem::received(503, full).expect("a problem");
        assert_eq!(problem.limit.as_deref(), Some("concurrency"));
        assert_eq!(problem.retry_after(), Some("1"));
        assert!(problem.may_pass());
        let again = Problem::received(503, &problem.to_json());
        assert_eq!(again, Some(problem));

        let draining =
            br#"{"detail":"d","status":503,"title":"t","type":"urn:strand:problem:draining"}"#;
        let problem = Problem::received(503, draining).expect("a problem");
        assert!(!problem.may_pass());
        assert_eq!(problem.retry_after(), Some("1"));

        let broken = Problem::broken_reference("a", "line 1");
        assert_eq!((broken.may_pass(), broken.retry_after()), (false, None));
        assert_eq!(Problem::received(500, &broken.to_json()), Some(broken));
        assert_eq!(Problem::received(500, b"{}"), None);
        assert_eq!(Problem::received(500, b"oops"), None);
    }
}
