//! Outgoing `wasi:http`, 0.2 and 0.3, to the places that the Directive names.
//!
//! # What is checked
//! - The request as it will be sent, by scheme, host and port ([`Rule`]); without
//!   a rule that covers it the guest gets `HTTP-request-denied`.
//! - The address that the host has at that moment: loopback, private, link-local,
//!   shared, reserved, multicast, documentation, and every form of IPv6 that
//!   carries an IPv4 address, give `destination-IP-prohibited`, unless the rule
//!   names that address, or `localhost`. The connection goes to an address that
//!   was checked; the name is not looked up again.
//! - `Host` is what the target says. Fields that belong to a connection are taken
//!   out. Redirects are not followed: the guest sees them, and its next request
//!   is checked like the first.
//!
//! # Limits
//! - A function has at most [`Config::connections`] connections, idle ones
//!   included. A request beyond them waits until its time to connect is over,
//!   then gets `connection-limit-reached`.
//! - 8 names of a function and 32 of the node are looked up at once, those that
//!   nobody waits for any more included. More wait until their time to connect is
//!   over, then get `DNS-timeout`.
//! - Nothing waits past the deadline of the call.
//! - A connection buffers 128 KiB of HTTP/1.1, or a window of 512 KiB per stream
//!   and 1 MiB per connection of HTTP/2; beyond that the other side waits for the
//!   guest, and the guest for the other side.
//!
//! # Connections
//! HTTP/2 where a server offers it in the TLS handshake, else HTTP/1.1; cleartext
//! is always HTTP/1.1. They are kept per function and destination. A request that
//! finds its kept connection closed is sent once more, on a new one, if none of it
//! was sent, or if it has no body and is idempotent.

mod address;
mod connect;
mod exchange;
mod pool;
mod request;
mod resolve;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use rustls::pki_types::CertificateDer;
use strand_engine::{CallInfo, Capability, Ctx, CtxBuilder, Outgoing, OutgoingAnswer};
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};

use crate::connect::{Connector, tls};
use crate::exchange::{Times, exchange};
use crate::pool::Pool;
use crate::resolve::{LOOKUPS_OF_FUNCTION, Resolver, system};
use crate::rule::reach;

pub use crate::rule::{Host, Rule, Scheme};

/// How the node sends requests of functions.
#[derive(Clone, Debug)]
pub struct Config {
    /// Connections of one function at once, idle ones included. 64 by default.
    pub connections: usize,
    /// How long an unused connection is kept. 30 s by default.
    pub idle: Duration,
    /// Time to a connection, the name's look-up and the wait for a free one
    /// included, when the guest asks for no other. 10 s by default.
    pub connect: Duration,
    /// Time to the head of the answer, from the last movement of the request's
    /// body, when the guest asks for no other. 60 s by default.
    pub first_byte: Duration,
    /// Time between two pieces of the answer, when the guest asks for no other.
    /// 60 s by default.
    pub between_bytes: Duration,
    /// Certificates, in DER, of authorities that are trusted besides the public
    /// ones.
    pub authorities: Vec<Vec<u8>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections: 64,
            idle: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            between_bytes: Duration::from_secs(60),
            authorities: Vec::new(),
        }
    }
}

/// What the Directive gives to a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Where its requests may go.
    pub rules: Vec<Rule>,
}

/// Why requests cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An authority of the node's configuration is none.
    #[error("TLS cannot be set up: {0}; check the node's additional certificate authorities")]
    Tls(#[from] rustls::Error),
}

/// What all functions of a node share: TLS and the resolver.
pub struct HttpClients {
    config: Arc<Config>,
    resolver: Resolver,
    tls: TlsConnector,
}

impl HttpClients {
    /// Sets up TLS.
    ///
    /// # Errors
    /// When an authority's certificate is none.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::with_resolver(config, system())
    }

    fn with_resolver(config: Config, resolver: Resolver) -> Result<Self, Error> {
        let authorities: Vec<_> = config
            .authorities
            .iter()
            .map(|der| CertificateDer::from(der.clone()))
            .collect();
        let tls = tls(&authorities)?;
        Ok(Self {
            config: Arc::new(config),
            resolver,
            tls,
        })
    }

    /// The client of one function, with connections and look-ups of its own.
    pub fn client(&self, grant: Grant) -> HttpClient {
        let config = &self.config;
        let connector = Arc::new(Connector {
            resolver: Arc::clone(&self.resolver),
            lookups: Arc::new(Semaphore::new(LOOKUPS_OF_FUNCTION)),
            tls: self.tls.clone(),
        });
        HttpClient(Arc::new(Client {
            config: Arc::clone(config),
            rules: grant.rules,
            pool: Arc::new(Pool::new(&connector, config.connections, config.idle)),
        }))
    }
}

/// Sends the requests of one function.
#[derive(Clone)]
pub struct HttpClient(Arc<Client>);

struct Client {
    config: Arc<Config>,
    rules: Vec<Rule>,
    pool: Arc<Pool>,
}

impl Capability for HttpClient {
    fn add_to_linker(&self, _linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
        // The interface is in the engine's inert base; this gives it somewhere
        // to send.
        Ok(())
    }

    fn attach(&self, builder: &mut CtxBuilder) {
        builder.set_outgoing(Arc::new(self.clone()));
    }
}

impl Outgoing for HttpClient {
    fn send(
        &self,
        call: &CallInfo,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> OutgoingAnswer {
        let client = Arc::clone(&self.0);
        let times = Times::new(&client.config, options, call.deadline);
        let call = call.clone();
        Box::pin(async move {
            let target = request::target(&mut request)?;
            let Some(reach) = reach(&client.rules, &target.to) else {
                let to = &target.to;
                tracing::info!(
                    app = %call.function.app,
                    function = %call.function.function,
                    request = %call.id,
                    "a request to {}://{}:{} was denied: no rule of `grants.http` covers it",
                    to.scheme, to.host, to.port,
                );
                return Err(HttpError::HttpRequestDenied);
            };
            exchange(&client.pool, &target, reach, request, times).await
        })
    }
}
