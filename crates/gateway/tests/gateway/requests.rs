//! What comes in, what functions get, what clients are told.

use std::path::Path;

use http::{Request, Response, Version};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use strand_gateway::Config;
use tokio::time::timeout;

use crate::client::{Client, http2};
use crate::support::{Server, command, data, full, function, get, reflect, steps, text};

async fn body_of(response: Response<hyper::body::Incoming>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn functions_get_the_message_and_not_the_connection() {
    let server = Server::of(Config::default(), reflect);
    let mut client = Client::connect(server.addr).await;
    let headers = "x-request-id: my-id\r\nconnection: keep-alive, x-own\r\nx-own: 1\r\nkeep-alive: 5\r\nupgrade: h2c\r\nte: trailers, gzip\r\ntraceparent: 00-abc\r\nx-forwarded-for: 1.2.3.4\r\nproxy-authorization: secret\r\n";
    let answer = client.ask("GET", "/a%20b/%61?q=1&r=%zz", headers).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-request-id"), Some("my-id"));
    assert_eq!(
        answer.json(),
        json!({
            "method": "GET",
            "uri": "http://test/a%20b/%61?q=1&r=%zz",
            "headers": {
                "host": "test", "te": "trailers", "traceparent": "00-abc",
                "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http",
                "x-request-id": "my-id",
            },
            "body": "", "trailers": null, "id": "my-id", "function": "app/any",
            "args": [], "contentType": "application/octet-stream",
        })
    );
}

#[tokio::test]
async fn there_is_one_authority() {
    let server = Server::of(Config::default(), reflect);
    for (request, uri, host) in [
        (
            "GET http://other:81/x?y HTTP/1.1\r\nhost: test\r\n\r\n",
            "http://other:81/x?y",
            "other:81",
        ),
        (
            "GET http://other HTTP/1.1\r\nhost: test\r\n\r\n",
            "http://other/",
            "other",
        ),
        (
            "GET /x HTTP/1.0\r\nhost: old\r\n\r\n",
            "http://old/x",
            "old",
        ),
    ] {
        let mut client = Client::connect(server.addr).await;
        client.send(request).await;
        let said = client.answer(false).await.json();
        assert_eq!(
            (&said["uri"], &said["headers"]["host"]),
            (&json!(uri), &json!(host))
        );
    }
    let mut client = Client::connect(server.addr).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let said = client.answer(false).await.json();
    assert_eq!(said["uri"], format!("http://{}/", server.addr));
    assert!(client.is_closed().await, "HTTP/1.0 closes");

    let mut sender = http2(server.addr).await;
    let to = |host: &str| {
        let request = Request::get("http://two/x").header("host", host);
        request.body(full("")).unwrap()
    };
    let said = body_of(sender.send_request(to("Two")).await.unwrap()).await;
    assert_eq!(
        (&said["uri"], &said["headers"]["host"]),
        (&json!("http://two/x"), &json!("two"))
    );
    let response = sender.send_request(to("other")).await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(body_of(response).await["field"], "host");
}

#[tokio::test]
async fn what_is_refused_is_a_problem() {
    let config = Config {
        header_bytes: 1000,
        ..Config::default()
    };
    let routes = [
        function("/get", "GET", "get"),
        function("/any/{x}", "*", "any"),
        command("/run/{tool}", &["{query.n}", "{path.tool}"]),
    ];
    let server = Server::start(config, Path::new("."), &routes, reflect);
    let long = format!(
        "GET /get HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n",
        "a".repeat(1000)
    );
    let many = format!(
        "GET /get HTTP/1.1\r\nhost: t\r\n{}\r\n",
        "a:b\r\n".repeat(101)
    );
    let endless = format!("GET /{} ", "a".repeat(70_000));
    for (request, status, name, member) in [
        (
            "GET /nope HTTP/1.1\r\nhost: t\r\n\r\n",
            404,
            "not-found",
            json!(null),
        ),
        (
            "POST /get HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n",
            405,
            "method-not-allowed",
            json!(null),
        ),
        (
            "OPTIONS * HTTP/1.1\r\nhost: t\r\n\r\n",
            404,
            "not-found",
            json!(null),
        ),
        (
            "GET /get HTTP/1.1\r\n\r\n",
            400,
            "bad-request",
            json!("host"),
        ),
        (
            "GET /get HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            400,
            "bad-request",
            json!("host"),
        ),
        (
            "GET /get HTTP/1.1\r\nhost: a@b\r\n\r\n",
            400,
            "bad-request",
            json!("host"),
        ),
        (
            "GET /any/%zz HTTP/1.1\r\nhost: t\r\n\r\n",
            400,
            "bad-request",
            json!("path"),
        ),
        (
            "GET /any/../get HTTP/1.1\r\nhost: t\r\n\r\n",
            400,
            "bad-request",
            json!("path"),
        ),
        (
            "GET /any/%2e%2E HTTP/1.1\r\nhost: t\r\n\r\n",
            400,
            "bad-request",
            json!("path"),
        ),
        (
            "CONNECT test:80 HTTP/1.1\r\nhost: t\r\n\r\n",
            400,
            "bad-request",
            json!("method"),
        ),
        (
            "GET /run/wc HTTP/1.1\r\nhost: t\r\n\r\n",
            400,
            "bad-request",
            json!("query.n"),
        ),
        (
            "GET /run/%ff?n=1 HTTP/1.1\r\nhost: t\r\n\r\n",
            400,
            "bad-request",
            json!("path.tool"),
        ),
        ("NOT HTTP\r\n\r\n", 400, "bad-request", json!("request")),
        (
            "GET /get HTTP/1.1\r\nhost t\r\n\r\n",
            400,
            "bad-request",
            json!("request"),
        ),
        (
            "GET /get HTTP/1.1\r\nhost: t\r\ncontent-length: x\r\n\r\n",
            400,
            "bad-request",
            json!("request"),
        ),
        (
            "GET /get HTTP/3.7\r\nhost: t\r\n\r\n",
            400,
            "bad-request",
            json!("request"),
        ),
        (
            "POST /any/x HTTP/1.1\r\nhost: t\r\ntransfer-encoding: gzip\r\n\r\n",
            400,
            "bad-request",
            json!("request"),
        ),
        (long.as_str(), 431, "limit", json!(null)),
        (many.as_str(), 431, "limit", json!(null)),
        (endless.as_str(), 431, "limit", json!(null)),
    ] {
        let shown = &request[..request.len().min(60)];
        let mut client = Client::connect(server.addr).await;
        client.send(request).await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status, status, "{shown}: {answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{shown}"
        );
        let problem = answer.json();
        assert_eq!(
            problem["type"],
            format!("urn:strand:problem:{name}"),
            "{shown}"
        );
        assert_eq!(problem["status"], status, "{shown}");
        assert_eq!(problem["field"], member, "{shown}");
        assert_eq!(
            problem["instance"].as_str(),
            answer.header("x-request-id"),
            "{shown}"
        );
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
        if status == 431 {
            assert_eq!(
                (&problem["limit"], &problem["value"]),
                (&json!("headers"), &json!("1000, 100 fields"))
            );
        }
    }
    assert_eq!(
        server.metric(r#"strand_problems_total{kind="limit",limit="headers"}"#),
        3.0
    );
}

/// hyper's own answers have no body; those of functions must not be taken for them.
#[tokio::test]
async fn a_functions_own_400_stays_as_it_is() {
    let server = Server::of(Config::default(), |_| async {
        let body = steps(vec![
            data("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
            data("HTTP/1.1 431 \r\n\r\n"),
        ]);
        Ok(Response::builder().status(400).body(body).unwrap())
    });
    let mut client = Client::connect(server.addr).await;
    for _ in 0..3 {
        let answer = client.get("/").await;
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.text(),
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nHTTP/1.1 431 \r\n\r\n"
        );
    }
    client.send("nonsense\r\n\r\n").await;
    assert_eq!(client.answer(false).await.json()["field"], "request");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn commands_get_their_arguments() {
    let routes = [command(
        "/run/{tool}",
        &["-n", "{query.n=10}", "{path.tool}"],
    )];
    let server = Server::start(Config::default(), Path::new("."), &routes, reflect);
    let mut client = Client::connect(server.addr).await;
    let said = client.get("/run/a%2Fb?n=x+y").await.json();
    assert_eq!(said["args"], json!(["-n", "x y", "a/b"]));
    assert_eq!(said["contentType"], "text/x-test");
    assert_eq!(
        client.get("/run/wc").await.json()["args"],
        json!(["-n", "10", "wc"])
    );
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = Server::of(Config::default(), reflect);
    let mut client = Client::connect(server.addr).await;
    for number in 0..3 {
        let answer = client.get(&format!("/{number}")).await;
        assert_eq!(answer.json()["uri"], format!("http://test/{number}"));
    }
    // Pipelined, with bodies in between.
    let requests: String = (0..20)
        .map(|number| {
            format!("POST /{number} HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\n{number:02}")
        })
        .collect();
    client.send(requests).await;
    for number in 0..20 {
        let said = client.answer(false).await.json();
        assert_eq!(said["uri"], format!("http://t/{number}"));
        assert_eq!(said["body"], format!("{number:02}"));
    }
    let answer = client.ask("GET", "/", "connection: close\r\n").await;
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed().await);
    assert_eq!(server.metric("strand_connections_accepted_total"), 1.0);
}

/// Answers come in the order of the requests, whichever is ready first.
#[tokio::test]
async fn pipelined_requests_are_answered_in_turn() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let server = Server::of(Config::default(), move |call| {
        let mut gone = gone.clone();
        async move {
            let path = call.request.uri().path().to_owned();
            if path == "/late" {
                gone.wait_for(|gone| *gone).await.unwrap();
            }
            Ok(text(path))
        }
    });
    let mut client = Client::connect(server.addr).await;
    client
        .send(
            "GET /late HTTP/1.1\r\nhost: t\r\n\r\n\
             GET /%zz HTTP/1.1\r\nhost: t\r\n\r\n\
             HEAD /head HTTP/1.1\r\nhost: t\r\n\r\n\
             POST /post HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\
             GET /last HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n\
             GET /beyond HTTP/1.1\r\nhost: t\r\n\r\n",
        )
        .await;
    // None overtakes the first.
    let mut byte = [0];
    let early = timeout(
        std::time::Duration::from_millis(200),
        client.stream.peek(&mut byte),
    );
    assert!(early.await.is_err());
    go.send(true).unwrap();
    assert_eq!(client.answer(false).await.text(), "/late");
    assert_eq!(client.answer(false).await.status, 400);
    assert_eq!(
        client.answer(true).await.header("content-length"),
        Some("5")
    );
    assert_eq!(client.answer(false).await.text(), "/post");
    let last = client.answer(false).await;
    assert_eq!(
        (last.text(), last.header("connection")),
        ("/last", Some("close"))
    );
    assert!(client.is_closed().await);
    assert_eq!(server.lines(5).await.len(), 5);
}

