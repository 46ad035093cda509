//! The administration API over real sockets.

// A test that unwraps the wrong thing fails, which is what it is for.
#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strand_admin::{
    Admin, AdminClient, AppStatus, ClientError, FunctionLimits, FunctionStatus, Health,
    MemoryStatus, State, Status, Token, serve,
};
use strand_telemetry::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    addr: SocketAddr,
    state: watch::Sender<State>,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        state: State::Ready,
        uptime_seconds: 7,
        memory: MemoryStatus {
            used_bytes: 1,
            limit_bytes: 2,
        },
        apps: vec![AppStatus {
            name: "reads".to_owned(),
            version: "1.2.3".to_owned(),
            functions: vec![FunctionStatus {
                name: "simulate".to_owned(),
                world: "http@0.2".to_owned(),
                limits: FunctionLimits {
                    memory_bytes: 128 << 20,
                    cpu_ms: 30_000,
                    wall_ms: 60_000,
                    concurrency: 64,
                    queue: 64,
                    body_bytes: 8 << 20,
                },
            }],
        }],
    }
}

fn node() -> Node {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (state, states) = watch::channel(State::Starting);
    let admin = Admin {
        token: Token::new("right"),
        state: states,
        metrics: Arc::new(Metrics::new()),
        status: Box::new(status),
    };
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(admin, listener, shutdown.clone()));
    Node {
        addr,
        state,
        shutdown,
        serving,
    }
}

impl Node {
    fn client(&self, token: &str) -> AdminClient {
        AdminClient {
            addr: self.addr,
            token: Token::new(token),
        }
    }

    /// Sends a request and reads all of the answer.
    async fn ask(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut read))
            .await
            .unwrap()
            .unwrap();
        let (head, body) = read.split_once("\r\n\r\n").unwrap();
        (
            head[9..12].parse().unwrap(),
            head.to_owned(),
            body.to_owned(),
        )
    }

    async fn get(&self, path: &str, authorization: &str) -> (u16, String, String) {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{authorization}\r\n"
        ))
        .await
    }
}

#[tokio::test]
async fn health_is_open_and_tells_the_state() {
    let node = node();
    for (state, code, text) in [
        (State::Starting, 503, "starting"),
        (State::Ready, 200, "ready"),
        (State::Draining, 503, "draining"),
    ] {
        node.state.send(state).unwrap();
        let (status, _, body) = node.get("/healthz", "").await;
        assert_eq!(status, code);
        assert_eq!(body, json!({ "state": text }).to_string());
        assert_eq!(
            node.client("wrong").health().await.unwrap(),
            Health { state }
        );
    }
    let (status, head, body) = node
        .ask("POST /healthz HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        .await;
    assert_eq!(status, 405);
    assert!(head.contains("allow: GET, HEAD"), "{head}");
    assert!(body.contains("urn:strand:problem:method-not-allowed"));
}

#[tokio::test]
async fn everything_else_needs_the_token_first() {
    let node = node();
    for path in [
        "/metrics",
        "/v1/status",
        "/",
        "/nothing",
        "/healthz/",
        "/healthz/x",
    ] {
        for authorization in [
            "",
            "authorization: Bearer wrong\r\n",
            "authorization: Bearer righ\r\n",
            "authorization: Bearer rightt\r\n",
            "authorization: Bearer \r\n",
            "authorization: Basic right\r\n",
            "authorization: right\r\n",
        ] {
            let (status, head, body) = node.get(path, authorization).await;
            assert_eq!(status, 401, "{path} {authorization}");
            assert!(head.contains("www-authenticate: Bearer"), "{head}");
            assert!(
                head.contains("content-type: application/problem+json"),
                "{head}"
            );
            let problem: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["type"], "urn:strand:problem:unauthorized");
            assert_eq!(problem["status"], 401);
            let id = format!("x-request-id: {}", problem["instance"].as_str().unwrap());
            assert!(head.contains(&id), "{head}");
        }
    }
    let right = "authorization: bearer right\r\n";
    for path in ["/", "/nothing", "/healthz/", "/v1"] {
        let (status, _, body) = node.get(path, right).await;
        assert_eq!(status, 404, "{path}");
        assert!(body.contains("urn:strand:problem:not-found"), "{body}");
    }
    let (status, _, body) = node
        .ask(&format!(
            "DELETE /v1/status HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{right}\r\n"
        ))
        .await;
    assert_eq!(status, 405);
    assert!(
        body.contains("urn:strand:problem:method-not-allowed"),
        "{body}"
    );
    let (status, head, body) = node.get("/metrics", right).await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: application/openmetrics-text"),
        "{head}"
    );
    assert!(
        body.contains("strand_connections 0\n") && body.ends_with("# EOF\n"),
        "{body}"
    );
    let (code, _, body) = node.get("/v1/status", right).await;
    assert_eq!(code, 200);
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        said["apps"][0]["functions"][0]["limits"]["memoryBytes"],
        128 << 20
    );
    assert_eq!(said["uptimeSeconds"], 7);
}

#[tokio::test]
async fn the_client_says_what_is_wrong() {
    let node = node();
    assert_eq!(node.client("right").status().await.unwrap(), status());
    let error = node.client("wrong").status().await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused { status, .. } if *status == 401));
    assert_eq!(
        error.to_string(),
        format!(
            "the node at {} answered 401 Unauthorized: send the node's admin token as `Authorization: Bearer TOKEN`; it is in the node's state folder",
            node.addr
        )
    );
    // Nobody; somebody else; somebody who hangs up.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (said, expected) in [
        (None, "no node answers at "),
        (
            Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"),
            "what answers at ",
        ),
        (Some(""), "the node at "),
    ] {
        let addr = match said {
            None => free,
            Some(said) => stranger(said).await,
        };
        let client = AdminClient {
            addr,
            token: Token::new(""),
        };
        let error = client.status().await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

/// Answers one connection with a text.
async fn stranger(said: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
    });
    addr
}

#[tokio::test]
async fn clients_are_bounded() {
    let node = node();
    for fields in [
        format!("x: {}\r\n", "a".repeat(20_000)),
        "a: b\r\n".repeat(65),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nhost: t\r\n{fields}\r\n");
        let mut stream = TcpStream::connect(node.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = String::new();
        let ended = timeout(PATIENCE, stream.read_to_string(&mut read)).await;
        // The kernel may throw the answer away with what was not read of the request.
        assert!(
            ended.unwrap().is_err() || read.starts_with("HTTP/1.1 431 "),
            "{read}"
        );
    }
    // More connections than allowed wait until one goes.
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(TcpStream::connect(node.addr).await.unwrap());
    }
    let waiting = timeout(Duration::from_millis(300), node.client("").health()).await;
    assert!(waiting.is_err());
    held.pop();
    assert!(node.client("").health().await.is_ok());
    // Those that say nothing are closed in time.
    let start = Instant::now();
    let mut silent = held.pop().unwrap();
    let mut nothing = Vec::new();
    timeout(PATIENCE, silent.read_to_end(&mut nothing))
        .await
        .unwrap()
        .unwrap();
    assert!(nothing.is_empty());
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn it_ends_when_told() {
    let node = node();
    let mut idle = TcpStream::connect(node.addr).await.unwrap();
    assert!(node.client("").health().await.is_ok());
    node.shutdown.cancel();
    let mut nothing = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut nothing))
        .await
        .unwrap()
        .unwrap();
    timeout(PATIENCE, node.serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(node.addr).await.is_err());
}
