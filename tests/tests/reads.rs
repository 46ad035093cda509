//! `examples/reads` as its users see it: the same bytes as `wgsim`, from a folder
//! and from S3.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use strand_s3_server::S3Server;
use strand_tests::{
    Draws, Reply, Server, TestApp, allowed_to_miss, client, ecoli, read, reads_app, reads_example,
    serve_from_s3, unpacked, write_genome,
};
use tokio::task::JoinSet;

/// The phage lambda, as Debian has it.
const LAMBDA: &str = "/usr/share/doc/bowtie2/examples/reference/lambda_virus.fa.gz";

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

/// The reads and variants of a query are the files that `wgsim` wrote.
async fn assert_same(server: &Server, query: &str, wgsim: &[Vec<u8>; 3]) {
    let [first, second, variants] = wgsim;
    for (path, expected) in [
        (format!("/reads?{query}&mate=1"), first),
        (format!("/reads?{query}&mate=2"), second),
        (format!("/variants?{query}"), variants),
    ] {
        let reply = server.get(&path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert!(!reply.aborted, "{path} was broken off");
        assert!(reply.body == *expected, "{path} differs from wgsim");
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
        .unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("READS_TEST_SEED={seed}");
    let mut draws = Draws(seed);
    let app = reads_app();
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
        let Some(expected) = wgsim(file, &args) else {
            return;
        };
        let query = format!(
            "reference={reference}&n={n}&seed={s}&error={e}&mutation={r}&indel={indel}&extend={x}\
             &length1={l1}&length2={l2}&distance={d}&stdev={stdev}&ambiguous={a}&haploid={haploid}"
        );
        assert_same(&server, &query, &expected).await;
    }
}

#[tokio::test]
async fn a_whole_bacterium_equals_wgsim_s() {
    let Some(genome) = ecoli() else {
        return;
    };
    let app = reads_app();
    let file = app.write("genomes/ecoli.fa", genome);
    let Some(expected) = wgsim(&file, &["-N", "100000", "-S", "42"]) else {
        return;
    };
    assert!(expected[0].len() > 15_000_000, "{}", expected[0].len());
    let server = Server::start(app.path(), &[]);
    assert_same(&server, "reference=ecoli&n=100000&seed=42", &expected).await;
}

#[test]
fn lambda_is_debian_s() {
    let Some(expected) = unpacked(LAMBDA, "bowtie2-examples") else {
        return;
    };
    let ours = fs::read(reads_example().join("genomes/lambda.fa")).unwrap();
    assert!(ours == expected, "examples/reads/genomes/lambda.fa differs");
}

#[tokio::test]
async fn a_sequence_alone_is_as_wgsim_has_it() {
    let app = reads_app();
    let text = genome(&mut Draws(7));
    app.write("genomes/drawn.fa", &text);
    let server = Server::start(app.path(), &[]);
    let all = server.get("/reads?reference=drawn&n=500&seed=3").await;
    for (name, skipped) in [("first", None), ("second", None), ("short", Some("1"))] {
        let record = text.split('>').find(|r| r.starts_with(name)).unwrap();
        let alone = app.write("alone.fa", format!(">{record}"));
        let query = format!("reference=drawn&chrom={name}&n=500&seed=3");
        let reply = server.get(&format!("/reads?{query}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let told = reply
            .headers
            .get("strand-skipped")
            .map(|v| v.to_str().unwrap());
        assert_eq!(told, skipped, "{name}");
        assert_eq!(reply.body.is_empty(), skipped.is_some(), "{name}");
        assert!(reply.body != all.body, "{name}");
        let Some(expected) = wgsim(&alone, &["-N", "500", "-S", "3"]) else {
            return;
        };
        assert_same(&server, &query, &expected).await;
    }
    assert_eq!(all.headers["strand-skipped"], "1");
    assert_eq!(all.headers["strand-seed"], "3");
}

/// The records of a FASTQ text, four lines each.
fn records(reply: &Reply) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = reply.text().lines().collect();
    lines.chunks(4).map(<[&str]>::to_vec).collect()
}

#[tokio::test]
async fn mates_interleave_and_a_seed_says_all() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let both = server.get("/reads?reference=lambda&n=200").await;
    let seed = both.headers["strand-seed"].to_str().unwrap();
    let seed_number: u32 = seed.parse().unwrap();
    assert!((1..=2_147_483_647).contains(&seed_number), "{seed}");
    let path = |rest: &str| format!("/reads?reference=lambda&n=200&seed={seed}{rest}");
    let first = server.get(&path("&mate=1")).await;
    let second = server.get(&path("&mate=2")).await;
    assert!(server.get(&path("&mate=both")).await.body == both.body);
    let pairs = records(&first).into_iter().zip(records(&second));
    let interleaved: Vec<_> = pairs.flat_map(|(one, two)| [one, two]).collect();
    assert_eq!(interleaved.len(), 400);
    assert_eq!(records(&both), interleaved);
    assert!(interleaved[0][0].ends_with("_0/1") && interleaved[1][0].ends_with("_0/2"));
    // Another request without a seed gets another one.
    let other = server.get("/reads?reference=lambda&n=200").await;
    assert_ne!(other.headers["strand-seed"], both.headers["strand-seed"]);
    assert!(other.body != both.body);
}

#[tokio::test]
async fn head_gives_what_get_would_have() {
    let app = reads_app();
    let mut server = Server::start(app.path(), &[]);
    for (path, status) in [
        ("/reads?reference=lambda&n=100000000&seed=7", 200),
        ("/variants?reference=lambda&seed=7", 200),
        ("/references", 200),
        ("/reads?reference=nope", 404),
        ("/reads?reference=lambda&n=x", 400),
    ] {
        let reply = server.send(client().head(server.url(path))).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        assert!(reply.body.is_empty() && !reply.aborted, "{path}: {reply:?}");
        if path.contains("n=100000000") {
            // That would be hours of reads.
            assert_eq!(reply.headers["strand-seed"], "7");
            continue;
        }
        let get = server.get(path).await;
        assert_eq!(reply.headers["content-type"], get.headers["content-type"]);
        if !path.starts_with("/variants") {
            let length = get.body.len().to_string();
            assert_eq!(reply.headers["content-length"], length, "{path}");
        }
    }
    assert!(!server.log().contains("broken off"), "{}", server.log());
}

#[tokio::test]
async fn references_are_listed_with_their_sequences_or_what_is_wrong() {
    let app = reads_app();
    app.write("genomes/drawn.fasta", genome(&mut Draws(7)));
    app.write("genomes/broken.fa", ">a\nACGT\n+\nIIII\n");
    app.write("genomes/notes.txt", "no genome");
    let server = Server::start(app.path(), &[]);
    let reply = server.get("/references").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "application/json");
    let mut json = reply.json();
    // Its words are the simulator's tests' to check.
    let error = json["references"][0]["error"].take();
    let error = error.as_str().unwrap();
    assert!(
        error.contains("broken") && error.contains("line 3"),
        "{error}"
    );
    let sequence = |name: &str, length: u32| json!({ "name": name, "length": length });
    let expected = json!({ "references": [
        { "name": "broken", "error": null },
        { "name": "drawn", "length": 42_465, "sequences": [
            sequence("first", 30_000), sequence("short", 120), sequence("second", 12_345),
        ] },
        { "name": "lambda", "length": 48_502, "sequences": [
            sequence("gi|9626243|ref|NC_001416.1|", 48_502),
        ] },
    ] });
    assert_eq!(json, expected);
    let reply = server.get("/reads?reference=broken").await;
    assert_eq!(reply.problem(), ("guest-fault".to_owned(), None));
    assert_eq!(reply.json()["detail"], error);
}

