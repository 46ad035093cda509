//! The access line.

use std::path::Path;
use std::sync::Arc;

use http::Response;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};
use strand_gateway::{Config, Tls};
use tokio::time::{Duration, sleep};

use crate::client::{Client, http2};
use crate::support::{Server, data, eventually, function, get, reflect, steps, text};

/// A line without what is another one each time.
fn fixed(mut line: Value) -> Value {
    let members = line.as_object_mut().unwrap();
    for name in ["timestamp", "level", "target"] {
        assert!(members.remove(name).is_some(), "{name}");
    }
    for name in ["duration_ms", "first_byte_ms"] {
        assert!(members.remove(name).unwrap().as_f64().unwrap() >= 0.0);
    }
    line
}

#[tokio::test]
async fn a_line_says_what_happened() {
    let routes = [
        function("/echo/{x}", "POST", "echo"),
        function("/get", "GET", "get"),
    ];
    let server = Server::start(
        Config::default(),
        Path::new("."),
        &routes,
        |call| async move { Ok(Response::new(call.request.into_body())) },
    );
    let mut client = Client::connect(server.addr).await;
    client
        .send("POST /echo/1?secret=2 HTTP/1.1\r\nhost: t\r\nx-request-id: a\r\ncontent-length: 5\r\n\r\nhello")
        .await;
    client.answer(false).await;
    client
        .ask("GET", "/none?secret=2", "x-request-id: b\r\n")
        .await;
    client.ask("DELETE", "/get", "x-request-id: c\r\n").await;
    let line = |id: &str, method: &str, path: &str, status: u16| {
        json!({
            "id": id, "client": "127.0.0.1", "method": method, "path": path,
            "protocol": "HTTP/1.1", "status": status, "bytes_in": 0, "aborted": false,
        })
    };
    let lines = server.lines(3).await;
    let with = |mut line: Value, more: Value| {
        let more = more.as_object().unwrap().clone();
        line.as_object_mut().unwrap().extend(more);
        line
    };
    let problem = |name: &str, detail: &str, bytes: &Value| json!({ "problem": name, "detail": detail, "bytes_out": bytes });
    assert_eq!(
        fixed(lines[0].clone()),
        with(
            line("a", "POST", "/echo/1", 200),
            json!({ "route": "/echo/{x}", "app": "app", "function": "echo", "bytes_in": 5, "bytes_out": 5 })
        )
    );
    assert_eq!(
        fixed(lines[1].clone()),
        with(
            line("b", "GET", "/none", 404),
            problem(
                "not-found",
                "no route of this node has that path",
                &lines[1]["bytes_out"]
            )
        )
    );
    assert_eq!(
        fixed(lines[2].clone()),
        with(
            line("c", "DELETE", "/get", 405),
            problem(
                "method-not-allowed",
                "this path takes GET, HEAD",
                &lines[2]["bytes_out"]
            )
        )
    );
    assert!(lines[1]["bytes_out"].as_u64().unwrap() > 50);
    client.send("nonsense\r\n\r\n").await;
    let id = client
        .answer(false)
        .await
        .header("x-request-id")
        .unwrap()
        .to_owned();
    let line = &server.lines(4).await[3];
    assert_eq!(
        (&line["id"], &line["method"], &line["status"]),
        (&json!(id), &json!("-"), &json!(400))
    );
    let mut sender = http2(server.addr).await;
    sender.send_request(get("http://t/get")).await.unwrap();
    assert_eq!(server.lines(5).await[4]["protocol"], "HTTP/2");
    let labels = r#"app="app",function="echo",route="/echo/{x}""#;
    for (name, value) in [
        (
            format!("strand_requests_total{{{labels},class=\"2xx\"}}"),
            1.0,
        ),
        (format!("strand_request_body_bytes_total{{{labels}}}"), 5.0),
        (format!("strand_response_body_bytes_total{{{labels}}}"), 5.0),
        (format!("strand_requests_in_flight{{{labels}}}"), 0.0),
        (
            r#"strand_requests_total{app="",function="",route="",class="4xx"}"#.to_owned(),
            3.0,
        ),
    ] {
        assert_eq!(server.metric(&name), value, "{name}");
    }
}

