//! What came in.

use std::cell::OnceCell;

use wasip2::http::types::{IncomingRequest, Method};

use crate::http::{Body, Broken};
use crate::query;

/// A request.
#[derive(Debug)]
pub struct Request {
    inner: IncomingRequest,
    /// Not every function asks for it.
    target: OnceCell<String>,
}

impl Request {
    pub(crate) fn new(inner: IncomingRequest) -> Self {
        Self {
            inner,
            target: OnceCell::new(),
        }
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.inner.method()
    }

    /// The path and the query as they came, still encoded: `/a/b?c=d`.
    pub fn target(&self) -> &str {
        self.target
            .get_or_init(|| self.inner.path_with_query().unwrap_or_default())
    }

    /// The path, still encoded.
    pub fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// What follows the `?`, still encoded; empty if there is none.
    pub fn query(&self) -> &str {
        self.target().split_once('?').map_or("", |(_, query)| query)
    }

    /// The first value of a parameter of the query, decoded as forms encode: `Ada+L.` is `Ada L.`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        query::value(self.query(), name)
    }

    /// The first value of a header field, if it is text.
    pub fn header(&self, name: &str) -> Option<String> {
        let values = self.inner.headers().get(name);
        String::from_utf8(values.into_iter().next()?).ok()
    }

    /// The id of the request, which its log lines and its problems have too.
    pub fn id(&self) -> Option<String> {
        self.header("x-request-id")
    }

    /// The body, which can be taken once.
    ///
    /// # Errors
    /// [`Broken`] when it was taken before.
    pub fn body(&self) -> Result<Body, Broken> {
        Body::new(self.inner.consume())
    }
}
