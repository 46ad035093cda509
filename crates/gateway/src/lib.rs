//! The way in: listeners, routes, static files.
//!
//! A [`Gateway`] takes connections, of [`Tls`] or in cleartext, reads requests of
//! HTTP/1.1 and of HTTP/2 (as ALPN says, else as the client's first bytes tell), finds
//! each one's route in the [`RoutingTable`] and calls the function there through
//! `Dispatch`, or answers with a file. It keeps every limit that a client could run into before
//! its request reaches a function; [`Config`] lists them.
//!
//! # What functions are sent
//! - The request's own path and query, as sent. Routes are matched with escaped
//!   unreserved characters unescaped and escapes in upper case; what a route
//!   captures is unescaped once, and must be UTF-8 then. Paths with `.` or `..`
//!   segments, escaped or not, and with broken escapes are a `bad-request`.
//! - One authority: that of the request's target, else its `Host`; it stands in the
//!   URI and in `Host`. HTTP/1.1 requests without one valid `Host` are a `bad-request`,
//!   and HTTP/2 ones whose `Host` is not their `:authority`.
//! - No fields of the connection: `Connection` and what it names (but for what frames
//!   or routes a request, or says for whom a proxy asks), `Keep-Alive`,
//!   `Proxy-Connection`, `Proxy-Authorization`, `Transfer-Encoding`, `Upgrade`,
//!   `HTTP2-Settings`, `Expect`, and `TE` but for `trailers`.
//! - Trailers without what frames, routes or authorises a request.
//! - `x-request-id`: the client's if it has 1 to 128 visible ASCII characters, else
//!   a UUID of version 7. It is also the call's identifier, in the answer and the
//!   access line.
//! - `x-forwarded-for` and `x-forwarded-proto` as the gateway finds them, behind proxies
//!   that the configuration trusts too; `traceparent` as it comes.
//!
//! # What clients are sent
//! Problems as `application/problem+json`, also where hyper itself refuses a request
//! of HTTP/1.1. What hyper does not let us say: a header that is not complete in
//! time ends the connection without an answer; over HTTP/2 header fields of more
//! than twice the limit get a bare 431, and a malformed request a reset stream or
//! connection. Trailers reach HTTP/1.1 clients only if they asked for them
//! (`TE: trailers`) and the answer's `Trailer` field names them.
//!
//! An answer that breaks off is not ended: HTTP/1.1 clients miss the last chunk or
//! the rest of the announced length, HTTP/2 clients get a `RST_STREAM`.

// A test that unwraps the wrong thing fails, which is what it is for.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accept_encoding;
mod announced;
mod answer;
mod client;
mod command;
mod compress;
mod config;
mod connection;
mod cors;
mod descriptors;
mod exchange;
mod fields;
mod link;
mod path;
mod redirect;
mod request_body;
mod routing;
mod rules;
mod server;
mod service;
mod static_files;
mod stream;
mod target;
mod tls;
mod transport;
mod watch;

pub use config::Config;
pub use descriptors::raise_descriptor_limit;
pub use routing::{AppRoutes, RoutingError, RoutingTable};
pub use server::{Drained, Gateway, ServeError};
pub use tls::Tls;
