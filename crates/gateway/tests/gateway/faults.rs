//! What functions do wrong, and what their clients are told.

use http::{Response, StatusCode, Version};
use http_body_util::BodyExt;
use serde_json::json;
use strand_engine::{Body, Kind, Limit, Problem};
use strand_gateway::Config;
use tokio::time::timeout;

use crate::client::{Client, PATIENCE, http2};
use crate::support::{Server, data, full, get, never, steps, text};

#[tokio::test]
async fn problems_of_functions_are_passed_on() {
    let server = Server::of(Config::default(), |call| async move {
        Err(match call.request.uri().path() {
            "/body" => Problem::limit(Limit::Body, "8Mi", "too long"),
            "/wall" => Problem::limit(Limit::Wall, "60s", "too slow"),
            "/busy" => Problem::limit(Limit::Concurrency, "64", "too many"),
            _ => Problem::new(
                Kind::TaskFailure {
                    status: StatusCode::IM_A_TEAPOT,
                },
                "short and stout",
            ),
        })
    });
    let mut client = Client::connect(server.addr).await;
    for (path, status, limit, retry) in [
        ("/wall", 504, json!("wall"), None),
        ("/busy", 503, json!("concurrency"), Some("1")),
        ("/task", 418, json!(null), None),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["limit"], limit);
        assert_eq!(answer.header("retry-after"), retry);
    }
    // The answer reaches a client that is still sending, though nobody reads that.
    for _ in 0..20 {
        let mut client = Client::connect(server.addr).await;
        client
            .send("POST /body HTTP/1.1\r\nhost: t\r\ncontent-length: 10000000\r\n\r\n")
            .await;
        let mut sent = 0;
        while sent < 3_000_000 {
            // The server may have gone: what counts is that the answer can be read.
            match tokio::io::AsyncWriteExt::write(&mut client.stream, &[0; 65536]).await {
                Ok(length) => sent += length,
                Err(_) => break,
            }
        }
        let answer = client.answer(false).await;
        assert_eq!(
            (answer.status, answer.json()["limit"].clone()),
            (413, json!("body"))
        );
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

/// Whatever the function makes of it, or waits for instead.
#[tokio::test]
async fn a_client_is_told_of_a_body_that_cannot_be_read() {
    let server = Server::of(Config::default(), |call| async move {
        assert!(call.request.into_body().collect().await.is_err());
        never().await
    });
    let mut client = Client::connect(server.addr).await;
    client
        .send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nnone\r\n")
        .await;
    let answer = client.answer(false).await;
    assert_eq!(
        (answer.status, &answer.json()["field"]),
        (400, &json!("body"))
    );
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_panic_is_one_requests_matter() {
    let server = Server::of(Config::default(), |call| {
        let path = call.request.uri().path().to_owned();
        assert!(path != "/at-once", "at once");
        async move {
            assert!(path != "/later", "later");
            Ok(match path.as_str() {
                "/in-body" => {
                    let stream = futures::stream::iter(0..3).map(|number| {
                        assert!(number != 2, "in the body");
                        data("x")
                    });
                    Response::new(http_body_util::StreamBody::new(stream).boxed_unsync())
                }
                _ => text("well"),
            })
        }
    });
    use futures::StreamExt as _;
    let mut client = Client::connect(server.addr).await;
    for path in ["/at-once", "/later"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 500);
        assert_eq!(answer.json()["type"], "urn:strand:problem:host-fault");
        assert_eq!(client.get("/").await.text(), "well");
    }
    let answer = client.get("/in-body").await;
    assert_eq!((answer.text(), answer.complete), ("xx", false));
    let mut sender = http2(server.addr).await;
    let broken = sender.send_request(get("http://t/in-body")).await.unwrap();
    let whole = sender.send_request(get("http://t/")).await.unwrap();
    assert!(broken.into_body().collect().await.is_err());
    assert_eq!(
        whole.into_body().collect().await.unwrap().to_bytes(),
        "well"
    );
}

#[tokio::test]
async fn broken_answers_are_the_functions_fault() {
    let server = Server::of(Config::default(), |call| async move {
        let builder = Response::builder();
        let answer: Result<Response<Body>, _> = match call.request.uri().path() {
            "/101" => builder.status(101).body(full("")),
            "/lengths" => builder
                .header("content-length", "1")
                .header("content-length", "2")
                .body(full("a")),
            "/version" => builder.version(Version::HTTP_3).body(full("fine")),
            "/own-fields" => builder
                .header("connection", "close, x-gone")
                .header("x-gone", "1")
                .header("transfer-encoding", "gzip")
                .header("x-request-id", "forged")
                .body(full("fine")),
            "/short" => builder
                .header("content-length", "9")
                .body(steps(vec![data("abc")])),
            _ => builder
                .header("content-length", "2")
                .body(steps(vec![data("abc")])),
        };
        Ok(answer.unwrap())
    });
    let mut client = Client::connect(server.addr).await;
    for path in ["/101", "/lengths"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 500, "{path}");
        assert_eq!(answer.json()["type"], "urn:strand:problem:guest-fault");
    }
    assert_eq!(client.get("/version").await.text(), "fine");
    let answer = client
        .ask("GET", "/own-fields", "x-request-id: mine\r\n")
        .await;
    assert_eq!(answer.header("x-request-id"), Some("mine"));
    assert_eq!(answer.header("x-gone"), None);
    assert_eq!(answer.header("connection"), None);
    assert_eq!(answer.text(), "fine");
    let answer = client.get("/short").await;
    assert!(!answer.complete);
    let mut sender = http2(server.addr).await;
    for path in ["/short", "/long"] {
        let response = sender
            .send_request(get(&format!("http://t{path}")))
            .await
            .unwrap();
        let read = timeout(PATIENCE, response.into_body().collect())
            .await
            .unwrap();
        assert!(read.is_err(), "{path}");
    }
}
