//! `examples/reads` as its users see it: the same bytes as `wgsim`, from a folder
//! and from S3.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strand_s3_server::S3Server;
use strand_tests::{Server, TestApp, guest};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("examples/reads")
}

/// The example's own Directive, with the functions that `cargo xtask` built.
fn app() -> TestApp {
    let app = TestApp::new("");
    let directive = fs::read_to_string(example().join("directive.yaml")).unwrap();
    app.write("directive.yaml", directive);
    for name in ["simulate", "index"] {
        let built = fs::read(guest(&format!("reads-{name}"))).unwrap();
        app.write(&format!(".strand/build/{name}.wasm"), built);
        app.write(&format!("functions/{name}/Cargo.toml"), "");
    }
    let page = fs::read(example().join("public/index.html")).unwrap();
    app.write("public/index.html", page);
    let lambda = fs::read(example().join("genomes/lambda.fa")).unwrap();
    app.write("genomes/lambda.fa", lambda);
    app
}

fn allowed_to_miss(name: &str) -> bool {
    std::env::var("STRAND_ALLOW_MISSING").is_ok_and(|all| all.split(',').any(|one| one == name))
}

/// Both FASTQ files and the variants, as the real `wgsim` writes them; none where
/// it may be missing.
fn wgsim(reference: &Path, args: &[&str]) -> Option<[Vec<u8>; 3]> {
    let out = tempfile::tempdir().unwrap();
    let files = [out.path().join("1.fq"), out.path().join("2.fq")];
    let done = Command::new("wgsim")
        .args(args)
        .arg(reference)
        .args(&files)
        .stderr(Stdio::null())
        .output();
    match done {
        Ok(done) => {
            assert!(done.status.success());
            Some([
                fs::read(&files[0]).unwrap(),
                fs::read(&files[1]).unwrap(),
                done.stdout,
            ])
        }
        Err(_) if allowed_to_miss("wgsim") => {
            eprintln!("skipped: there is no wgsim");
            None
        }
        Err(error) => panic!("wgsim: {error}; run `apt-get install samtools`"),
    }
}

/// A small generator, so that a seed says all.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()]
    }
}

