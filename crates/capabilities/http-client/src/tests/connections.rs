//! Connections are kept, counted, and replaced when they are stale.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, RequestOptions};

use super::server::{Server, serve};
use super::{client, empty, full, get, loopback, send, send_with, text};
use crate::{Config, HttpClient, Scheme};

async fn hello() -> Server {
    serve(async |_| Response::new(full("hello"))).await
}

/// Reads an answer to its end.
async fn read(client: &HttpClient, server: &Server) {
    let answer = text(client, get(&server.url("/"))).await;
    assert_eq!(answer.expect("an answer"), "hello");
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let server = hello().await;
    let client = client(
        Config::default(),
        vec![loopback(Scheme::Http, server.port())],
    );
    for _ in 0..5 {
        read(&client, &server).await;
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn functions_share_no_connections() {
    let server = hello().await;
    for _ in 0..3 {
        let client = client(
            Config::default(),
            vec![loopback(Scheme::Http, server.port())],
        );
        read(&client, &server).await;
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let server = hello().await;
    let config = Config {
        idle: Duration::from_millis(200),
        connections: 1,
        ..Config::default()
    };
    let client = client(config, vec![loopback(Scheme::Http, server.port())]);
    read(&client, &server).await;
    read(&client, &server).await;
    assert_eq!(server.accepted(), 1);
    tokio::time::sleep(Duration::from_millis(600)).await;
    read(&client, &server).await;
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn beyond_the_limit_a_request_waits_and_then_fails() {
    let gate = Arc::new(Semaphore::new(0));
    let inside = Arc::clone(&gate);
    let server = serve(move |_| {
        let gate = Arc::clone(&inside);
        async move {
            gate.acquire().await.expect("open").forget();
            Response::new(full("hello"))
        }
    })
    .await;
    let config = Config {
        connections: 2,
        ..Config::default()
    };
    let client = client(config, vec![loopback(Scheme::Http, server.port())]);
    let held: Vec<_> = (0..2)
        .map(|_| {
            let (client, request) = (client.clone(), get(&server.url("/")));
            tokio::spawn(async move { text(&client, request).await })
        })
        .collect();
    while server.accepted() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let options = RequestOptions {
        connect_timeout: Some(Duration::from_millis(100)),
        ..RequestOptions::default()
    };
    let error = send_with(&client, get(&server.url("/")), options)
        .await
        .expect_err("no connection is free");
    assert!(matches!(error, Error::ConnectionLimitReached), "{error:?}");

    // Three wait for two connections; all are served by the two.
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let (client, request) = (client.clone(), get(&server.url("/")));
            tokio::spawn(async move { text(&client, request).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.add_permits(5);
    for task in held.into_iter().chain(waiting) {
        let answer = task.await.expect("no panic").expect("an answer");
        assert_eq!(answer, "hello");
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_another_destination() {
    let (one, two) = (hello().await, hello().await);
    let config = Config {
        connections: 1,
        ..Config::default()
    };
    let rules = [&one, &two].map(|server| loopback(Scheme::Http, server.port()));
    let client = client(config, rules.to_vec());
    for _ in 0..2 {
        read(&client, &one).await;
        read(&client, &two).await;
    }
    assert_eq!([one.accepted(), two.accepted()], [2, 2]);
}

/// A server that answers the first request of its first connection, then does
/// with the next one what `stale` says; all other connections are answered.
async fn stale_server(stale: Stale) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let mut answered = false;
                loop {
                    if first && answered && stale == Stale::ClosesWhileIdle {
                        return;
                    }
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => return,
                        Ok(_) if first && answered => return,
                        Ok(_) => {}
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                    answered = true;
                }
            });
        }
    });
    (port, accepted)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stale {
    ClosesWhileIdle,
    ClosesOnRequest,
}

async fn after_first(
    stale: Stale,
    second: Request<wasmtime_wasi_http::WasiBody>,
) -> (Result<String, Error>, usize) {
    let (port, accepted) = stale_server(stale).await;
    let client = client(Config::default(), vec![loopback(Scheme::Http, port)]);
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(text(&client, get(&url)).await.expect("an answer"), "hello");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut second = second;
    *second.uri_mut() = url.parse().expect("a URI");
    let answer = text(&client, second).await;
    (answer, accepted.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let post = Request::post("/").body(full("data")).expect("a request");
    for request in [get("http://x/"), post] {
        let (answer, accepted) = after_first(Stale::ClosesWhileIdle, request).await;
        assert_eq!(answer.expect("an answer"), "hello");
        assert_eq!(accepted, 2);
    }
}

#[tokio::test]
async fn a_request_that_was_sent_is_repeated_only_if_that_changes_nothing() {
    let (answer, accepted) = after_first(Stale::ClosesOnRequest, get("http://x/")).await;
    assert_eq!(answer.expect("an answer"), "hello");
    assert_eq!(accepted, 2);

    let put = Request::put("/").body(full("data")).expect("a request");
    let post = Request::post("/").body(empty()).expect("a request");
    for request in [put, post] {
        let (answer, accepted) = after_first(Stale::ClosesOnRequest, request).await;
        let error = answer.expect_err("not sent again");
        assert!(
            matches!(
                error,
                Error::HttpResponseIncomplete | Error::ConnectionTerminated
            ),
            "{error:?}"
        );
        assert_eq!(accepted, 1);
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let client = client(Config::default(), vec![loopback(Scheme::Http, port)]);
    let error = send(&client, get(&format!("http://127.0.0.1:{port}/")))
        .await
        .expect_err("nobody listens");
    assert!(matches!(error, Error::ConnectionRefused), "{error:?}");
}
