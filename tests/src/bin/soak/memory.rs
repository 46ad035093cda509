//! A long sequence within little memory: `examples/reads` on 250 million bases, in a
//! cgroup with 256 MiB more than the node has in use when it starts.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use strand_tests::{Server, allowed_to_miss, client, reads_app};

use crate::cgroup::Cgroup;
use crate::chromosome::{self, PAIRS, mebibytes};

/// What the cgroup has beyond the usage at the start.
const ROOM: u64 = 256 << 20;
/// What the function may use.
const MEMORY: u64 = 128 << 20;
/// The slow client: bytes a second, and for how long.
const SLOW: u64 = 1_000_000;
const SLOW_FOR: Duration = Duration::from_secs(60);
/// How long it may take until nothing is left of a request.
const RELEASE: Duration = Duration::from_secs(10);

pub(crate) async fn run() {
    let app = reads_app();
    chromosome::write(&app.path().join("genomes"));
    let state = tempfile::tempdir().unwrap();
    // Compiles; the node that is measured finds its code in the cache.
    drop(Server::start_with_state(app.path(), state.path(), &[], &[]));

    let cgroup = Cgroup::new();
    let server = cgroup.start(|| Server::start_with_state(app.path(), state.path(), &[], &[]));
    // A short request, so that what is made once is there.
    let first = server.get("/reads?reference=lambda&n=10&seed=1").await;
    assert_eq!(first.status, 200, "{first:?}");
    settled(&server).await;
    let usage = cgroup.usage();
    cgroup.limit(usage + ROOM);
    println!(
        "usage at the start {}, limit {}",
        mebibytes(usage),
        mebibytes(usage + ROOM)
    );
    let before = Marks::of(&server).await;

    whole(&server).await;
    slow(&server).await;

    settled(&server).await;
    let after = Marks::of(&server).await;
    println!("before: {before:?}\nafter:  {after:?}");
    assert!(after.descriptors <= before.descriptors);
    assert!(after.tasks <= before.tasks);
    let left = cgroup.usage();
    println!("the cgroup's usage when all is done: {}", mebibytes(left));
    if let Some(peak) = cgroup.peak() {
        println!("the cgroup's peak: {}", mebibytes(peak));
    }
    let again = server.get("/reads?reference=lambda&n=10&seed=1").await;
    assert!(again.body == first.body, "the node serves as before");
}

/// A client that takes all at once, and wgsim beside it.
async fn whole(server: &Server) {
    let begun = Instant::now();
    let request = client().get(server.url(&chromosome::path("1"))).send();
    let mut response = request.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut hash = blake3::Hasher::new();
    let (mut bytes, mut most) = (0, 0);
    let mut looked = Instant::now();
    while let Some(piece) = response.chunk().await.unwrap() {
        hash.update(&piece);
        bytes += piece.len() as u64;
        if looked.elapsed() > Duration::from_millis(50) {
            looked = Instant::now();
            most = most.max(server.metric("strand_memory_used_bytes").await as u64);
        }
    }
    println!(
        "{PAIRS} pairs, first mates: {bytes} bytes in {:.1} s; functions used at most {}",
        begun.elapsed().as_secs_f64(),
        mebibytes(most)
    );
    assert!(most > 0 && most <= MEMORY, "{most} bytes in use");
    if let Some(expected) = wgsim(server) {
        assert!(hash.finalize() == expected, "not the bytes of wgsim");
        println!("the same bytes as wgsim's");
    }
}

/// What wgsim writes as first mates.
fn wgsim(server: &Server) -> Option<blake3::Hash> {
    let genome = server.app().join("genomes/chromosome.fa");
    let out = tempfile::tempdir().unwrap();
    let first = out.path().join("1.fq");
    let done = Command::new("wgsim")
        .args(["-N", &PAIRS.to_string(), "-S", "42"])
        .arg(&genome)
        .args([first.as_os_str(), "/dev/null".as_ref()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match done {
        Ok(done) => assert!(done.success()),
        Err(_) if allowed_to_miss("wgsim") => return None,
        Err(error) => panic!("wgsim: {error}; run `apt-get install samtools`"),
    }
    let mut hash = blake3::Hasher::new();
    std::io::copy(&mut std::fs::File::open(first).unwrap(), &mut hash).unwrap();
    Some(hash.finalize())
}

/// A client that takes a megabyte a second for a minute, and goes.
async fn slow(server: &Server) {
    let request = client().get(server.url(&chromosome::path("both"))).send();
    let mut response = request.await.unwrap();
    assert_eq!(response.status(), 200);
    // From the first byte on: until then the function reads the sequence.
    let mut begun = None;
    let (mut bytes, mut most) = (0, 0);
    while let Some(piece) = response.chunk().await.unwrap() {
        let begun: Instant = *begun.get_or_insert_with(Instant::now);
        bytes += piece.len() as u64;
        most = most.max(server.metric("strand_memory_used_bytes").await as u64);
        if begun.elapsed() >= SLOW_FOR {
            break;
        }
        let due = begun + Duration::from_micros(bytes * 1_000_000 / SLOW);
        tokio::time::sleep_until(due.into()).await;
    }
    println!(
        "the slow client took {bytes} bytes; functions used at most {}",
        mebibytes(most)
    );
    assert!(most <= MEMORY, "{most} bytes in use");
}

/// Waits until nothing is left of earlier requests.
async fn settled(server: &Server) {
    let end = Instant::now() + RELEASE;
    loop {
        let instances = server.metric("strand_instances").await;
        let memory = server.metric("strand_memory_used_bytes").await;
        let connections = server.metric("strand_connections").await;
        if instances + memory + connections == 0.0 {
            return;
        }
        assert!(
            Instant::now() < end,
            "{instances} instances, {memory} bytes, {connections} connections after {RELEASE:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What must be as it was.
#[derive(Debug)]
struct Marks {
    descriptors: usize,
    tasks: f64,
    /// For the report: what the allocator keeps is no leak.
    #[allow(dead_code, reason = "printed")]
    resident: u64,
}

impl Marks {
    async fn of(server: &Server) -> Self {
        // The connections that asked for metrics have to go first.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Self {
            descriptors: server.descriptors(),
            tasks: server.metric("strand_tasks").await,
            resident: server.resident(),
        }
    }
}
