//! Requests that go out.

use std::fmt;

use wasip2::http::types::{ErrorCode, IncomingResponse, Method, Scheme};

use crate::http::{Body, Broken};
use crate::outgoing::{self, Target};

/// Sends a request to the world, where the function's grants allow it (`grants: { http: … }`), and
/// gives the answer as soon as its head is there. The body is sent whole before that.
///
/// ```no_run
/// use strand_sdk::http::{CallError, Method, fetch};
///
/// # fn example() -> Result<(), CallError> {
/// let fields = [("content-type", "application/json")];
/// let reply = fetch(Method::Post, "https://api.example.org/items", &fields, b"{}")?;
/// # Ok(())
/// # }
/// ```
///
/// Redirects are not followed.
///
/// # Errors
/// [`CallError`]; an answer with any status is none.
pub fn fetch(
    method: Method,
    url: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Result<Reply, CallError> {
    let target = target(url).ok_or_else(|| CallError::Address(url.to_owned()))?;
    outgoing::send(method, &target, fields, body)
}

/// Fetches with GET.
///
/// ```no_run
/// use strand_sdk::http;
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let reply = http::get("https://api.example.org/items?n=3")?;
/// if reply.status() == 200 {
///     let items = reply.read(1 << 20)?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`CallError`]; an answer with any status is none.
pub fn get(url: &str) -> Result<Reply, CallError> {
    fetch(Method::Get, url, &[], b"")
}

/// The parts of `http://HOST/PATH?QUERY` or `https://…`; what is behind a `#` is not sent.
fn target(url: &str) -> Option<Target<'_>> {
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = match url.split_once("://")? {
        ("http", rest) => (Scheme::Http, rest),
        ("https", rest) => (Scheme::Https, rest),
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() {
        return None;
    }
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Some(Target {
        scheme,
        authority: authority.into(),
        path: path.into(),
    })
}

/// The answer to a request that went out.
#[derive(Debug)]
pub struct Reply(IncomingResponse);

impl Reply {
    pub(crate) fn new(response: IncomingResponse) -> Self {
        Self(response)
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.0.status()
    }

    /// The first value of a header field, if it is text.
    pub fn header(&self, name: &str) -> Option<String> {
        let values = self.0.headers().get(name);
        String::from_utf8(values.into_iter().next()?).ok()
    }

    /// The body, which can be taken once.
    ///
    /// # Errors
    /// [`Broken`] when it was taken before.
    pub fn body(&self) -> Result<Body, Broken> {
        Body::new(self.0.consume())
    }

    /// All of the body, up to `limit` bytes.
    ///
    /// # Errors
    /// [`Broken`], also when there is more.
    pub fn read(self, limit: usize) -> Result<Vec<u8>, Broken> {
        self.body()?.read(limit)
    }
}

/// Why a request that went out got no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// No request can go there.
    Address(String),
    /// A header field that no request may have.
    Field(Broken),
    /// No grant of the function covers it.
    Denied(String),
    /// Functions that call each other are too deep inside each other already.
    TooDeep,
    /// The answer's body is not to be had.
    Broken(Broken),
    /// Anything else, as `wasi:http` names it.
    Failed(ErrorCode),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "no request can go to {address:?}"),
            Self::Field(broken) | Self::Broken(broken) => broken.fmt(f),
            Self::Denied(address) => write!(
                f,
                "{address}: denied; the function's grants in the Directive (`http`, `functions`) do \
                 not cover it"
            ),
            Self::TooDeep => write!(f, "too many calls of functions inside each other"),
            Self::Failed(code) => write!(f, "the request failed: {code:?}"),
        }
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> Option<String> {
        target(url).map(|it| format!("{:?} {} {}", it.scheme, it.authority, it.path))
    }

    #[test]
    fn addresses_come_apart() {
        for (url, expected) in [
            ("http://a", "Scheme::Http a /"),
            ("https://a.example:8443/", "Scheme::Https a.example:8443 /"),
            (
                "http://[::1]:80/b/c?d=/e#f",
                "Scheme::Http [::1]:80 /b/c?d=/e",
            ),
            ("https://a?b=c", "Scheme::Https a /?b=c"),
        ] {
            assert_eq!(parts(url).as_deref(), Some(expected), "{url}");
        }
        for url in ["", "a", "/a", "ftp://a/", "http:///a", "http://"] {
            assert_eq!(parts(url), None, "{url}");
        }
    }
}
