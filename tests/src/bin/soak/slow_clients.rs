//! Clients as slow as they may be: 2,000 of them, until each is cut at its limit, and what
//! others notice of it. They come several times, so that it is not one window's chance that
//! decides.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setpriority_process, setrlimit};
use strand_tests::{Server, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::load;

/// A third of each kind.
const CLIENTS: usize = 2_000;
/// In how long they come: what a request costs at its beginning is another matter.
const COMING: Duration = Duration::from_secs(10);
/// Each of the three limits: longer than they take to come and the others are measured, so that
/// all are there all the time.
const LIMIT: Duration = Duration::from_secs(60);
/// How much later than its limit a client may be cut: up to a quarter, and it does something
/// only now and then.
const LATE: Duration = Duration::from_secs(15);
/// How often a client does something, so as to look alive.
const PAUSE: Duration = Duration::from_secs(1);

/// How often they come.
const ROUNDS: usize = 5;
/// Of the load of the others, alone and beside the slow ones, each time.
const WINDOW: Duration = Duration::from_secs(30);
/// By how much its p99 may become longer: the median of all rounds, each of which compares two
/// windows that follow each other.
const FACTOR: f64 = 2.0;
/// The lowest priority there is (setpriority(2)).
const LOWEST: i32 = 19;

/// An instance for each client whose request a function has, and room for what the gateway holds.
const CONFIG: &str = r#"
memory = "8Gi"
[gateway]
header-timeout = "60s"
body-timeout = "60s"
write-timeout = "60s"
"#;

const SPEC: &str = "
  resources: { blobs: { data: { dev: ./data } } }
  functions:
    hello: { source: { file: hello-http02.wasm } }
    probe:
      source: { file: probe02.wasm }
      limits: { memory: 16Mi, concurrency: 2000, wall: 120s }
      grants: { blobs: { data: [read, write] }, functions: [hello] }
  routes:
    - { path: /hello, function: hello }
    - { path: \"/{*rest}\", function: probe }
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Header,
    Body,
    Read,
}

pub(crate) async fn run() {
    raise_descriptor_limit();
    let app = TestApp::new(SPEC);
    app.write("data/nothing", "");
    let config = app.write("strand.toml", CONFIG);
    let server = Server::start(app.path(), &["--config", config.to_str().unwrap()]);
    let address: SocketAddr = server.address().parse().unwrap();

    let mut ratios = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        // Nobody is left of the round before.
        let none = |open: f64| open < 1.0;
        server.wait_for_metric("strand_connections", none).await;
        let alone = load::run(address, WINDOW).await;
        println!("round {round} of {ROUNDS}");
        println!("alone:  {alone}");
        // A thread of their own, and last in turn for a core: the load is to wait for nothing that
        // they do, for such clients are on other machines.
        let slow = thread::spawn(move || {
            setpriority_process(None, LOWEST).unwrap();
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(hold_all(address))
        });
        let all = |open: f64| open >= CLIENTS as f64;
        server.wait_for_metric("strand_connections", all).await;
        let beside = load::run(address, WINDOW).await;
        println!("beside: {beside}");
        let open = server.metric("strand_connections").await;
        assert!(all(open), "{open} connections at the end of the load");
        cut_at_their_limit(&slow.join().unwrap());
        ratios.push(beside.p99.as_secs_f64() / alone.p99.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ROUNDS / 2];
    println!("the others' p99 is {ratio:.2} times what it is alone, of {ratios:.2?} the median");
    assert!(ratio <= FACTOR);
}

/// Looks whether each could hold on for as long as its limit says, and not for much longer.
fn cut_at_their_limit(held: &[(Kind, Duration)]) {
    for kind in [Kind::Header, Kind::Body, Kind::Read] {
        let mut times: Vec<Duration> = held
            .iter()
            .filter(|it| it.0 == kind)
            .map(|it| it.1)
            .collect();
        times.sort_unstable();
        let (least, most) = (times[0], times[times.len() - 1]);
        println!(
            "{kind:?}: {} cut, after {least:.1?} to {most:.1?}",
            times.len()
        );
        assert!(least >= LIMIT && most <= LIMIT + LATE, "not at their limit");
    }
}

/// Lets all come, and for how long each of them could hold on.
async fn hold_all(address: SocketAddr) -> Vec<(Kind, Duration)> {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let kind = [Kind::Header, Kind::Body, Kind::Read][number % 3];
        clients.spawn(async move { (kind, hold(kind, address).await) });
        sleep(COMING / CLIENTS as u32).await;
    }
    clients.join_all().await
}

/// Connects, and is slow until it is cut.
async fn hold(kind: Kind, address: SocketAddr) -> Duration {
    let socket = TcpSocket::new_v4().unwrap();
    // No more than this may be on the way to one that reads nothing.
    socket.set_recv_buffer_size(4096).unwrap();
    let begun = Instant::now();
    let mut stream = socket.connect(address).await.unwrap();
    let (begin, again): (&str, &[u8]) = match kind {
        Kind::Header => ("GET /hello HTTP/1.1\r\nhost: t\r\n", b"x: y\r\n"),
        Kind::Body => (
            "POST /echo HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000\r\n\r\n",
            b"x",
        ),
        // The beginning of another request, which is not its turn.
        Kind::Read => ("GET /bytes/100000000 HTTP/1.1\r\nhost: t\r\n\r\n", b"\r\n"),
    };
    if stream.write_all(begin.as_bytes()).await.is_err() {
        return begun.elapsed();
    }
    let (mut reader, mut writer) = stream.split();
    let sending = async {
        while writer.write_all(again).await.is_ok() {
            sleep(PAUSE).await;
        }
    };
    if kind == Kind::Read {
        sending.await;
    } else {
        let mut waste = [0; 4096];
        let reading = async { while reader.read(&mut waste).await.is_ok_and(|read| read > 0) {} };
        tokio::select! {
            () = sending => {}
            () = reading => {}
        }
    }
    begun.elapsed()
}

/// One for each client.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let most = limit.current.unwrap_or(u64::MAX);
    assert!(
        most > 2 * CLIENTS as u64,
        "a process may have {most} descriptors: raise `ulimit -Hn`"
    );
}