/// Two lengths are how one request is hidden in another. The chunks count, nobody is
/// told of the other length, and nothing that follows is read.
#[tokio::test]
async fn a_body_has_one_length() {
    let server = Server::of(Config::default(), reflect);
    let length = "content-length: 3\r\n";
    let chunked = "transfer-encoding: chunked\r\n";
    for fields in [
        format!("{length}{chunked}"),
        format!("{chunked}{length}"),
        format!("{chunked}content-length: nonsense\r\n"),
    ] {
        let mut client = Client::connect(server.addr).await;
        client
            .send(format!(
                "POST / HTTP/1.1\r\nhost: t\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n\
                 GET /hidden HTTP/1.1\r\nhost: t\r\n\r\n"
            ))
            .await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status, 200, "{fields}");
        assert_eq!(answer.header("connection"), Some("close"), "{fields}");
        let said = answer.json();
        assert_eq!(said["body"], "hello", "{fields}");
        for name in ["content-length", "transfer-encoding"] {
            assert_eq!(said["headers"][name], json!(null), "{fields}");
        }
        assert!(client.is_closed().await, "{fields}");
    }
    for fields in [
        "content-length: 3\r\ncontent-length: 4\r\n",
        "content-length: 3, 4\r\n",
        "content-length: +3\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: xchunked\r\n",
    ] {
        let mut client = Client::connect(server.addr).await;
        client
            .send(format!("POST / HTTP/1.1\r\nhost: t\r\n{fields}\r\nhello"))
            .await;
        assert_eq!(client.answer(false).await.status, 400, "{fields}");
        assert!(client.is_closed().await, "{fields}");
    }
    // hyper takes these for chunked, and the function would not know of the rest.
    for fields in [
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: Chunked\r\n",
    ] {
        let mut client = Client::connect(server.addr).await;
        client
            .send(format!(
                "POST / HTTP/1.1\r\nhost: t\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n\
                 GET /hidden HTTP/1.1\r\nhost: t\r\n\r\n"
            ))
            .await;
        let answer = client.answer(false).await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (400, Some("close")),
            "{fields}"
        );
        assert_eq!(answer.json()["field"], "transfer-encoding", "{fields}");
        assert!(client.is_closed().await, "{fields}");
    }
    let lines = server.lines(12).await;
    assert!(lines.iter().all(|line| line["path"] != "/hidden"));
}

