//! Clients that are slow, many, or idle.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::json;
use strand_gateway::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::client::{Client, PATIENCE, http2};
use crate::frames::{END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, header};
use crate::support::{Drops, Endless, Gate, Server, eventually, get, reflect, text};

/// Short, and told from a test's own delays.
pub(crate) const SHORT: Duration = Duration::from_millis(400);

/// How long something took must be the limit, not much less or more.
pub(crate) fn assert_about(limit: Duration, start: Instant) {
    let took = start.elapsed();
    assert!(
        took >= limit && took < limit * 5,
        "took {took:?} and not {limit:?}"
    );
}

#[tokio::test]
async fn a_header_must_come_in_time() {
    let config = Config {
        header_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    // Nothing at all; the beginning of a first and of a second request, byte by byte.
    let mut silent = Client::connect(server.addr).await;
    let start = Instant::now();
    assert!(silent.is_closed().await);
    assert_about(SHORT, start);
    for served in [0, 1] {
        let mut client = Client::connect(server.addr).await;
        for _ in 0..served {
            assert_eq!(client.get("/").await.status, 200);
            // Idling is another limit.
            sleep(SHORT * 2).await;
        }
        let start = Instant::now();
        client.send("GET / HTTP/1.1\r\n").await;
        let (mut reader, mut writer) = client.stream.into_split();
        let drip = async {
            while writer.write_all(b"x: y\r\n").await.is_ok() {
                sleep(Duration::from_millis(30)).await;
            }
        };
        let mut rest = Vec::new();
        tokio::select! {
            () = drip => {}
            _ = reader.read_to_end(&mut rest) => {}
        }
        assert!(rest.is_empty());
        assert_about(SHORT, start);
    }
    eventually("three that timed out", || {
        server.metric("strand_connections_timed_out_total") == 3.0
    })
    .await;
}

#[tokio::test]
async fn an_http2_client_must_send_a_request_in_time() {
    let config = Config {
        header_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    // Nothing after the preface; a header that never ends.
    for begins in [false, true] {
        let mut client = Frames::connect(server.addr).await;
        let start = Instant::now();
        if begins {
            client.send(HEADERS, 0, 1, &header("GET", "/")).await;
        }
        assert!(client.ends_with(GOAWAY).await, "{begins}");
        assert_about(SHORT, start);
    }
    // After its first request a client may idle.
    let mut sender = http2(server.addr).await;
    for _ in 0..2 {
        let response = sender.send_request(get("http://t/")).await.unwrap();
        assert_eq!(response.status(), 200);
        sleep(SHORT * 2).await;
    }
}

#[tokio::test]
async fn a_later_header_that_is_not_whole_ends_with_the_pings() {
    let config = Config {
        ping_interval: SHORT,
        ping_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    let mut client = Frames::connect(server.addr).await;
    let flags = END_HEADERS | END_STREAM;
    client.send(HEADERS, flags, 1, &header("GET", "/")).await;
    // One that answers pings lives on.
    let mut pings = 0;
    while pings < 3 {
        let frame = client.next().await.expect("it lives");
        pings += usize::from(frame.kind == PING);
    }
    let start = Instant::now();
    client
        .send(HEADERS, END_STREAM, 3, &header("GET", "/"))
        .await;
    client.ends_with(GOAWAY).await;
    assert!(start.elapsed() < SHORT * 5, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_connection_may_idle_for_a_while() {
    let config = Config {
        idle_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    let mut client = Client::connect(server.addr).await;
    for _ in 0..4 {
        assert_eq!(client.get("/").await.status, 200);
        sleep(SHORT / 2).await;
    }
    let start = Instant::now();
    assert!(client.is_closed().await);
    assert!(start.elapsed() < SHORT * 4);
    let mut sender = http2(server.addr).await;
    assert!(sender.send_request(get("http://t/")).await.is_ok());
    sleep(SHORT / 2).await;
    assert!(sender.send_request(get("http://t/")).await.is_ok());
    let start = Instant::now();
    while !sender.is_closed() {
        assert!(start.elapsed() < PATIENCE);
        sleep(Duration::from_millis(10)).await;
    }
    assert!(start.elapsed() < SHORT * 5, "{:?}", start.elapsed());
}

/// Long answers are not idle.
#[tokio::test]
async fn a_slow_function_is_not_an_idle_client() {
    let config = Config {
        idle_timeout: SHORT,
        header_timeout: SHORT,
        write_timeout: SHORT,
        body_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, |_| async {
        sleep(SHORT * 4).await;
        Ok(text("slow"))
    });
    let mut client = Client::connect(server.addr).await;
    assert_eq!(client.get("/").await.text(), "slow");
    let mut sender = http2(server.addr).await;
    let response = sender.send_request(get("http://t/")).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "slow"
    );
}

#[tokio::test]
async fn a_body_must_keep_coming() {
    let config = Config {
        body_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    let mut client = Client::connect(server.addr).await;
    client
        .send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\nabc")
        .await;
    let start = Instant::now();
    let answer = client.answer(false).await;
    assert_about(SHORT, start);
    assert_eq!(
        (answer.status, &answer.json()["field"]),
        (400, &json!("body"))
    );
    assert_eq!(
        answer.json()["detail"],
        "no byte of the body came for 400ms"
    );
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed().await);

    let mut sender = http2(server.addr).await;
    let body = http_body_util::StreamBody::new(futures::stream::pending()).boxed_unsync();
    let request = Request::post("http://t/").body(body).unwrap();
    let response = timeout(PATIENCE, sender.send_request(request))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(response.status(), 400);
    let line = &server.lines(2).await[0];
    assert_eq!(
        (&line["bytes_in"], &line["problem"]),
        (&json!(3), &json!("bad-request"))
    );
}

#[tokio::test]
async fn a_body_must_not_drip() {
    let config = Config {
        body_timeout: SHORT,
        body_rate: 1000,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    let mut client = Client::connect(server.addr).await;
    client
        .send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n")
        .await;
    let (mut reader, mut writer) = client.stream.into_split();
    let drip = tokio::spawn(async move {
        for _ in 0..1000 {
            if writer.write_all(b"a").await.is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut read = vec![0; 4096];
    let length = timeout(PATIENCE, reader.read(&mut read))
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8_lossy(&read[..length]).into_owned();
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(text.contains("less than 1000 bytes a second"), "{text}");
    drip.abort();
}

/// The clock runs only while somebody wants the body.
#[tokio::test]
async fn a_function_that_reads_late_is_no_fault_of_the_clients() {
    let config = Config {
        body_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, |call| async move {
        sleep(SHORT * 3).await;
        let body = call.request.into_body().collect().await.unwrap();
        Ok(text(format!("{}", body.to_bytes().len())))
    });
    let mut client = Client::connect(server.addr).await;
    client
        .send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\nabc")
        .await;
    assert_eq!(client.answer(false).await.text(), "3");
}

#[tokio::test]
async fn a_client_must_take_its_answer() {
    let drops = Drops::default();
    let guards = drops.clone();
    let config = Config {
        write_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, move |call| {
        let body = Endless {
            taken: Arc::new(AtomicUsize::new(0)),
            piece: 16 << 10,
            _guard: guards.guard(),
        };
        let endless = call.request.uri().path() == "/endless";
        async move {
            Ok(if endless {
                Response::new(body.boxed_unsync())
            } else {
                text("fine")
            })
        }
    });
    let mut client = Client::connect_small(server.addr).await;
    client
        .send("GET /endless HTTP/1.1\r\nhost: t\r\n\r\n")
        .await;
    let start = Instant::now();
    eventually("the cut", || drops.count() == 1).await;
    assert_about(SHORT, start);

    // A stream that is not read is cut; the connection goes on.
    let mut sender = http2(server.addr).await;
    let response = sender.send_request(get("http://t/endless")).await.unwrap();
    let start = Instant::now();
    eventually("the cut of the stream", || drops.count() == 2).await;
    assert_about(SHORT, start);
    let read = timeout(PATIENCE, response.into_body().collect())
        .await
        .unwrap();
    assert!(read.is_err());
    let response = sender.send_request(get("http://t/")).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "fine"
    );
    for line in server.lines(3).await.iter().take(2) {
        assert_eq!(line["aborted"], true, "{line}");
    }
    assert_eq!(server.metric("strand_connections_timed_out_total"), 2.0);
}

#[tokio::test]
async fn a_client_may_take_its_answer_slowly() {
    let config = Config {
        write_timeout: SHORT,
        ..Config::default()
    };
    let size = 3 << 20;
    let server = Server::of(config, move |_| async move { Ok(text("x".repeat(size))) });
    let mut client = Client::connect_small(server.addr).await;
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let start = Instant::now();
    let mut read = 0;
    let mut piece = vec![0; 300 << 10];
    while read < size {
        let length = client.stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "cut after {read}");
        read += length;
        // Never for as long as the limit, in all much longer.
        if start.elapsed() < SHORT * 3 {
            sleep(SHORT / 4).await;
        }
    }
    assert!(start.elapsed() > SHORT * 2);
}

#[tokio::test]
async fn beyond_the_limit_connections_wait() {
    let config = Config {
        max_connections: 2,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    let mut first = Client::connect(server.addr).await;
    let mut second = Client::connect(server.addr).await;
    assert_eq!(first.get("/").await.status, 200);
    assert_eq!(second.get("/").await.status, 200);
    let mut third = Client::connect(server.addr).await;
    third.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let mut byte = [0];
    let early = timeout(SHORT, third.stream.peek(&mut byte)).await;
    assert!(early.is_err(), "it was not its turn");
    assert_eq!(server.metric("strand_connections "), 2.0);
    assert_eq!(first.get("/").await.status, 200);
    drop(first);
    assert_eq!(third.answer(false).await.status, 200);
    assert_eq!(server.metric("strand_connections_accepted_total"), 3.0);
}

#[tokio::test]
async fn streams_of_a_connection_are_bounded() {
    let (first, rest) = (Gate::default(), Gate::default());
    let gates = (first.clone(), rest.clone());
    let config = Config {
        max_streams: 3,
        ..Config::default()
    };
    let server = Server::of(config, move |call| {
        let gate = match call.request.uri().path() {
            "/" => None,
            "/0" => Some(gates.0.clone()),
            _ => Some(gates.1.clone()),
        };
        async move {
            if let Some(gate) = gate {
                gate.pass().await;
            }
            Ok(text(""))
        }
    });
    let started = || first.count() + rest.count();
    let mut sender = http2(server.addr).await;
    // The client has been told of the limit when it has this.
    sender.send_request(get("http://t/")).await.unwrap();
    let mut waiting: Vec<_> = (0..6)
        .map(|number| {
            let request = get(&format!("http://t/{number}"));
            tokio::spawn(sender.send_request(request))
        })
        .collect();
    eventually("the first three", || started() == 3).await;
    first.open();
    waiting.remove(0).await.unwrap().unwrap();
    // Were there room for all, they would have begun before this one was let go.
    assert!(started() <= 4, "{} have begun", started());
    eventually("the fourth", || started() == 4).await;
    waiting.remove(0).abort();
    eventually("the fifth", || started() == 5).await;
}

#[tokio::test]
async fn connections_are_spread() {
    let threads = Arc::new(std::sync::Mutex::new(std::collections::BTreeMap::new()));
    let seen = Arc::clone(&threads);
    let server = Server::of(Config::default(), move |_| {
        let id = format!("{:?}", std::thread::current().id());
        *seen.lock().unwrap().entry(id).or_insert(0) += 1;
        async { Ok(text("")) }
    });
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(server.addr).await;
        client.get("/").await;
        clients.push(client);
    }
    let counts: Vec<i32> = threads.lock().unwrap().values().copied().collect();
    assert_eq!(counts, [5, 5]);
}
