//! The client against real servers on this machine.

mod bodies;
mod connections;
mod lookups;
mod rules;
mod server;
mod times;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use strand_engine::{CallInfo, FunctionId, Outgoing, RequestId};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::{Config, Grant, Host, HttpClient, HttpClients, Rule, Scheme};

fn rule(scheme: Scheme, host: Host, port: u16) -> Rule {
    Rule { scheme, host, port }
}

/// A rule that names this machine by its address.
fn loopback(scheme: Scheme, port: u16) -> Rule {
    rule(scheme, Host::Address(IpAddr::from([127, 0, 0, 1])), port)
}

fn client(config: Config, rules: Vec<Rule>) -> HttpClient {
    let clients = HttpClients::new(config).expect("sets up");
    clients.client(Grant { rules })
}

/// A resolver that answers from a function.
fn client_with_resolver(
    rules: Vec<Rule>,
    answer: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static,
) -> HttpClient {
    let resolver = Arc::new(move |name: String, _permit| {
        let found = answer(&name);
        Box::pin(std::future::ready(Ok(found))) as crate::resolve::Lookup
    });
    let clients = HttpClients::with_resolver(Config::default(), resolver).expect("sets up");
    clients.client(Grant { rules })
}

fn call(deadline: Duration) -> CallInfo {
    CallInfo {
        function: FunctionId {
            app: "app".into(),
            function: "caller".into(),
        },
        id: RequestId::new("r1"),
        deadline: Instant::now() + deadline,
        wall: deadline,
        depth: 0,
    }
}

fn empty() -> WasiBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn get(uri: &str) -> Request<WasiBody> {
    Request::get(uri).body(empty()).expect("a request")
}

async fn send(
    client: &HttpClient,
    request: Request<WasiBody>,
) -> Result<Response<WasiBody>, Error> {
    send_with(client, request, RequestOptions::default()).await
}

async fn send_with(
    client: &HttpClient,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let call = call(Duration::from_secs(30));
    client.send(&call, request, Some(options)).await
}

/// Sends a request and reads its answer to the end.
async fn text(client: &HttpClient, request: Request<WasiBody>) -> Result<String, Error> {
    let body = send(client, request).await?.into_body().collect().await?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}
