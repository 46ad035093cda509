//! `examples/reads` compressed: on the way for a client that accepts gzip, and as a file in blocks.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::Command;

use flate2::bufread::{GzDecoder, MultiGzDecoder};
use strand_tests::{Reply, Server, allowed_to_miss, client, windows_app};

/// The start of a query for all tests.
const QUERY: &str = "reference=drawn&chrom=one&n=30000&seed=42&mode=windowed";

/// The block that ends a file, as the SAM specification has it.
const END: &[u8] = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0\0";

async fn get(server: &Server, path: &str, accepted: &str) -> Reply {
    let request = client().get(server.url(path));
    let reply = server
        .send(request.header("accept-encoding", accepted))
        .await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply
}

async fn whole(server: &Server, path: &str, accepted: &str) -> Reply {
    let reply = get(server, path, accepted).await;
    assert!(!reply.aborted, "{path} was broken off");
    reply
}

/// What is in the first member of gzip, after which nothing may come: browsers would leave it out.
fn decoded(reply: &Reply) -> Vec<u8> {
    assert_eq!(reply.headers["content-encoding"], "gzip");
    let mut decoder = GzDecoder::new(&reply.body[..]);
    let mut content = Vec::new();
    decoder.read_to_end(&mut content).unwrap();
    let rest = decoder.into_inner().len();
    assert_eq!(rest, 0, "bytes behind the first member");
    content
}

#[tokio::test]
async fn who_accepts_gzip_gets_the_same_bytes() {
    let app = windows_app();
    let server = Server::start(app.path(), &[]);
    for path in ["reads", "variants"] {
        let target = format!("/{path}?{QUERY}");
        let plain = server.get(&target).await;
        assert_eq!(plain.status, 200, "{plain:?}");
        assert!(!plain.aborted && !plain.body.is_empty());
        let mut first = None;
        for parallel in [1, 2, 7] {
            let target = format!("{target}&parallel={parallel}");
            let reply = whole(&server, &target, "deflate, gzip").await;
            assert!(decoded(&reply) == plain.body, "{target}");
            for field in ["content-type", "strand-seed", "vary"] {
                assert_eq!(reply.headers[field], plain.headers[field], "{target}");
            }
            // What is sent does not depend on it either.
            let first = first.get_or_insert(reply.body.clone());
            assert!(reply.body == *first, "{target}");
        }
        let mut joined = Vec::new();
        for part in ["stop=100000", "start=100000&stop=300000", "start=300000"] {
            let reply = whole(&server, &format!("{target}&{part}"), "gzip").await;
            joined.extend(decoded(&reply));
        }
        assert!(joined == plain.body, "{path} in parts differ");
        for accepted in ["gzip;q=0", "identity", "br", ""] {
            let reply = whole(&server, &target, accepted).await;
            assert!(!reply.headers.contains_key("content-encoding"));
            assert_eq!(reply.headers["vary"], "accept-encoding");
            assert!(reply.body == plain.body, "{accepted:?}");
        }
    }
}

#[tokio::test]
async fn what_is_coded_is_told_before_there_is_anything() {
    let app = windows_app();
    let server = Server::start(app.path(), &[]);
    let target = format!("/reads?{QUERY}");
    let head = client().head(server.url(&target));
    let reply = server.send(head.header("accept-encoding", "gzip")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.headers["content-encoding"], "gzip");
    assert_eq!(reply.headers["vary"], "accept-encoding");
    assert!(reply.body.is_empty() && !reply.aborted);
    // A sequence that is skipped has no reads. That is an answer too.
    let none = "/reads?reference=drawn&chrom=two&mode=windowed";
    let reply = whole(&server, none, "gzip").await;
    assert_eq!(decoded(&reply), b"");
    let reply = whole(&server, &format!("{none}&compress=bgzf"), "gzip").await;
    assert_eq!(reply.body, END);
    // As wgsim draws them it is one call's work, which does not compress.
    let exact = "/reads?reference=drawn&chrom=one&n=10&seed=42";
    let reply = whole(&server, exact, "gzip").await;
    assert!(!reply.headers.contains_key("content-encoding"));
    assert_eq!(reply.text().lines().count(), 80);
}

