//! Header fields: whose they are, and what they must say.

use std::cell::RefCell;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderName};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Version};
use rand::RngExt as _;
use rand::rngs::ThreadRng;
use strand_engine::{Limit, Problem, REQUEST_ID, RequestId, format_bytes};

use crate::client;
use crate::config::Config;

/// What an HTTP/2 header list adds to the bytes of each field's name and value
/// (RFC 9113, section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// Fields of the connection and not of the message (RFC 9110, section 7.6.1), and
/// those that the gateway deals with itself. `TE` is looked at on its own.
static CONNECTION_FIELDS: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

/// What else must not stand in trailers.
static NOT_IN_TRAILERS: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::TE,
    header::TRAILER,
];

/// The client's identifier if it can be used, else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> RequestId {
    let own = headers.get(REQUEST_ID).filter(|value| {
        (1..=RequestId::MAX_LEN).contains(&value.len())
            && value.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    match own.and_then(|value| value.to_str().ok()) {
        Some(id) => RequestId::new(id),
        None => new_request_id(),
    }
}

/// A UUID of version 7. Its randomness comes from a generator of the thread: a
/// system call a request would be most of the cost.
pub(crate) fn new_request_id() -> RequestId {
    thread_local! {
        static RANDOM: RefCell<ThreadRng> = RefCell::new(rand::rng());
    }
    let milliseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    let random: [u8; 10] = RANDOM.with_borrow_mut(|random| random.random());
    let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    RequestId::new(&*id.hyphenated().encode_lower(&mut text))
}

/// Takes the fields of the connection out.
pub(crate) fn strip_connection(headers: &mut HeaderMap) {
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    for name in &CONNECTION_FIELDS {
        headers.remove(name);
    }
    if headers.contains_key(header::TE) {
        let trailers = tokens(headers, &header::TE).any(|token| token == "trailers");
        if trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        } else {
            headers.remove(header::TE);
        }
    }
}

/// Names of further fields of the connection. Some fields frame or route the
/// message, and some say for whom a proxy asks: no client can have them taken out.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers, &header::CONNECTION)
        .filter(|token| !token.eq_ignore_ascii_case("keep-alive") && *token != "close")
        .filter_map(|token| HeaderName::try_from(token).ok())
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .filter(|name| !client::is_of_proxies(name))
        .collect()
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// The authority that a request is for.
///
/// # Errors
/// When there is none, or one that is not clear. A bad `Host` is one also where the
/// target names another: what stands in front of the node may have gone by it.
pub(crate) fn authority(parts: &Parts, local: SocketAddr) -> Result<Authority, Problem> {
    let bad = |detail| Err(Problem::bad_request("host", detail));
    let mut hosts = parts.headers.get_all(header::HOST).into_iter();
    let host = hosts
        .next()
        .map(|host| Authority::try_from(host.as_bytes()));
    if hosts.next().is_some() {
        return bad("the request has more than one `Host`");
    }
    let authority = match (parts.uri.authority(), &host) {
        (_, None) if parts.version == Version::HTTP_11 => {
            return bad("the request has no `Host`, which HTTP/1.1 requires");
        }
        // HTTP/1.1 has it the other way round: there the target alone counts.
        (Some(authority), Some(Ok(host)))
            if parts.version == Version::HTTP_2 && authority != host =>
        {
            return bad("the request's `:authority` and `Host` are not the same");
        }
        (Some(authority), None | Some(Ok(_))) => Some(authority.clone()),
        (None, Some(Ok(host))) => Some(host.clone()),
        (_, Some(Err(_))) => None,
        (None, None) if parts.version == Version::HTTP_10 => {
            Authority::try_from(local.to_string()).ok()
        }
        (None, None) => return bad("the request has neither `:authority` nor `Host`"),
    };
    match authority {
        Some(authority)
            if is_host_and_port(&authority)
                && host.is_none_or(|host| host.is_ok_and(|host| is_host_and_port(&host))) =>
        {
            Ok(authority)
        }
        _ => bad("the request's host is not a host name or address with an optional port"),
    }
}