#[tokio::test]
async fn what_cannot_fit_is_refused_with_the_reason() {
    let app = reads_app();
    // Nothing of it is read: the index says how long it is.
    for (name, length) in [("large", 100_000_000), ("huge", 2_000_000_000)] {
        app.write(&format!("genomes/{name}.fa"), format!(">{name}\nACGT\n"));
        let index = format!("{name}\t{length}\t{}\t60\t61\n", name.len() + 2);
        app.write(&format!("genomes/{name}.fa.fai"), index);
    }
    let server = Server::start(app.path(), &[]);
    for (query, field, reason) in [
        (
            "reference=large&mutation=1",
            "mutation",
            "ask for a smaller mutation",
        ),
        ("reference=huge", "chrom", "choose a shorter sequence"),
    ] {
        for route in ["reads", "variants"] {
            let reply = server.get(&format!("/{route}?{query}")).await;
            assert_eq!(reply.status, 400, "{reply:?}");
            assert_eq!(reply.problem(), ("bad-request".to_owned(), None));
            let problem = reply.json();
            assert_eq!(problem["field"], field, "{problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("but the function has 128 MiB"), "{detail}");
            assert!(detail.contains(reason), "{detail}");
            let id = reply.headers["x-request-id"].to_str().unwrap();
            assert_eq!(problem["instance"], id, "{problem}");
        }
    }
}

#[tokio::test]
async fn what_fits_fits_for_several_sequences_too() {
    let app = reads_app();
    // The second needs a little more than the first: 113 MB of the 134 that there are.
    let mut text = Vec::new();
    let mut index = String::new();
    for (name, length) in [("a", 19_000_000), ("b", 20_000_000)] {
        text.extend_from_slice(format!(">{name}\n").as_bytes());
        let offset = text.len();
        index.push_str(&format!(
            "{name}\t{length}\t{offset}\t{length}\t{}\n",
            length + 1
        ));
        text.extend(b"ACGTTGCA".iter().cycle().take(length));
        text.push(b'\n');
    }
    app.write("genomes/two.fa", text);
    app.write("genomes/two.fa.fai", index);
    let server = Server::start(app.path(), &[]);
    let query = "reference=two&n=10&seed=1&mutation=0.8&length1=5&length2=5";
    let reply = server.get(&format!("/reads?{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(!reply.aborted, "{reply:?}");
    assert_eq!(records(&reply).len(), 20);
}

/// The indexes in the app's cache, each with the number of its file.
fn indexes(app: &TestApp) -> Vec<(String, u64)> {
    let cache = fs::read_dir(app.path().join(".cache")).unwrap();
    let mut found: Vec<_> = cache
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, entry.metadata().unwrap().ino())
        })
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn an_index_is_built_once_and_anew_for_a_changed_file() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let path = "/reads?reference=lambda&n=10&seed=1";
    let first = server.get(path).await;
    assert_eq!(first.status, 200, "{first:?}");
    let built = indexes(&app);
    assert_eq!(built.len(), 1, "{built:?}");
    assert!(built[0].0.starts_with("lambda."), "{built:?}");
    assert!(server.get(path).await.body == first.body);
    // A second one would be another file.
    assert_eq!(indexes(&app), built);

    app.write("genomes/lambda.fa", genome(&mut Draws(9)));
    let changed = server.get(path).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert!(changed.text().starts_with("@first_"), "{changed:?}");
    assert_eq!(indexes(&app).len(), 2);
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let app = reads_app();
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
        let id = reply.headers["x-request-id"].to_str().unwrap();
        assert_eq!(reply.json()["instance"], id, "{path}: {reply:?}");
    }
    let page = server.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<form"));
}