/// Has no certificate for anybody.
#[derive(Debug)]
struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[tokio::test]
async fn cleartext_on_a_port_of_tls_has_a_line() {
    let routes = [function("/", "*", "f")];
    let config = Config {
        header_timeout: Duration::from_secs(2),
        ..Config::default()
    };
    let server = Server::prepared(config, Path::new("."), &routes, reflect, |gateway| {
        gateway.over_tls(Tls::new(Arc::new(Nobody)).unwrap())
    });
    let mut client = Client::connect(server.addr).await;
    let answer = client.get("/").await;
    assert_eq!(
        (answer.status, &answer.json()["field"]),
        (400, &json!("scheme"))
    );
    let id = answer.header("x-request-id").unwrap();
    drop(client);
    let line = &server.lines(1).await[0];
    for (name, value) in [
        ("id", json!(id)),
        ("client", json!("127.0.0.1")),
        ("status", json!(400)),
        ("problem", json!("bad-request")),
        ("bytes_out", json!(answer.body.len())),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    let refused = r#"strand_requests_total{app="",function="",route="",class="4xx"}"#;
    assert_eq!(server.metric(refused), 1.0);
    assert_eq!(server.metric("strand_problems_total"), 1.0);
    eventually("a failed handshake", || {
        server.metric("strand_tls_handshakes_failed_total") == 1.0
    })
    .await;
    // Who says nothing at all was too slow.
    let mut silent = Client::connect(server.addr).await;
    assert!(silent.is_closed().await);
    eventually("a time-out", || {
        server.metric("strand_connections_timed_out_total") == 1.0
    })
    .await;
    assert_eq!(server.metric("strand_tls_handshakes_failed_total"), 1.0);
}

#[tokio::test]
async fn a_line_comes_after_the_last_byte() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let server = Server::of(Config::default(), move |_| {
        let mut gone = gone.clone();
        async move {
            let stream = futures::stream::once(async { data("first") }).chain(
                futures::stream::once(async move {
                    gone.wait_for(|gone| *gone).await.unwrap();
                    data("last")
                }),
            );
            use http_body_util::BodyExt as _;
            Ok(Response::new(
                http_body_util::StreamBody::new(stream).boxed_unsync(),
            ))
        }
    });
    use futures::StreamExt as _;
    let mut client = Client::connect(server.addr).await;
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    // Its first bytes are there.
    let mut byte = [0];
    client.stream.peek(&mut byte).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    assert!(server.lines(0).await.is_empty());
    assert_eq!(server.metric("strand_requests_in_flight{app=\"app\""), 1.0);
    go.send(true).unwrap();
    assert_eq!(client.answer(false).await.text(), "firstlast");
    let line = &server.lines(1).await[0];
    let number = |name: &str| line[name].as_f64().unwrap();
    assert!(
        number("duration_ms") - number("first_byte_ms") >= 195.0,
        "{line}"
    );
    assert_eq!(line["bytes_out"], 9);
}

/// Of such a body hyper does not ask for the end.
#[tokio::test]
async fn an_answer_that_is_as_long_as_it_said_is_no_abort() {
    let server = Server::of(Config::default(), |_| async {
        let mut response = Response::new(steps(vec![data("on"), data("ce")]));
        response.headers_mut().insert("content-length", 4.into());
        Ok(response)
    });
    let mut client = Client::connect(server.addr).await;
    for _ in 0..2 {
        assert_eq!(client.get("/").await.text(), "once");
    }
    for line in server.lines(2).await {
        assert_eq!(
            (&line["aborted"], &line["bytes_out"]),
            (&json!(false), &json!(4)),
            "{line}"
        );
    }
}

#[tokio::test]
async fn an_abort_is_in_the_line() {
    let server = Server::of(Config::default(), |call| async move {
        Ok(match call.request.uri().path() {
            "/big" => text("x".repeat(50 << 20)),
            _ => Response::new(steps(vec![data("all")])),
        })
    });
    let mut client = Client::connect_small(server.addr).await;
    client.send("GET /big HTTP/1.1\r\nhost: t\r\n\r\n").await;
    sleep(Duration::from_millis(100)).await;
    drop(client);
    let line = &server.lines(1).await[0];
    assert_eq!(
        (&line["aborted"], &line["status"]),
        (&json!(true), &json!(200)),
        "{line}"
    );
    assert_eq!(
        server.metric("strand_requests_aborted_total{app=\"app\""),
        1.0
    );
}