#[tokio::test]
async fn heads_have_no_body() {
    let server = Server::of(Config::default(), |call| async move {
        Ok(match call.request.uri().path() {
            "/full" => text("four"),
            "/stream" => Response::new(steps(vec![data("ab"), data("cd")])),
            // As one that knows a `HEAD` and writes no body.
            "/empty" => text(""),
            "/own" => Response::builder()
                .header("content-length", "7")
                .body(full(""))
                .unwrap(),
            "/204" => Response::builder()
                .status(204)
                .header("content-length", "4")
                .body(full("four"))
                .unwrap(),
            _ => Response::builder().status(304).body(full("four")).unwrap(),
        })
    });
    let mut client = Client::connect(server.addr).await;
    for _ in 0..2 {
        let answer = client.ask("HEAD", "/full", "").await;
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, Some("4"))
        );
        let answer = client.ask("HEAD", "/stream", "").await;
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, None)
        );
        let answer = client.ask("HEAD", "/empty", "").await;
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, None)
        );
        let answer = client.ask("HEAD", "/own", "").await;
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, Some("7"))
        );
        let answer = client.get("/empty").await;
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, Some("0"))
        );
        let answer = client.get("/204").await;
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (204, None)
        );
        assert_eq!(client.get("/304").await.status, 304);
        assert_eq!(client.get("/stream").await.text(), "abcd");
    }
    let mut sender = http2(server.addr).await;
    for (path, length) in [("full", Some("4")), ("empty", None), ("own", Some("7"))] {
        let request = Request::head(format!("http://t/{path}")).body(full(""));
        let response = sender.send_request(request.unwrap()).await.unwrap();
        let header = response.headers().get("content-length");
        assert_eq!(header.map(|it| it.to_str().unwrap()), length, "{path}");
    }
    for line in server.lines(19).await {
        assert_eq!(line["aborted"], false, "{line}");
    }
}

