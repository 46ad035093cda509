//! The store over HTTP: Bindle under `/v1`, an OCI registry under `/v2`.
//!
//! No listener and no connection is in here: [`Server::answer`] makes an answer of a request.

mod answer;
mod bindle;
mod body;
mod oci;
mod range;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use strand_bindle::{Keyring, SecretKey, Strategy};

pub use body::Body;

use crate::auth::{Caller, Right};
use crate::{Repository, Store};
use answer::{Answer, Refused};

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
        let answer = if let Some(rest) = path.strip_prefix("/v1/") {
            let answered = self.bindle(caller, rest, &head, body).await;
            answered.unwrap_or_else(Answer::refused)
        } else if let Some(rest) = path.strip_prefix("/v2/") {
            let answered = self.oci(caller, rest, &head, body).await;
            answered.unwrap_or_else(Answer::refused_by_oci)
        } else if path == "/healthz" {
            Answer::text("OK")
        } else {
            Answer::refused(Refused::no_path(path))
        };
        answer.written(format, head.method == http::Method::HEAD)
    }
}

/// Refuses who may not: whoever has not said who he is is asked.
fn allow(caller: &Caller, right: Right, repository: &Repository) -> Result<(), Refused> {
    if caller.may(right, repository) {
        return Ok(());
    }
    let what = format!("{right:?}").to_lowercase();
    Err(match caller.name() {
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

fn header(text: &str) -> HeaderValue {
    // Media types and numbers have no other characters; the former were checked.
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