/// Byte ranges that were sent of an object, by their first byte.
fn ranges(s3: &S3Server, key: &str) -> Vec<(u64, u64)> {
    let mut ranges: Vec<_> = s3
        .take_requests()
        .iter()
        .filter(|request| request.method == "GET" && request.key == key)
        .map(|request| {
            let range = request.range.as_deref().expect("a range is asked for");
            let (first, _) = range
                .trim_start_matches("bytes=")
                .split_once('-')
                .expect("first and last");
            let first: u64 = first.parse().expect("a number");
            (first, first + request.sent)
        })
        .collect();
    ranges.sort_unstable();
    ranges
}

#[tokio::test]
async fn the_same_app_reads_from_s3_each_byte_once() {
    const BASES: u64 = 5_000_000;
    let app = reads_app();
    let bucket = tempfile::tempdir().unwrap();
    let folder = bucket.path().join("bucket/genomes");
    fs::create_dir_all(&folder).unwrap();
    let sequence = write_genome(&folder.join("big.fa"), "big", BASES, 7).unwrap();
    for name in ["big.fa", "big.fa.fai"] {
        app.write(
            &format!("genomes/{name}"),
            fs::read(folder.join(name)).unwrap(),
        );
    }
    let s3 = S3Server::start(bucket.path()).await.unwrap();
    let far = serve_from_s3(&app, &s3);
    let near = Server::start(app.path(), &[]);
    let path = "/reads?reference=big&n=5000&seed=7";
    let reply = far.get(path).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body == near.get(path).await.body);
    let ranges = ranges(&s3, "bucket/genomes/big.fa");
    let read: u64 = ranges.iter().map(|(first, end)| end - first).sum();
    assert!(
        read >= BASES && read * 10 <= sequence * 11,
        "{read} bytes read of {sequence}"
    );
    for pair in ranges.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "bytes were read twice: {ranges:?}");
    }
}