/// The lengths that blocks of a file say their contents have.
fn blocks(mut bytes: &[u8]) -> Vec<u32> {
    let mut lengths = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[..16], END[..16]);
        let size = usize::from(u16::from_le_bytes([bytes[16], bytes[17]])) + 1;
        let (block, rest) = bytes.split_at(size);
        lengths.push(u32::from_le_bytes(*block.last_chunk().unwrap()));
        bytes = rest;
    }
    lengths
}

/// What `samtools` makes of a file of reads: its index, and the read with this name. None where it
/// may be missing.
fn samtools(file: &Path, name: &str) -> Option<(String, Vec<u8>)> {
    let run = |arguments: &[&str]| {
        let mut samtools = Command::new("samtools");
        match samtools.arg("fqidx").arg(file).args(arguments).output() {
            Ok(done) => {
                assert!(done.status.success(), "{done:?}");
                Some(done.stdout)
            }
            Err(_) if allowed_to_miss("wgsim") => {
                eprintln!("skipped: there is no samtools");
                None
            }
            Err(error) => panic!("samtools: {error}; run `apt-get install samtools`"),
        }
    };
    run(&[])?;
    let index = format!("{}.fai", file.display());
    Some((fs::read_to_string(index).unwrap(), run(&[name])?))
}

#[tokio::test]
async fn a_file_in_blocks_is_one_that_samtools_finds_its_way_in() {
    let app = windows_app();
    let server = Server::start(app.path(), &[]);
    let target = format!("/reads?{QUERY}");
    let plain = server.get(&target).await;
    // It is a file of gzip whatever the client accepts on the way.
    let reply = whole(&server, &format!("{target}&compress=bgzf"), "gzip").await;
    assert_eq!(reply.headers["content-type"], "application/gzip");
    assert!(!reply.headers.contains_key("content-encoding"));
    let mut content = Vec::new();
    MultiGzDecoder::new(&reply.body[..])
        .read_to_end(&mut content)
        .unwrap();
    assert!(content == plain.body);
    assert!(reply.body.ends_with(END));
    let lengths = blocks(&reply.body);
    let (last, others) = lengths.split_last().unwrap();
    assert_eq!(*last, 0);
    assert!(others.iter().all(|length| (1..=65_536).contains(length)));

    let folder = tempfile::tempdir().unwrap();
    let [packed, text] = ["reads.fq.gz", "reads.fq"].map(|name| folder.path().join(name));
    fs::write(&packed, &reply.body).unwrap();
    fs::write(&text, &plain.body).unwrap();
    let title = plain.text().lines().rev().nth(3).unwrap();
    let name = title.strip_prefix('@').unwrap();
    if let Some(found) = samtools(&packed, name) {
        assert!(found.1.starts_with(title.as_bytes()));
        assert!(Some(found) == samtools(&text, name));
    }
}

#[tokio::test]
async fn what_breaks_off_has_no_end() {
    let app = windows_app();
    let drawn = fs::read_to_string(app.path().join("genomes/drawn.fa")).unwrap();
    let (one, _) = drawn.split_once(">two").unwrap();
    // Near its end, so that much is out before it is read.
    let mut broken = one.to_owned().into_bytes();
    let place = broken.len() - 1000;
    broken[place] = b'-';
    app.write("genomes/broken.fa", broken);
    app.write("genomes/broken.fa.fai", "one\t305427\t13\t61\t62\n");
    let server = Server::start(app.path(), &[]);
    let target = format!("/reads?{}", QUERY.replace("drawn", "broken"));
    let reply = get(&server, &target, "gzip").await;
    assert!(reply.aborted && !reply.body.is_empty());
    let end = GzDecoder::new(&reply.body[..]).read_to_end(&mut Vec::new());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let reply = get(&server, &format!("{target}&compress=bgzf"), "gzip").await;
    assert!(reply.aborted && !reply.body.is_empty());
    assert!(!reply.body.ends_with(END));
}