fn is_host_and_port(authority: &Authority) -> bool {
    let host = authority.host();
    // User information would make the host something else than it looks like.
    let Some(port) = authority.as_str().strip_prefix(host) else {
        return false;
    };
    let is_port = match port.strip_prefix(':') {
        Some("") => true,
        // `parse` would take a sign.
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    is_host(host) && is_port
}

/// Whether it is a name or an address. Names have less than RFC 3986 would let them: no
/// host has a comma, but two that somebody joined have.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !host.is_empty() && host.bytes().all(is_of_names)
        }
    }
}

/// Takes the fields out of a request's trailers that mean something only before its
/// body: what frames, routes or authorises it, or tells what the body is (RFC 9110,
/// section 6.5.1). No proxy says there whom it speaks for.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    for name in CONNECTION_FIELDS.iter().chain(&NOT_IN_TRAILERS) {
        trailers.remove(name);
    }
    client::strip(trailers);
}

/// Refuses a body in another coding than `chunked`, and in that one twice. hyper undoes
/// the last coding alone, and functions do not get the field: they could not tell what
/// they are given, and what stands in front of the node may see another end of the body.
pub(crate) fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).into_iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    let coding = coding.as_bytes().trim_ascii();
    if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
        return Ok(());
    }
    Err(Problem::bad_request(
        "transfer-encoding",
        "the request's `Transfer-Encoding` is not `chunked` and nothing else",
    ))
}

/// Refuses an HTTP/2 request whose header is too large. HTTP/1.1 ones hyper refuses.
pub(crate) fn check_size(parts: &Parts, config: &Config) -> Result<(), Problem> {
    if parts.headers.len() > config.header_fields {
        return Err(too_many_fields(config));
    }
    let uri = parts.uri.path_and_query().map_or(0, |it| it.as_str().len())
        + parts.uri.authority().map_or(0, |it| it.as_str().len());
    let fields: usize = parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD)
        .sum();
    if uri + fields > config.header_bytes {
        return Err(too_many_bytes(config));
    }
    Ok(())
}

/// Refuses an HTTP/2 request with whitespace around a value, which makes it malformed
/// (RFC 9113, section 8.2.1): to a reader of HTTP/1.1 it would be another value.
pub(crate) fn check_values(headers: &HeaderMap) -> Result<(), Problem> {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let around = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        is_space(bytes.first()) || is_space(bytes.last())
    };
    match headers.iter().find(|(_, value)| around(value)) {
        None => Ok(()),
        Some((name, _)) => Err(Problem::bad_request(
            name.as_str(),
            format!("the value of `{name}` begins or ends with whitespace"),
        )),
    }
}

/// Makes one `Cookie` of several, as which HTTP/2 may send it, before somebody sees it
/// who knows nothing of that (RFC 9113, section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, cookie);
    }
}

fn too_many_bytes(config: &Config) -> Problem {
    let limit = format_bytes(config.header_bytes as u64);
    let detail = format!("a request may have a header of {limit}");
    Problem::limit(Limit::Headers, limit, detail)
}

fn too_many_fields(config: &Config) -> Problem {
    let limit = config.header_fields;
    let detail = format!("a request may have {limit} header fields");
    Problem::limit(Limit::Headers, format!("{limit} fields"), detail)
}

/// The problem of a header with too many bytes or fields: which of them it was,
/// hyper does not say.
pub(crate) fn header_too_large(config: &Config) -> Problem {
    let (bytes, fields) = (
        format_bytes(config.header_bytes as u64),
        config.header_fields,
    );
    let detail = format!("a request may have a header of {bytes} with {fields} fields");
    Problem::limit(Limit::Headers, format!("{bytes}, {fields} fields"), detail)
}

/// The length that an answer announces.
///
/// # Errors
/// When it announces several, or one that is not a number.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        let text = value.to_str().unwrap_or_default();
        // `parse` would take a sign.
        let parsed = text
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten();
        if parsed.is_none() || length.is_some_and(|length| Some(length) != parsed) {
            return Err(Problem::guest_fault(
                "the function's answer has a `Content-Length` that is not one number",
            ));
        }
        length = parsed;
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
