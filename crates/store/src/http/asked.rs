//! What is asked, and by whom.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;

use super::answer::Refused;
use crate::Repository;
use crate::auth::{Caller, Right};

/// The body of a request, whatever brings it; an error says why it broke off.
pub(super) type Incoming = UnsyncBoxBody<Bytes, String>;

/// A request without its body.
pub(super) struct Asked<'a> {
    pub(super) caller: &'a Caller,
    pub(super) head: &'a Parts,
}

impl Asked<'_> {
    /// Refuses who may not: whoever has not said who he is is asked.
    pub(super) fn allow(&self, right: Right, repository: &Repository) -> Result<(), Refused> {
        if self.caller.may(right, repository) {
            return Ok(());
        }
        let what = right.as_str();
        Err(match self.caller.name() {
            None => Refused::new(
                StatusCode::UNAUTHORIZED,
                format!("to {what} in `{repository}` one has to say who one is"),
            ),
            Some(name) => Refused::new(
                StatusCode::FORBIDDEN,
                format!("`{name}` may not {what} in `{repository}`"),
            ),
        })
    }

    /// Whether it only wants to know something.
    pub(super) fn reads(&self) -> bool {
        self.head.method == Method::GET || self.head.method == Method::HEAD
    }

    /// A field of the head, if it is text.
    pub(super) fn field(&self, name: HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// How many bytes the body is to have.
    pub(super) fn length(&self) -> Option<u64> {
        self.field(CONTENT_LENGTH)?.parse().ok()
    }

    pub(super) fn query(&self) -> &str {
        self.head.uri.query().unwrap_or_default()
    }

    /// The first value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query().as_bytes());
        let found = pairs.find(|(key, _)| key == name)?;
        Some(found.1.into_owned())
    }

    /// A parameter that is true or false, and false if it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refused> {
        let value = self.parameter(name).unwrap_or_else(|| "false".to_owned());
        let flag = value.parse();
        flag.map_err(|_| Refused::bad(format!("`{name}` is true or false")))
    }
}