/// Sixteen at once ask for a reference that has no index: as many as the function takes.
async fn ask_all_at_once(server: &Server) -> Vec<Reply> {
    let url = server.url("/reads?reference=cold&n=100&seed=7");
    let mut asking = JoinSet::new();
    for _ in 0..16 {
        let request = client().get(&url);
        asking.spawn(async { read(request.send().await.unwrap()).await });
    }
    asking.join_all().await
}

#[tokio::test]
async fn a_cold_start_of_many_builds_one_index() {
    let bucket = tempfile::tempdir().unwrap();
    let folder = bucket.path().join("bucket/genomes");
    fs::create_dir_all(&folder).unwrap();
    write_genome(&folder.join("cold.fa"), "cold", 5_000_000, 7).unwrap();
    fs::remove_file(folder.join("cold.fa.fai")).unwrap();
    let s3 = S3Server::start(bucket.path()).await.unwrap();
    // As the app has it, and where nobody may wait for a turn: then they look for the index of
    // the one that builds it.
    for queue in ["queue: 16", "queue: 0"] {
        let app = reads_app();
        let directive = fs::read_to_string(app.path().join("directive.yaml")).unwrap();
        assert_eq!(directive.matches("queue: 16").count(), 1);
        app.write("directive.yaml", directive.replace("queue: 16", queue));
        let server = serve_from_s3(&app, &s3);
        let replies = ask_all_at_once(&server).await;
        for reply in &replies {
            assert_eq!(reply.status, 200, "{queue}: {reply:?}");
            assert!(reply.body == replies[0].body && !reply.aborted);
        }
        assert_eq!(replies.len(), 16);
        assert_eq!(indexes(&app).len(), 1, "{queue}");
        // Whoever builds the index reads the file from its start, the others from the first base.
        let read = ranges(&s3, "bucket/genomes/cold.fa");
        let whole = read.iter().filter(|(first, _)| *first == 0).count();
        assert_eq!((whole, read.len()), (1, 17), "{queue}: {read:?}");
    }
}

#[tokio::test]
async fn an_s3_server_that_dies_ends_the_request_and_no_other() {
    let app = reads_app();
    let bucket = tempfile::tempdir().unwrap();
    let folder = bucket.path().join("bucket/genomes");
    fs::create_dir_all(&folder).unwrap();
    write_genome(&folder.join("big.fa"), "big", 20_000_000, 7).unwrap();
    let mut s3 = S3Server::start(bucket.path()).await.unwrap();
    let server = serve_from_s3(&app, &s3);
    let path = "/reads?reference=big&n=1000&seed=7";
    let whole = server.get(path).await;
    assert_eq!(whole.status, 200, "{whole:?}");

    // The index is read first, then the genome, which is broken off in its middle.
    let held = s3.hold_answer_of("bucket/genomes/big.fa", 10 << 20);
    let (reply, ()) = tokio::join!(server.get(path), async {
        held.await;
        s3.stop().await;
    });
    assert!(reply.status.is_server_error() || reply.aborted, "{reply:?}");
    // Without the server a request fails too, and the next one works when it is back.
    let reply = server.get(path).await;
    assert_eq!(reply.problem(), ("host-fault".to_owned(), None));
    s3.restart().await.unwrap();
    assert!(server.get(path).await.body == whole.body);
}
