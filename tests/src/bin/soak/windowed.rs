//! Windowed mode on a long sequence, from a folder and from an S3 server: how soon it
//! begins, and within how little memory it goes on.

use std::fs;
use std::time::{Duration, Instant};

use strand_s3_server::S3Server;
use strand_tests::{STRETCH, Server, TestApp, UNKNOWN, client, reads_app, serve_from_s3};

use crate::chromosome::{self, BASES, NAME, PAIRS, mebibytes};

/// When the first byte has to be there.
const FIRST: Duration = Duration::from_millis(300);
/// Requests of which it is, after the one that is read to its end.
const BEGUN: usize = 10;
/// Bases of a read and between the ends of a pair, as the API has them without being told.
const LENGTH: u64 = 70;
const DISTANCE: u64 = 500;
/// So many unknown bases in a read are too many: more than a twentieth.
const TOO_MANY: u64 = LENGTH / 20 + 1;

pub(crate) async fn run() {
    let app = reads_app();
    limit(&app);
    let genomes = app.path().join("genomes");
    chromosome::write(&genomes);
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("bucket")).unwrap();
    for file in [format!("{NAME}.fa"), format!("{NAME}.fa.fai")] {
        let key = format!("genomes/{file}");
        S3Server::put_file(root.path(), "bucket", &key, &genomes.join(file))
            .await
            .unwrap();
    }
    let near = measure("a folder", &Server::start(app.path(), &[])).await;
    let s3 = S3Server::start(root.path()).await.unwrap();
    let far = measure("S3", &serve_from_s3(&app, &s3)).await;
    assert!(near == far, "the bytes differ");
}

/// Gives each function that takes part 32 MiB: one that needs more cannot end its answer.
fn limit(app: &TestApp) {
    let directive = fs::read_to_string(app.path().join("directive.yaml")).unwrap();
    let limited = directive
        .replace("memory: 128Mi", "memory: 32Mi")
        .replace("READS_MEMORY_MIB: \"128\"", "READS_MEMORY_MIB: \"32\"");
    // `simulate` and `windows`. `index` has nothing to do: the index is there.
    assert_eq!(limited.matches("memory: 32Mi").count(), 2, "{limited}");
    assert_eq!(limited.matches("MIB: \"32\"").count(), 1, "{limited}");
    app.write("directive.yaml", limited);
}

/// Streams all pairs of a node that has just started, and then begins some more times.
async fn measure(place: &str, server: &Server) -> blake3::Hash {
    let client = client();
    let url = server.url(&format!("{}&mode=windowed", chromosome::path("both")));
    let begun = Instant::now();
    let mut response = client.get(&url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut first = None;
    let (mut hash, mut records) = (blake3::Hasher::new(), Records::default());
    let (mut bytes, mut most, mut instances) = (0, 0.0, 0.0);
    let mut looked = begun;
    while let Some(piece) = response.chunk().await.unwrap() {
        first.get_or_insert_with(|| begun.elapsed());
        bytes += piece.len() as u64;
        hash.update(&piece);
        records.take(&piece);
        if looked.elapsed() > Duration::from_millis(50) {
            looked = Instant::now();
            let used = server.metric("strand_memory_used_bytes").await;
            if used > most {
                most = used;
                instances = server.metric("strand_instances").await;
            }
        }
    }
    let first = first.expect("bytes");
    println!(
        "{place}: the first byte after {} ms, {} in {:.1} s; at most {} in {instances} instances, \
         of which none may have more than 32 MiB",
        first.as_millis(),
        mebibytes(bytes),
        begun.elapsed().as_secs_f64(),
        mebibytes(most as u64),
    );
    let mut slowest = Duration::ZERO;
    for _ in 0..BEGUN {
        let begun = Instant::now();
        let mut response = client.get(&url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.chunk().await.unwrap().is_some());
        slowest = slowest.max(begun.elapsed());
    }
    println!(
        "{place}: of {BEGUN} more the slowest began after {} ms",
        slowest.as_millis()
    );
    records.check();
    assert!(first.max(slowest) <= FIRST, "later than {FIRST:?}");
    hash.finalize()
}

/// What is looked at of records as they come.
#[derive(Default)]
struct Records {
    /// The start of a line.
    line: Vec<u8>,
    lines: u64,
    pairs: u64,
    /// The number that the last pair has in its name.
    number: Option<u64>,
}

impl Records {
    fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.whole_line();
                self.line.clear();
            }
        }
    }

    /// A pair is four lines of its first read and four of its second.
    fn whole_line(&mut self) {
        let text = std::str::from_utf8(&self.line).unwrap().trim_end();
        match self.lines % 8 {
            0 => {
                let number = number(text, "/1");
                assert!(self.number < Some(number), "{text} is out of order");
                self.number = Some(number);
                self.pairs += 1;
            }
            4 => assert_eq!(self.number, Some(number(text, "/2")), "{text}"),
            2 | 6 => assert_eq!(text, "+"),
            _ => assert_eq!(text.len() as u64, LENGTH, "{text}"),
        }
        self.lines += 1;
    }

    /// All pairs are there but those of which a read has too many unknown bases.
    fn check(&self) {
        assert!(self.line.is_empty() && self.lines == 8 * self.pairs);
        assert!(self.number < Some(PAIRS));
        let left_out = PAIRS - self.pairs;
        // Places of a read on a run of unknown bases, and how much farther those of a pair go.
        let read = UNKNOWN + LENGTH + 1 - 2 * TOO_MANY;
        let pair = read + DISTANCE - LENGTH;
        let expected = (PAIRS * pair) as f64 / STRETCH as f64;
        println!(
            "{} pairs; {left_out} lie on unknown bases, where about {expected:.0} are expected",
            self.pairs
        );
        // Four standard deviations: it is a sum of many rare ones.
        assert!((left_out as f64 - expected).abs() < 4.0 * expected.sqrt());
    }
}

/// The number in a read's name, which is hexadecimal.
fn number(name: &str, mate: &str) -> u64 {
    let number = name
        .strip_suffix(mate)
        .and_then(|name| name.rsplit('_').next());
    number
        .and_then(|number| u64::from_str_radix(number, 16).ok())
        .unwrap_or_else(|| panic!("{name} is no name of a mate {mate}"))
}

const _: () = assert!(BASES.is_multiple_of(STRETCH));
