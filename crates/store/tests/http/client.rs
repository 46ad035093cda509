//! A server in memory, and requests as lines of text.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use object_store::memory::InMemory;
use strand_bindle::{
    Conditions, Id, Invoice, Keyring, Label, Parcel, Role, SecretKey, Sha256, Strategy, sign,
};
use strand_objects::Bucket;
use strand_store::auth::{Caller, Grant, Right};
use strand_store::http::{Policy, Server};
use strand_store::{Limits, Store};

pub(crate) const ALL: [Right; 5] = [
    Right::Pull,
    Right::Push,
    Right::Yank,
    Right::Sign,
    Right::Delete,
];

/// A key that the servers here know as a creator's.
pub(crate) fn creator() -> SecretKey {
    SecretKey::from_seed(&[1; 32], "Creator <c@example.com>", vec![Role::Creator])
}

/// The servers' own.
pub(crate) fn host() -> SecretKey {
    SecretKey::from_seed(&[2; 32], "host.example.com", vec![Role::Host])
}

pub(crate) fn grants(namespace: &str, rights: &[Right]) -> Vec<Grant> {
    vec![Grant {
        namespace: (!namespace.is_empty()).then(|| namespace.parse().unwrap()),
        rights: rights.iter().copied().collect(),
    }]
}

/// What came back.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn toml<T: serde::de::DeserializeOwned>(&self) -> T {
        assert_eq!(self.header("content-type"), "application/toml");
        toml::from_str(&self.text()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

pub(crate) struct Client {
    pub(crate) server: Server,
    pub(crate) caller: Caller,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(Strategy::default())
    }

    pub(crate) fn with(strategy: Strategy) -> Self {
        let bucket = Bucket::new("memory", Arc::new(InMemory::new()), "").unwrap();
        let limits = Limits {
            blob: 1 << 20,
            piece: 1000,
            memory: 10_000,
        };
        let policy = Policy {
            keyring: Keyring::new(vec![creator().to_entry()]),
            strategy,
            host: host(),
            silence: Duration::from_millis(200),
        };
        Self {
            server: Server::new(Store::new(&bucket, limits), policy),
            caller: Caller::known("somebody", grants("", &ALL)),
        }
    }

    /// The same server, asked by somebody else.
    pub(crate) fn of(&self, caller: Caller) -> Self {
        Self {
            server: self.server.clone(),
            caller,
        }
    }

    pub(crate) async fn send<B>(&self, request: Request<B>) -> Answered
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let response: Response<_> = self.server.answer(&self.caller, request).await;
        let (head, body) = response.into_parts();
        Answered {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    /// Asks `GET /v1/…`, with fields as `Name: value`, and with a body.
    pub(crate) async fn ask(
        &self,
        line: &str,
        fields: &[&str],
        body: impl Into<Bytes>,
    ) -> Answered {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for field in fields {
            let (name, value) = field.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        self.send(request.body(Full::new(body.into())).unwrap())
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask(&format!("GET {path}"), &[], "").await
    }

    /// Creates an invoice and says what came back.
    pub(crate) async fn create(&self, invoice: &Invoice) -> Answered {
        self.ask("POST /v1/_i", &[], invoice.to_toml().unwrap())
            .await
    }

    /// Sends a request, and sees that it has this status and says this.
    pub(crate) async fn check(
        &self,
        line: &str,
        fields: &[&str],
        body: impl Into<Bytes>,
        status: u16,
        says: &str,
    ) {
        let answered = self.ask(line, fields, body).await;
        let text = answered.text();
        assert_eq!(
            answered.status.as_u16(),
            status,
            "{line} {fields:?}: {text}"
        );
        assert!(text.contains(says), "{line} {fields:?}: {text}");
        if status >= 400 && !line.starts_with("HEAD ") {
            assert!(
                text.starts_with("error = ") || text.starts_with("{\"error"),
                "{text}"
            );
        }
    }
}

/// An invoice with these parcels, signed by its creator.
pub(crate) fn invoice(id: &str, parcels: &[&[u8]]) -> Invoice {
    let mut invoice = unsigned(id, parcels);
    sign(&mut invoice, Role::Creator, &creator(), 1_700_000_000).unwrap();
    invoice
}

pub(crate) fn unsigned(id: &str, parcels: &[&[u8]]) -> Invoice {
    let mut invoice = Invoice::new(id.parse::<Id>().unwrap());
    invoice.parcel = parcels
        .iter()
        .map(|content| Parcel {
            label: Label::new(Sha256::of(content), "text/plain", content.len() as u64),
            conditions: Conditions::default(),
        })
        .collect();
    invoice
}
