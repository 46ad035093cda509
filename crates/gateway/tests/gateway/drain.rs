//! How serving ends.

use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt;
use strand_gateway::{Config, Drained};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, PATIENCE, http2};
use crate::support::{Drops, Gate, Server, eventually, full, get, never, text};

/// A server whose `/slow` is held by the gate, and whose end no deadline brings about.
fn held_by(gate: &Gate) -> Server {
    let gate = gate.clone();
    let config = Config {
        drain_deadline: Duration::from_secs(3600),
        ..Config::default()
    };
    Server::of(config, move |call| {
        let gate = gate.clone();
        async move {
            if call.request.uri().path() == "/slow" {
                gate.pass().await;
            }
            Ok(text("done"))
        }
    })
}

#[tokio::test]
async fn requests_in_flight_end() {
    let gate = Gate::default();
    let mut server = held_by(&gate);
    let mut idle = Client::connect(server.addr).await;
    idle.get("/").await;
    let mut silent = Client::connect(server.addr).await;
    let mut busy = Client::connect(server.addr).await;
    busy.send("GET /slow HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let mut late = Client::connect(server.addr).await;
    late.send("GET / HTTP/1.1\r\n").await;
    let mut sender = http2(server.addr).await;
    let stream = tokio::spawn(sender.send_request(get("http://t/slow")));
    gate.came(2).await;
    eventually("all connections", || {
        server.metric("strand_connections ") == 5.0
    })
    .await;
    server.has_seen_it().await;
    server.shutdown.cancel();
    // While the requests are still there.
    assert!(idle.is_closed().await);
    assert!(silent.is_closed().await);
    // Its header was on the way already.
    late.send("host: t\r\n\r\n").await;
    let answer = late.answer(false).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["type"], "urn:strand:problem:draining");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(late.is_closed().await);
    gate.open();
    let answer = busy.answer(false).await;
    assert_eq!(
        (answer.text(), answer.header("connection")),
        ("done", Some("close"))
    );
    assert!(busy.is_closed().await);
    let response = stream.await.unwrap().unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "done"
    );
    let drained = timeout(PATIENCE, server.drain()).await;
    assert_eq!(drained.expect("the end"), Drained { cut: 0 });
    assert!(TcpStream::connect(server.addr).await.is_err());
    assert_eq!(server.metric("strand_connections "), 0.0);
}

#[tokio::test]
async fn http2_clients_are_told_to_go() {
    let gate = Gate::default();
    let mut server = held_by(&gate);
    let mut sender = http2(server.addr).await;
    let slow = tokio::spawn(sender.send_request(get("http://t/slow")));
    gate.came(1).await;
    server.shutdown.cancel();
    // A client that has not seen it yet gets its request refused or not taken.
    let request = Request::get("http://t/").body(full("")).unwrap();
    let answer = timeout(PATIENCE, sender.send_request(request)).await;
    if let Ok(response) = answer.expect("an answer, or none to come") {
        assert_eq!(response.status(), 503);
    }
    gate.open();
    let response = slow.await.unwrap().unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "done"
    );
    let drained = timeout(PATIENCE, server.drain()).await;
    assert_eq!(drained.expect("the end"), Drained { cut: 0 });
    assert!(sender.ready().await.is_err());
}

#[tokio::test]
async fn what_does_not_end_is_cut() {
    let deadline = Duration::from_millis(100);
    let drops = Drops::default();
    let gate = Gate::default();
    let (guards, held) = (drops.clone(), gate.clone());
    let config = Config {
        drain_deadline: deadline,
        ..Config::default()
    };
    let mut server = Server::of(config, move |_| {
        let (guard, held) = (guards.guard(), held.clone());
        async move {
            let _guard = guard;
            held.pass().await;
            never().await
        }
    });
    let mut client = Client::connect(server.addr).await;
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let mut sender = http2(server.addr).await;
    let stream = tokio::spawn(sender.send_request(get("http://t/")));
    gate.came(2).await;
    let start = Instant::now();
    // The connections and the stream.
    let drained = timeout(PATIENCE, server.drain()).await;
    assert_eq!(drained.expect("the end"), Drained { cut: 3 });
    assert!(start.elapsed() >= deadline);
    assert!(client.is_closed().await);
    assert!(stream.await.unwrap().is_err());
    eventually("the ends of the calls", || drops.count() == 2).await;
    for line in server.lines(2).await {
        assert_eq!(line["aborted"], true, "{line}");
    }
    assert_eq!(server.metric("strand_requests_in_flight{"), 0.0);
}

#[tokio::test]
async fn nothing_to_end_ends_at_once() {
    let mut server = held_by(&Gate::default());
    let drained = timeout(PATIENCE, server.drain()).await;
    assert_eq!(drained.expect("the end"), Drained { cut: 0 });
}
