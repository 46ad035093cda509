//! How serving ends.

use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt;
use strand_gateway::{Config, Drained};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::client::{Client, http2};
use crate::support::{Drops, Server, eventually, full, get, never, text};

const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
async fn requests_in_flight_end() {
    let mut server = Server::of(Config::default(), |call| async move {
        if call.request.uri().path() == "/slow" {
            sleep(SOON).await;
        }
        Ok(text("done"))
    });
    let mut idle = Client::connect(server.addr).await;
    idle.get("/").await;
    let mut silent = Client::connect(server.addr).await;
    let mut busy = Client::connect(server.addr).await;
    busy.send("GET /slow HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let mut late = Client::connect(server.addr).await;
    late.send("GET / HTTP/1.1\r\n").await;
    let mut sender = http2(server.addr).await;
    let stream = tokio::spawn(sender.send_request(get("http://t/slow")));
    sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    server.shutdown.cancel();
    assert!(idle.is_closed().await);
    assert!(silent.is_closed().await);
    assert!(start.elapsed() < SOON);
    // Its header was on the way already.
    late.send("host: t\r\n\r\n").await;
    let answer = late.answer(false).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["type"], "urn:strand:problem:draining");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(late.is_closed().await);
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
    assert_eq!(server.drain().await, Drained { cut: 0 });
    assert!(start.elapsed() < SOON * 4);
    assert!(TcpStream::connect(server.addr).await.is_err());
    assert_eq!(server.metric("strand_connections "), 0.0);
}

#[tokio::test]
async fn http2_clients_are_told_to_go() {
    let mut server = Server::of(Config::default(), |call| async move {
        if call.request.uri().path() == "/slow" {
            sleep(SOON).await;
        }
        Ok(text("done"))
    });
    let mut sender = http2(server.addr).await;
    let slow = tokio::spawn(sender.send_request(get("http://t/slow")));
    sleep(Duration::from_millis(50)).await;
    server.shutdown.cancel();
    // A client that has not seen it yet gets its request refused or not taken.
    let request = Request::get("http://t/").body(full("")).unwrap();
    if let Ok(response) = sender.send_request(request).await {
        assert_eq!(response.status(), 503);
    }
    let response = slow.await.unwrap().unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "done"
    );
    assert_eq!(server.drain().await, Drained { cut: 0 });
    assert!(sender.ready().await.is_err());
}

#[tokio::test]
async fn what_does_not_end_is_cut() {
    let drops = Drops::default();
    let guards = drops.clone();
    let config = Config {
        drain_deadline: SOON,
        ..Config::default()
    };
    let mut server = Server::of(config, move |_| {
        let guard = guards.guard();
        async move {
            let _guard = guard;
            never().await
        }
    });
    let mut client = Client::connect(server.addr).await;
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let mut sender = http2(server.addr).await;
    let stream = tokio::spawn(sender.send_request(get("http://t/")));
    sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    // The connections and the stream.
    assert_eq!(server.drain().await, Drained { cut: 3 });
    assert!(start.elapsed() >= SOON && start.elapsed() < SOON * 5);
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
    let mut server = Server::of(Config::default(), |_| async { Ok(text("")) });
    let start = Instant::now();
    assert_eq!(server.drain().await, Drained { cut: 0 });
    assert!(start.elapsed() < SOON);
}
