//! A server of S3: what is asked of it, and what happens without it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use strand_objects::{Bucket, S3Credentials, S3Options};
use strand_s3_server::{ACCESS_KEY, Request, S3Server, SECRET_KEY};
use tempfile::TempDir;

use super::guest::{ALL, Guest, bytes, drain};
use crate::Config;

/// A prefix of the bucket `bucket`.
pub(super) fn bucket(server: &S3Server, prefix: &str, options: &S3Options) -> Bucket {
    // Another test may have been faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = S3Options {
        endpoint: Some(server.endpoint()),
        credentials: Some(S3Credentials {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            session_token: None,
        }),
        ..options.clone()
    };
    Bucket::s3("bucket", prefix, &options).expect("opens")
}

async fn server() -> (S3Server, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bucket")).expect("a bucket");
    let server = S3Server::start(folder.path()).await.expect("serves");
    (server, folder)
}

const QUICK: Duration = Duration::from_secs(2);

fn quick() -> (Config, S3Options) {
    let config = Config {
        retry_for: QUICK,
        part: 5 << 20,
        ..Config::default()
    };
    let options = S3Options {
        retry_for: QUICK,
        silence: QUICK,
        ..S3Options::default()
    };
    (config, options)
}

fn gets(requests: &[Request]) -> Vec<(Option<&str>, u64)> {
    requests
        .iter()
        .filter(|request| request.method == "GET")
        .map(|request| (request.range.as_deref(), request.sent))
        .collect()
}

#[tokio::test]
async fn each_byte_is_asked_for_once() {
    let (server, _folder) = server().await;
    let (config, options) = quick();
    let bucket = bucket(&server, "p", &options);
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    let written = bytes(3 << 20);
    guest.write(&c, "x", &written).await.expect("written");
    server.take_requests();

    let read = guest.read(&c, "x", (1000, 2_000_999)).await.expect("bytes");
    assert!(read == written[1000..2_001_000]);
    let requests = server.take_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].key, "bucket/p/x");
    assert_eq!(gets(&requests), [(Some("bytes=1000-2000999"), 2_000_000)]);

    // Broken off in the middle: the rest, and only that.
    server.cut_next_answer(500_000);
    let read = guest.read(&c, "x", (0, u64::MAX)).await.expect("bytes");
    assert!(read == written);
    let requests = server.take_requests();
    let [first, second] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!((&first.range, first.sent), (&None, 500_000));
    // What the server handed to a connection that then broke may not have arrived.
    let range = second.range.as_deref().expect("a range");
    let start = range
        .strip_prefix("bytes=")
        .and_then(|range| range.strip_suffix(&format!("-{}", written.len() - 1)))
        .and_then(|start| start.parse::<u64>().ok())
        .expect("from where it stood to the end");
    assert!((1..=500_000).contains(&start), "{range}");
    assert_eq!(second.sent, written.len() as u64 - start);
}

