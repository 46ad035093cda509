//! A guest's request, made ready to be sent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::rule::{Destination, Scheme};

/// The longest path with its query, in bytes.
const PATH: usize = 32 << 10;

/// Fields that belong to one connection, which is ours and not the guest's.
const CONNECTION_FIELDS: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Fields that must not come after a body, because the other side has acted on
/// them, or not, when they arrive.
const NOT_IN_TRAILERS: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TE,
    header::TRAILER,
];

/// The version in which a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Where a request goes and what stands in its first line.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) to: Destination,
    /// With scheme and authority, as HTTP/2 has it.
    absolute: Uri,
    /// Path and query only, as HTTP/1.1 has it; the rest is in `host`.
    origin: Uri,
    host: HeaderValue,
}

/// Reads a request's target and takes out of its fields what is not the guest's
/// to say.
///
/// # Errors
/// When the target is none, or the method makes a tunnel.
pub(crate) fn target(request: &mut Request<WasiBody>) -> Result<Target, Error> {
    if request.method() == Method::CONNECT {
        return Err(Error::HttpRequestMethodInvalid);
    }
    let uri = request.uri();
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return Err(Error::HttpProtocolError),
    };
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    // A name and password in the authority would reach the server as a host.
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(Error::HttpRequestUriInvalid);
    }
    // `Uri` reads a port that is none as no port.
    let has_port = authority.as_str().len() > authority.host().len();
    let port = match authority.port_u16() {
        Some(0) => return Err(Error::HttpRequestUriInvalid),
        Some(port) => port,
        None if has_port => return Err(Error::HttpRequestUriInvalid),
        None => scheme.default_port(),
    };
    let path = match uri.path_and_query() {
        Some(path) if path.as_str().len() > PATH => return Err(Error::HttpRequestUriTooLong),
        Some(path) if path.as_str().starts_with('?') => format!("/{}", path.as_str())
            .parse()
            .map_err(|_| Error::HttpRequestUriInvalid)?,
        Some(path) if !path.as_str().is_empty() => path.clone(),
        _ => PathAndQuery::from_static("/"),
    };
    let host = authority.host().to_ascii_lowercase();
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => address.to_owned(),
        None => host,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.clone());
    let target = Target {
        to: Destination { scheme, host, port },
        absolute: Uri::from_parts(parts).map_err(|_| Error::HttpRequestUriInvalid)?,
        origin: Uri::from(path),
        host: HeaderValue::from_str(authority.as_str())
            .map_err(|_| Error::HttpRequestUriInvalid)?,
    };
    let fields = request.headers_mut();
    for name in &CONNECTION_FIELDS {
        fields.remove(name);
    }
    fields.remove(header::HOST);
    if fields.get(header::TE).is_some_and(|te| te != "trailers") {
        fields.remove(header::TE);
    }
    Ok(target)
}

impl Target {
    /// Writes first line and host as a protocol wants them. May be done again
    /// for another protocol.
    pub(crate) fn address<B>(&self, request: &mut Request<B>, protocol: Protocol) {
        match protocol {
            Protocol::Http1 => {
                *request.version_mut() = Version::HTTP_11;
                *request.uri_mut() = self.origin.clone();
                request
                    .headers_mut()
                    .insert(header::HOST, self.host.clone());
            }
            Protocol::Http2 => {
                *request.version_mut() = Version::HTTP_2;
                *request.uri_mut() = self.absolute.clone();
                request.headers_mut().remove(header::HOST);
            }
        }
    }
}

/// When the guest's body last moved.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(crate) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guest's body on its way out.
pub(crate) struct RequestBody {
    inner: WasiBody,
    progress: Progress,
}

impl RequestBody {
    pub(crate) fn new(inner: WasiBody, progress: &Progress) -> Self {
        let progress = progress.clone();
        Self { inner, progress }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.progress.touch();
        Poll::Ready(frame.map(|frame| {
            frame.map(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    clean_trailers(trailers);
                }
                frame
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn clean_trailers(trailers: &mut HeaderMap) {
    for name in CONNECTION_FIELDS.iter().chain(&NOT_IN_TRAILERS) {
        trailers.remove(name);
    }
}

/// A copy of a request that may be sent twice: it has no body, and doing it twice
/// is doing it once (RFC 9110, 9.2.2).
pub(crate) fn spare(
    request: &Request<RequestBody>,
    progress: &Progress,
) -> Option<Request<RequestBody>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut copy = Request::new(RequestBody::new(empty, progress));
    *copy.method_mut() = request.method().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> Request<WasiBody> {
        let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut request = Request::new(empty);
        *request.uri_mut() = uri.parse().expect("a URI");
        request
    }

    #[test]
    fn the_target_is_read_as_it_will_be_sent() {
        for (uri, scheme, host, port, path) in [
            ("http://A.Example", Scheme::Http, "a.example", 80, "/"),
            (
                "https://a.example?q",
                Scheme::Https,
                "a.example",
                443,
                "/?q",
            ),
            ("https://a:8443/x?y", Scheme::Https, "a", 8443, "/x?y"),
            ("http://[::1]:80/", Scheme::Http, "::1", 80, "/"),
        ] {
            let mut request = request(uri);
            let target = target(&mut request).expect("a target");
            let host = host.to_owned();
            assert_eq!(target.to, Destination { scheme, host, port }, "{uri}");
            assert_eq!(target.origin, path, "{uri}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for uri in [
            "http://me@a/",
            "http://me:pw@a/",
            "http://a:0/",
            "/x",
            "ftp://a/",
        ] {
            assert!(target(&mut request(uri)).is_err(), "{uri}");
        }
        let mut tunnel = request("http://a/");
        *tunnel.method_mut() = Method::CONNECT;
        assert!(matches!(
            target(&mut tunnel),
            Err(Error::HttpRequestMethodInvalid)
        ));
        let path = |length: usize| request(&format!("http://a/{}", "x".repeat(length - 1)));
        assert!(target(&mut path(PATH)).is_ok());
        assert!(matches!(
            target(&mut path(PATH + 1)),
            Err(Error::HttpRequestUriTooLong)
        ));
    }

    #[test]
    fn host_and_connection_are_ours_to_say() {
        let mut request = request("http://a.example:81/x");
        for (name, value) in [
            ("host", "other.example"),
            ("connection", "x-secret"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
            ("x-kept", "1"),
        ] {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(name, value);
        }
        let target = target(&mut request).expect("a target");
        target.address(&mut request, Protocol::Http2);
        assert_eq!(request.uri(), "http://a.example:81/x");
        let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-kept"]);
        target.address(&mut request, Protocol::Http1);
        assert_eq!(request.uri(), "/x");
        assert_eq!(request.headers()["host"], "a.example:81");
    }
}
