//! The parts of a request's target, and addresses of other servers.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// A request's path, in pieces, and its query.
pub(crate) struct Target<'a> {
    path: &'a str,
    query: &'a str,
}

impl<'a> Target<'a> {
    pub(crate) fn new(path_with_query: &'a str) -> Self {
        let (path, query) = path_with_query
            .split_once('?')
            .unwrap_or((path_with_query, ""));
        Target {
            path: path.strip_prefix('/').unwrap_or(path),
            query,
        }
    }

    /// The path's first segment, and what follows its slash.
    pub(crate) fn split(&self) -> (&'a str, &'a str) {
        self.path.split_once('/').unwrap_or((self.path, ""))
    }

    pub(crate) fn raw_query(&self) -> &'a str {
        self.query
    }

    /// The decoded value of the query's first field of this name.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.values(name).next()
    }

    /// The decoded values of the query's fields of this name.
    pub(crate) fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = String> + use<'a, 'n> {
        form_urlencoded::parse(self.query.as_bytes())
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The decoded value of a field, as a number or the like, if it is there.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        self.value(name)
            .map(|value| parsed(name, &value))
            .transpose()
    }
}

/// `value` as a number or the like.
pub(crate) fn parsed<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("`{name}` cannot be `{value}`"))
}

/// A segment of a path without its percent signs.
pub(crate) fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment)
        .decode_utf8_lossy()
        .into_owned()
}

/// Where an outgoing request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether over TLS.
    pub https: bool,
    /// Host and port.
    pub authority: String,
    /// Path and query, beginning with a slash.
    pub path_with_query: String,
}

/// A text is no `http:` or `https:` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError(String);

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no http: or https: address", self.0)
    }
}

impl std::error::Error for UrlError {}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let error = || UrlError(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| error())?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(error()),
        };
        let authority = uri.authority().ok_or_else(error)?.to_string();
        let path_with_query = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Url {
            https,
            authority,
            path_with_query: path_with_query.to_owned(),
        })
    }
}