#[tokio::test]
async fn parts_are_sent_one_by_one_and_given_up_parts_are_cleared() {
    let (server, folder) = server().await;
    let (config, options) = quick();
    let bucket = bucket(&server, "", &options);
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    guest
        .write(&c, "x", &bytes(12 << 20))
        .await
        .expect("written");
    let kinds = |requests: &[Request]| -> Vec<String> {
        let kind = |request: &Request| match request.query.as_str() {
            "uploads" | "uploads=" => "begin".to_owned(),
            query if request.method == "PUT" && query.contains("partNumber=") => "part".to_owned(),
            _ if request.method == "POST" => "complete".to_owned(),
            _ if request.method == "DELETE" => "abort".to_owned(),
            other => format!("{} {other}", request.method),
        };
        requests.iter().map(kind).collect()
    };
    let requests = server.take_requests();
    assert_eq!(
        kinds(&requests),
        ["begin", "part", "part", "part", "complete"]
    );

    let value = guest.value().await;
    let mut stream = guest.body(&value).await;
    guest.write_data(&c, "lost", &value).await.expect("begun");
    super::guest::pour(&mut stream, &bytes(12 << 20))
        .await
        .expect("written");
    drop(stream);
    guest.drop_value(value);
    let begun = Instant::now();
    let requests = loop {
        let requests = server.requests();
        if kinds(&requests).last().is_some_and(|kind| kind == "abort") {
            break requests;
        }
        assert!(begun.elapsed() < QUICK, "{:?}", kinds(&requests));
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(!kinds(&requests).contains(&"complete".to_owned()));
    assert!(!folder.path().join("bucket/lost").exists());
}

#[tokio::test]
async fn a_server_that_comes_back_in_time_is_not_noticed() {
    let (mut server, _folder) = server().await;
    let (config, options) = quick();
    let bucket = bucket(&server, "", &options);
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    let written = bytes(24 << 20);
    guest.write(&c, "x", &written).await.expect("written");
    let value = guest
        .get_data(&c, "x", (0, u64::MAX))
        .await
        .expect("a value");
    let mut stream = guest.stream(value).await.expect("a stream");
    let mut read = stream.blocking_read(1 << 20).await.expect("bytes").to_vec();
    server.stop().await;
    let back = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.restart().await.expect("serves again");
    };
    let (rest, ()) = tokio::join!(drain(&mut stream), back);
    read.extend(rest.expect("bytes"));
    assert!(read == written);
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_in_bounded_time() {
    let (mut server, _folder) = server().await;
    let (config, options) = quick();
    let bucket = bucket(&server, "", &options);
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    guest
        .write(&c, "x", &bytes(24 << 20))
        .await
        .expect("written");
    let value = guest
        .get_data(&c, "x", (0, u64::MAX))
        .await
        .expect("a value");
    let mut stream = guest.stream(value).await.expect("a stream");
    stream.blocking_read(1 << 20).await.expect("bytes");
    server.stop().await;

    let begun = Instant::now();
    let error = drain(&mut stream).await.expect_err("gone");
    assert!(error.starts_with("the store failed at `x`"), "{error}");
    // Its own tries and those of the client under it.
    assert!(begun.elapsed() < QUICK * 4, "{:?}", begun.elapsed());
    let begun = Instant::now();
    assert!(guest.read(&c, "x", (0, 1)).await.is_err());
    assert!(guest.write(&c, "y", b"y").await.is_err());
    assert!(guest.write(&c, "z", &bytes(12 << 20)).await.is_err());
    assert!(begun.elapsed() < QUICK * 12, "{:?}", begun.elapsed());

    server.restart().await.expect("serves again");
    let read = guest.read(&c, "x", (0, 9)).await.expect("bytes");
    assert_eq!(read, bytes(10));
    guest.write(&c, "y", b"y").await.expect("written");
    drop(stream);
    // The guest still holds the value whose writing failed.
    let budget = Arc::clone(&guest.budget);
    drop(guest);
    // A write that was given up is cleared away beside what goes on.
    let cleared = async {
        while budget.used() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(QUICK * 12, cleared)
        .await
        .expect("all memory is given back");
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_says_nothing_of_the_place() {
    let (server, _folder) = server().await;
    let (config, options) = quick();
    bucket(&server, "", &options);
    let options = S3Options {
        endpoint: Some(server.endpoint()),
        credentials: Some(S3Credentials {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: "wrong".to_owned(),
            session_token: None,
        }),
        ..options
    };
    let bucket = Bucket::s3("bucket", "", &options).expect("opens");
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    let error = guest.read(&c, "x", (0, 1)).await.expect_err("refused");
    assert_eq!(error, "the store refused this node access to `x`");
}

/// A server that takes all of a request, lets some time pass, and answers that all
/// is well; or never answers.
async fn slow_server(pause: Option<Duration>) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("listens");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            tokio::spawn(async move {
                let mut read = Vec::new();
                let whole = |read: &[u8]| {
                    let text = String::from_utf8_lossy(read).to_ascii_lowercase();
                    let head = text.find("\r\n\r\n")?;
                    let (_, length) = text.split_once("content-length: ")?;
                    let length: usize = length.split("\r\n").next()?.parse().ok()?;
                    (read.len() >= head + 4 + length).then_some(())
                };
                while whole(&read).is_none() {
                    if stream.read_buf(&mut read).await.is_ok_and(|read| read == 0) {
                        return;
                    }
                }
                let Some(pause) = pause else {
                    return std::future::pending().await;
                };
                tokio::time::sleep(pause).await;
                let answer = b"HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: 0\r\n\r\n";
                // The client may have gone.
                let _ = stream.write_all(answer).await;
            });
        }
    });
    address
}

fn bucket_at(address: std::net::SocketAddr, options: S3Options) -> Bucket {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = S3Options {
        endpoint: Some(format!("http://{address}")),
        ..options
    };
    Bucket::s3("bucket", "", &options).expect("opens")
}

#[tokio::test]
async fn a_body_has_the_time_that_it_takes_to_send() {
    const SILENCE: Duration = Duration::from_millis(300);
    let address = slow_server(Some(3 * SILENCE)).await;
    let (config, _) = quick();
    // At this rate 64 KiB may take two seconds more than the silence.
    let options = S3Options {
        silence: SILENCE,
        rate: 32 << 10,
        ..S3Options::default()
    };
    let bucket = bucket_at(address, options);
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    guest
        .write(&c, "x", &bytes(64 << 10))
        .await
        .expect("written");
}

#[tokio::test]
async fn a_server_that_never_answers_is_an_error_in_bounded_time() {
    let address = slow_server(None).await;
    let (config, options) = quick();
    let options = S3Options {
        silence: Duration::from_millis(300),
        rate: 1 << 30,
        retry_for: Duration::from_secs(1),
        ..options
    };
    let bucket = bucket_at(address, options);
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    let begun = Instant::now();
    for error in [
        guest.write(&c, "x", &bytes(1000)).await,
        guest.write(&c, "x", &bytes(6 << 20)).await,
        guest.read(&c, "x", (0, 9)).await.map(|_| ()),
        guest.delete(&c, &["x"]).await,
    ] {
        let error = error.expect_err("no answer");
        assert!(error.starts_with("the store failed at `x`"), "{error}");
    }
    assert!(begun.elapsed() < QUICK * 8, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_answer_that_stands_still_is_asked_for_again() {
    let (server, _folder) = server().await;
    let (config, options) = quick();
    let bucket = bucket(&server, "", &options);
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    let written = bytes(1 << 20);
    guest.write(&c, "x", &written).await.expect("written");
    let held = server.hold_answer_of("bucket/x", 300_000);
    let read = guest.read(&c, "x", (0, u64::MAX)).await.expect("bytes");
    assert!(read == written);
    held.await;
}
