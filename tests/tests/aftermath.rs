//! What is left of the hostile guests when they are gone: nothing.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use strand_tests::hostile::{ATTACKS, spec};
use strand_tests::{Server, TestApp};

/// What a node that idles must have come back to after so long.
const IDLE: Duration = Duration::from_secs(10);

async fn leaves_nothing_behind(guest: &str) {
    let app = TestApp::new(&spec(guest, "{ reuse: 1 }"));
    let server = Server::start(app.path(), &[]);
    suite(&server, guest).await;
    let before = Marks::after_idling(&server).await;
    for _ in 0..2 {
        suite(&server, guest).await;
    }
    let after = Marks::after_idling(&server).await;
    println!("{guest}: {before:?} before, {after:?} after");
    assert!(
        after.descriptors <= before.descriptors,
        "{before:?}, {after:?}"
    );
    assert!(after.tasks <= before.tasks, "{before:?}, {after:?}");
    assert!(
        after.resident <= before.resident + before.resident / 5,
        "{before:?}, {after:?}"
    );
    assert_eq!(
        server.get("/neighbour").await.text(),
        "Hello from WASI 0.2!\n"
    );
}

async fn suite(server: &Server, guest: &str) {
    for attack in &ATTACKS {
        attack.run(server, guest).await;
    }
    for input in ["trap", "spin", "recurse", "alloc", "huge", "fail 500 x"] {
        server.post("/task", input).await;
    }
    for what in ["flood", "spin", "alloc", "exit-after", "recurse", "sleep"] {
        server.get(&format!("/command/{what}")).await;
    }
    assert_eq!(server.get("/neighbour").await.status, 200);
}

/// What must come back to what it was.
#[derive(Debug)]
struct Marks {
    descriptors: usize,
    tasks: f64,
    resident: u64,
}

impl Marks {
    async fn after_idling(server: &Server) -> Self {
        tokio::time::sleep(IDLE).await;
        // First, for asking for metrics takes a connection.
        let descriptors = server.descriptors();
        let resident = server.resident();
        assert_eq!(server.metric("strand_instances").await, 0.0);
        assert_eq!(server.metric("strand_memory_used_bytes").await, 0.0);
        Self {
            descriptors,
            tasks: server.metric("strand_tasks").await,
            resident,
        }
    }
}

#[tokio::test]
async fn nothing_is_left_of_guests_over_wasi_0_2() {
    leaves_nothing_behind("hostile02").await;
}

#[tokio::test]
async fn nothing_is_left_of_guests_over_wasi_0_3() {
    leaves_nothing_behind("hostile03").await;
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// A client that asks for a path on many streams at once, and takes nothing of the answers.
fn hoard(server: &Server, path: &str, streams: u32) -> TcpStream {
    let mut client = TcpStream::connect(server.address()).unwrap();
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(4, 0, 0, b""));
    // In the static table of HPACK: GET and http; by their names there, the path and the authority.
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    let mut header = vec![0x82, 0x86, 0x04, length(path)];
    header.extend(path.bytes());
    header.extend([0x01, 1, b'a']);
    for stream in 0..streams {
        sent.extend(frame(1, 0x5, 2 * stream + 1, &header));
    }
    client.write_all(&sent).unwrap();
    client
}

#[tokio::test]
async fn what_many_clients_held_goes_back_to_the_system() {
    const CLIENTS: u32 = 12;
    const STREAMS: u32 = 64;
    let app = TestApp::new(
        "
  resources: { blobs: { data: { dev: ./data } } }
  functions:
    probe:
      source: { file: probe02.wasm }
      limits: { concurrency: 1000 }
      grants: { blobs: { data: [read, write] } }
  routes:
    - { path: \"/{*rest}\", function: probe }
",
    );
    app.write("data/nothing", "");
    // What the pool keeps for its next instances has a bound of its own, and is not what this is about.
    let config = "memory = \"2Gi\"\n[engine]\nkeep-resident = \"0\"\n";
    let config = app.write("node.toml", config);
    let server = Server::start(app.path(), &["--config", config.to_str().unwrap()]);
    let before = server.resident();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| hoard(&server, "/bytes/9000000", STREAMS))
        .collect();
    let all = f64::from(CLIENTS * STREAMS);
    server
        .wait_for_metric("strand_instances", |live| live >= all)
        .await;
    // As much as a client that reads nothing may have waiting for it.
    server
        .wait_for_resident(|resident| resident > before + (96 << 20))
        .await;
    drop(clients);
    server
        .wait_for_metric("strand_memory_used_bytes", |used| used == 0.0)
        .await;
    server
        .wait_for_resident(|resident| resident < before + (32 << 20))
        .await;
}