#[tokio::test]
async fn http2_is_told_by_its_first_bytes() {
    let server = Server::of(Config::default(), reflect);
    let mut sender = http2(server.addr).await;
    let mut answers = Vec::new();
    for number in 0..10 {
        let request = Request::post(format!("http://t/{number}"))
            .header("x-request-id", format!("id{number}"))
            .body(full(format!("body {number}")))
            .unwrap();
        answers.push(sender.send_request(request));
    }
    for (number, answer) in answers.into_iter().enumerate() {
        let response = answer.await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.headers()["x-request-id"], format!("id{number}"));
        assert_eq!(body_of(response).await["body"], format!("body {number}"));
    }
    let response = sender.send_request(get("http://t/%zz")).await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(body_of(response).await["field"], "path");
    // The preface in two parts, and something that only begins like it.
    let mut client = Client::connect(server.addr).await;
    client.send("PRI * HT").await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    client.send("TP/1.1\r\nhost: t\r\n\r\n").await;
    let answer = client.answer(false).await;
    assert_eq!(
        (answer.status, &answer.json()["field"]),
        (400, &json!("target"))
    );
}

/// HTTP/2 may send a cookie in crumbs, of which functions need not know.
#[tokio::test]
async fn functions_get_one_cookie() {
    let server = Server::of(Config::default(), reflect);
    let mut sender = http2(server.addr).await;
    let request = Request::get("http://t/")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    let response = sender.send_request(request.body(full("")).unwrap()).await;
    let said = body_of(response.unwrap()).await;
    assert_eq!(said["headers"]["cookie"], "a=1; b=2");
}

#[tokio::test]
async fn http2_headers_are_bounded() {
    let config = Config {
        header_bytes: 2000,
        header_fields: 10,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    let mut sender = http2(server.addr).await;
    let mut ask = async |fields: Vec<(String, String)>| {
        let mut request = Request::get("http://t/");
        for (name, value) in fields {
            request = request.header(name, value);
        }
        sender.ready().await.unwrap();
        let request = request.body(full("")).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice::<Value>(&bytes).ok())
    };
    let field = |name: &str, length: usize| vec![(name.to_owned(), "a".repeat(length))];
    assert_eq!(ask(field("x", 1000)).await.0, 200);
    let (status, problem) = ask(field("x", 2000)).await;
    let problem = problem.unwrap();
    assert_eq!(
        (status, &problem["limit"], &problem["value"]),
        (431, &json!("headers"), &json!("2000"))
    );
    let many = (0..11).map(|n| (format!("x{n}"), "1".to_owned())).collect();
    let (status, problem) = ask(many).await;
    assert_eq!(
        (status, &problem.unwrap()["value"]),
        (431, &json!("10 fields"))
    );
    // Beyond what hyper hands on it answers itself.
    assert_eq!(ask(field("x", 5000)).await.0, 431);
    assert_eq!(ask(field("x", 1000)).await.0, 200);
}
