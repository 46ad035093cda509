//! What went wrong, as `application/problem+json` (RFC 9457).

use serde::Serialize;

/// The content type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The methods that the functions take, as the field `Allow` of a 405 has them.
pub const METHODS: &str = "GET, HEAD";

/// An answer that says what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A URN for the kind of problem.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The kind in a few words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What there is instead of what was asked for; at most [`MOST_LISTED`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<Vec<String>>,
}

/// Names that a problem lists at most.
pub const MOST_LISTED: usize = 100;

impl Problem {
    fn new(kind: &'static str, title: &'static str, status: u16, detail: String) -> Self {
        Self {
            kind,
            title,
            status,
            detail,
            field: None,
            available: None,
        }
    }

    /// A parameter that is wrong.
    pub fn bad_request(field: &str, detail: impl Into<String>) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..Self::new(
                "urn:strand:problem:bad-request",
                "Bad request",
                400,
                detail.into(),
            )
        }
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
        Self {
            available: Some(available),
            ..Self::new("urn:strand:problem:not-found", "Not found", 404, detail)
        }
    }

    /// A path that this function does not serve.
    pub fn no_route(path: &str) -> Self {
        let detail = format!("nothing is served at {path}");
        Self::new("urn:strand:problem:not-found", "Not found", 404, detail)
    }

    /// A method other than those of [`METHODS`].
    pub fn method() -> Self {
        let detail = format!("allowed here: {METHODS}");
        Self::new(
            "urn:strand:problem:method-not-allowed",
            "Method not allowed",
            405,
            detail,
        )
    }

    /// A function that is not set up as it has to be.
    pub fn misconfigured(detail: impl Into<String>) -> Self {
        Self::new(
            "urn:strand:problem:guest-fault",
            "Misconfigured",
            500,
            detail.into(),
        )
    }

    /// A reference whose data is not what it should be.
    pub fn broken_reference(reference: &str, detail: impl std::fmt::Display) -> Self {
        Self::new(
            "urn:strand:problem:guest-fault",
            "The reference cannot be used",
            500,
            format!("reference {reference}: {detail}"),
        )
    }

    /// An object or another function that could not be reached.
    pub fn unreachable(what: &str, detail: impl std::fmt::Display) -> Self {
        Self::new(
            "urn:strand:problem:guest-fault",
            "A resource failed",
            502,
            format!("{what}: {detail}"),
        )
    }

    /// The body of the answer.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers always serialize; if they did not, an empty object is the least untruth.
        serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec())
    }
}

/// What a problem that came as JSON says, if it is one.
pub fn detail(json: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(json).ok()?;
    value.get("detail")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_those_of_the_kind() {
        let json = |problem: Problem| String::from_utf8(problem.to_json()).expect("JSON");
        assert_eq!(
            json(Problem::bad_request("n", "n must be small")),
            r#"{"type":"urn:strand:problem:bad-request","title":"Bad request","status":400,"detail":"n must be small","field":"n"}"#
        );
        assert_eq!(
            json(Problem::not_found(
                "no such reference",
                vec!["lambda".into()]
            )),
            r#"{"type":"urn:strand:problem:not-found","title":"Not found","status":404,"detail":"no such reference","available":["lambda"]}"#
        );
        let problem = Problem::bad_request("n", "small");
        assert_eq!(detail(&problem.to_json()), Some("small".into()));
        assert_eq!((detail(b"{}"), detail(b"oops")), (None, None));
        let many = (0..101).map(|k| k.to_string()).collect();
        let problem = Problem::not_found("none", many);
        assert_eq!(problem.detail, "none (the first 100 of 101 are listed)");
        assert_eq!(
            problem.available.map(|names| names.len()),
            Some(MOST_LISTED)
        );
    }
}