/// Several sequences with runs of N, lower case, and one too short.
fn genome(draws: &mut Draws) -> String {
    let mut text = String::new();
    for (name, length) in [("first", 30_000), ("short", 120), ("second", 12_345)] {
        text.push_str(&format!(">{name} described\n"));
        let mut line = String::new();
        for position in 0..length {
            let base = match position % 7919 {
                0..=150 => 'N',
                151..400 => ['a', 'c', 'g', 't'][usize::try_from(draws.below(4)).unwrap()],
                _ => ['A', 'C', 'G', 'T'][usize::try_from(draws.below(4)).unwrap()],
            };
            line.push(base);
            if line.len() == 60 {
                text.push_str(&line);
                text.push('\n');
                line.clear();
            }
        }
        if !line.is_empty() {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

#[tokio::test]
async fn reads_and_variants_equal_wgsim_s() {
    let seed = std::env::var("READS_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!("READS_TEST_SEED={seed}");
    let mut draws = Draws(seed);
    let app = app();
    let drawn = app.write("genomes/drawn.fa", genome(&mut draws));
    let lambda = app.path().join("genomes/lambda.fa");
    // wgsim is not on its PATH: what it serves it made itself.
    let state = tempfile::tempdir().unwrap();
    let server = Server::start_with_state(app.path(), state.path(), &[], &[("PATH", "/nowhere")]);
    for round in 0..50 {
        let (reference, file) = if round % 2 == 0 {
            ("drawn", &drawn)
        } else {
            ("lambda", &lambda)
        };
        let n = (1 + draws.below(600)).to_string();
        let s = (1 + draws.below(2_147_483_646)).to_string();
        let e = draws.of(&["0", "0.001", "0.02", "0.2"]);
        let r = draws.of(&["0", "0.001", "0.01", "0.1"]);
        let indel = draws.of(&["0", "0.15", "0.6", "1"]);
        let x = draws.of(&["0", "0.3", "0.7"]);
        let l1 = draws.of(&["35", "70", "101", "150"]);
        let l2 = draws.of(&["35", "70", "101", "150"]);
        let d = draws.of(&["200", "500"]);
        let stdev = draws.of(&["0", "10", "50"]);
        let a = draws.of(&["0", "0.05", "1"]);
        let haploid = draws.below(2) == 1;
        let mut args = vec![
            "-N", &n, "-S", &s, "-e", e, "-r", r, "-R", indel, "-X", x, "-1", l1, "-2", l2, "-d",
            d, "-s", stdev, "-A", a,
        ];
        if haploid {
            args.push("-h");
        }
        let Some([first, second, variants]) = wgsim(file, &args) else {
            return;
        };
        let query = format!(
            "reference={reference}&n={n}&seed={s}&error={e}&mutation={r}&indel={indel}&extend={x}\
             &length1={l1}&length2={l2}&distance={d}&stdev={stdev}&ambiguous={a}&haploid={haploid}"
        );
        for (path, expected) in [
            (format!("/reads?{query}&mate=1"), &first),
            (format!("/reads?{query}&mate=2"), &second),
            (format!("/variants?{query}"), &variants),
        ] {
            let reply = server.get(&path).await;
            assert_eq!(reply.status, 200, "seed {seed}, {path}: {reply:?}");
            assert!(
                reply.body == *expected,
                "seed {seed}, {path} differs from wgsim {args:?}"
            );
        }
    }
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let app = app();
    let server = Server::start(app.path(), &[]);
    for (path, status, words) in [
        ("/reads?reference=lambda&n=x", 400, "n "),
        ("/reads?reference=lambda&error=2", 400, "error"),
        ("/reads?reference=lambda&seed=0", 400, "seed"),
        ("/reads", 400, "reference"),
        ("/reads?reference=nope", 404, "lambda"),
        ("/reads?reference=lambda&chrom=nope", 404, "NC_001416"),
    ] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        assert!(reply.text().contains(words), "{path}: {reply:?}");
    }
    let reply = server.get("/reads?reference=lambda&n=1").await;
    assert!(reply.headers.contains_key("strand-seed"));
    let page = server.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<form"));
}

#[tokio::test]
async fn the_same_app_reads_from_s3_each_byte_once() {
    let app = app();
    let bucket = tempfile::tempdir().unwrap();
    let folder = bucket.path().join("bucket/genomes");
    fs::create_dir_all(&folder).unwrap();
    let lambda = fs::read(example().join("genomes/lambda.fa")).unwrap();
    fs::write(folder.join("lambda.fa"), &lambda).unwrap();
    // The index, as `samtools faidx` writes it.
    let header = lambda.iter().position(|byte| *byte == b'\n').unwrap();
    let name = std::str::from_utf8(&lambda[1..header]).unwrap();
    let name = name.split_whitespace().next().unwrap();
    let width = lambda[header + 1..]
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap();
    let bases = lambda[header + 1..]
        .iter()
        .filter(|byte| **byte != b'\n')
        .count();
    let index = format!("{name}\t{bases}\t{}\t{width}\t{}\n", header + 1, width + 1);
    fs::write(folder.join("lambda.fa.fai"), index).unwrap();

    let mut s3 = S3Server::start(bucket.path()).await.unwrap();
    let endpoint = s3.endpoint();
    let env = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", strand_s3_server::ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", strand_s3_server::SECRET_KEY),
    ];
    let state = tempfile::tempdir().unwrap();
    let bind = ["--bind", "blobs.genomes=s3://bucket/genomes"];
    let far = Server::start_with_state(app.path(), state.path(), &bind, &env);
    let near = Server::start(app.path(), &[]);
    s3.take_requests();
    let path = "/reads?reference=lambda&n=500&seed=7";
    let reply = far.get(path).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body == near.get(path).await.body);
    let read: u64 = s3
        .take_requests()
        .iter()
        .filter(|request| request.key == "bucket/genomes/lambda.fa")
        .map(|request| request.sent)
        .sum();
    let sequence = (lambda.len() - header - 1) as u64;
    assert!(
        read > 0 && read * 10 <= sequence * 11,
        "{read} bytes read of {sequence}"
    );

    // Without the server a request fails, and the next one works when it is back.
    s3.stop().await;
    let reply = far.get("/reads?reference=lambda&n=5&seed=7").await;
    assert!(reply.status.is_server_error() || reply.aborted, "{reply:?}");
    s3.restart().await.unwrap();
    assert_eq!(far.get(path).await.status, 200);
}
