//! The store over HTTP: Bindle under `/v1`.
//!
//! No listener and no connection is in here: [`Server::answer`] makes an answer of a request.

mod answer;
mod bindle;
mod body;
mod range;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use strand_bindle::{Keyring, SecretKey, Strategy};

pub use body::Body;

use crate::Store;
use crate::auth::Caller;
use answer::Answer;

/// What a server of a store does beside keeping things.
pub struct Policy {
    /// The keys that are known here.
    pub keyring: Keyring,
    /// Which signatures an invoice has to have to be taken.
    pub strategy: Strategy,
    /// What this server signs what it takes with; one with the role host.
    pub host: SecretKey,
    /// How long a body may be silent. 30 s by default.
    pub silence: Duration,
}

/// A store over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    store: Store,
    policy: Policy,
}

impl Server {
    /// A server of a store.
    pub fn new(store: Store, policy: Policy) -> Self {
        Self(Arc::new(Inner { store, policy }))
    }

    /// What it serves.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The answer to a request by somebody.
    pub async fn answer<B>(&self, caller: &Caller, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let (head, body) = request.into_parts();
        let format = answer::wanted(&head.headers);
        let path = head.uri.path();
        let answered = match path.strip_prefix("/v1/") {
            Some(rest) => self.bindle(caller, rest, &head, body).await,
            None if path == "/healthz" => Ok(Answer::text("OK")),
            None => Err(answer::Refused::no_path(path)),
        };
        let answer = answered.unwrap_or_else(Answer::refused);
        answer.written(format, head.method == http::Method::HEAD)
    }
}
