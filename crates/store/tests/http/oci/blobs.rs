//! Blobs: in one request and in chunks, resumed, mounted, in ranges.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use strand_store::auth::{Caller, Right};

use super::{begin, content, digest, push};
use crate::client::{ALL, Client, grants};

#[tokio::test]
async fn a_blob_in_one_request() {
    let client = Client::new();
    push(&client, "a/b", &content()).await;
    push(&client, "a/b", b"").await;
    let path = format!("/v2/a/b/blobs/{}", digest(content()));
    for line in [format!("GET {path}"), format!("HEAD {path}")] {
        let answered = client.ask(&line, &[], "").await;
        assert_eq!(answered.status, StatusCode::OK);
        assert_eq!(answered.header("content-length"), "3500");
        assert_eq!(answered.header("docker-content-digest"), digest(content()));
        assert!(answered.body == content() || line.starts_with("HEAD"));
    }
    let part = client
        .ask(&format!("GET {path}"), &["Range: bytes=990-1009"], "")
        .await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.header("content-range"), "bytes 990-1009/3500");
    assert!(part.body == content()[990..1010]);
    client
        .check(
            &format!("GET {path}"),
            &["Range: bytes=3500-"],
            "",
            416,
            "RANGE_INVALID",
        )
        .await;

    let wrong = format!("POST /v2/a/b/blobs/uploads/?digest={}", digest("x"));
    client.check(&wrong, &[], "y", 400, "DIGEST_INVALID").await;
    for (digest, status, code) in [
        (digest("nothing"), 404, "BLOB_UNKNOWN"),
        ("sha256:abc".to_owned(), 400, "DIGEST_INVALID"),
        (digest("x").to_uppercase(), 400, "DIGEST_INVALID"),
        (format!("sha512:{}", "0".repeat(128)), 400, "DIGEST_INVALID"),
        ("latest".to_owned(), 400, "DIGEST_INVALID"),
    ] {
        client
            .check(
                &format!("GET /v2/a/b/blobs/{digest}"),
                &[],
                "",
                status,
                code,
            )
            .await;
        client
            .check(&format!("HEAD /v2/a/b/blobs/{digest}"), &[], "", status, "")
            .await;
    }
    // It is in one repository only.
    let other = format!("GET /v2/a/blobs/{}", digest(content()));
    client.check(&other, &[], "", 404, "BLOB_UNKNOWN").await;
}

#[tokio::test]
async fn a_blob_in_chunks() {
    let client = Client::new();
    let location = begin(&client, "a/b").await;
    let (one, rest) = (&content()[..1200], &content()[1200..]);
    let stands = async |expected: &str| {
        let answered = client.get(&location).await;
        assert_eq!(answered.status, StatusCode::NO_CONTENT);
        assert_eq!(answered.header("range"), expected);
        assert_eq!(answered.header("location"), location);
    };
    stands("0-0").await;
    let patch = format!("PATCH {location}");
    let answered = client
        .ask(
            &patch,
            &["Content-Range: 0-1199", "Content-Length: 1200"],
            one.to_vec(),
        )
        .await;
    assert_eq!(answered.status, StatusCode::ACCEPTED, "{}", answered.text());
    assert_eq!(answered.header("range"), "0-1199");
    stands("0-1199").await;
    // Neither again nor with a gap.
    for range in ["0-1199", "1201-3499", "1199-3499"] {
        let field = format!("Content-Range: {range}");
        let answered = client.ask(&patch, &[&field], rest.to_vec()).await;
        assert_eq!(
            answered.status,
            StatusCode::RANGE_NOT_SATISFIABLE,
            "{range}"
        );
        assert_eq!(answered.header("range"), "0-1199");
    }
    for field in [
        "Content-Range: 1200-",
        "Content-Range: x",
        "Content-Range: 5-1",
    ] {
        client
            .check(&patch, &[field], "x", 400, "BLOB_UPLOAD_INVALID")
            .await;
    }
    let differ = ["Content-Range: 1200-1209", "Content-Length: 11"];
    client
        .check(&patch, &differ, "x", 400, "SIZE_INVALID")
        .await;

    client
        .check(&format!("PUT {location}"), &[], "", 400, "DIGEST_INVALID")
        .await;
    let put = format!("PUT {location}?digest={}", digest(content()));
    let answered = client
        .ask(&put, &["Content-Range: 1200-3499"], rest.to_vec())
        .await;
    assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
    let got = client
        .get(&format!("/v2/a/b/blobs/{}", digest(content())))
        .await;
    assert!(got.body == content());
    client
        .check(
            &format!("GET {location}"),
            &[],
            "",
            404,
            "BLOB_UPLOAD_UNKNOWN",
        )
        .await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_gone_on_with() {
    let client = Client::new();
    let location = begin(&client, "a/b").await;
    let first = Ok(Frame::data(Bytes::from(content()[..2300].to_vec())));
    let breaks = futures::stream::iter([first, Err(std::io::Error::other("gone"))]);
    let request = Request::patch(&location)
        .body(StreamBody::new(breaks))
        .unwrap();
    assert_eq!(client.send(request).await.status, StatusCode::BAD_REQUEST);
    // All that came is there.
    let answered = client.get(&location).await;
    assert_eq!(answered.header("range"), "0-2299");
    let answered = client
        .ask(
            &format!("PATCH {location}"),
            &[],
            content()[2300..].to_vec(),
        )
        .await;
    assert_eq!(answered.header("range"), "0-3499");
    let put = format!("PUT {location}?digest={}", digest(content()));
    let answered = client.ask(&put, &[], "").await;
    assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
}

#[tokio::test]
async fn uploads_end() {
    let client = Client::new();
    let location = begin(&client, "a/b").await;
    let put = format!("PUT {location}?digest={}", digest("x"));
    client.check(&put, &[], "y", 400, "DIGEST_INVALID").await;
    client
        .check(&put, &[], "x", 404, "BLOB_UPLOAD_UNKNOWN")
        .await;

    let location = begin(&client, "a/b").await;
    // It is that repository's.
    let elsewhere = location.replace("a/b", "a");
    client
        .check(
            &format!("PATCH {elsewhere}"),
            &[],
            "x",
            404,
            "BLOB_UPLOAD_UNKNOWN",
        )
        .await;
    client
        .check(&format!("DELETE {location}"), &[], "", 204, "")
        .await;
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let line = format!("{method} {location}?digest={}", digest("x"));
        client
            .check(&line, &[], "x", 404, "BLOB_UPLOAD_UNKNOWN")
            .await;
    }
    client
        .check(
            "GET /v2/a/b/blobs/uploads/nothing",
            &[],
            "",
            404,
            "BLOB_UPLOAD_UNKNOWN",
        )
        .await;
}

#[tokio::test]
async fn a_blob_is_let_in_from_where_one_may_see_it() {
    let client = Client::new();
    push(&client, "theirs", &content()).await;
    push(&client, "shown", b"shown").await;
    let mut rights = grants("ours", &ALL);
    rights.extend(grants("shown", &[Right::Pull]));
    let ours = client.of(Caller::known("ann", rights));
    for (content, from, status) in [
        (b"shown".to_vec(), "&from=shown", 201),
        (b"shown".to_vec(), "&from=nothing", 201),
        (content(), "&from=theirs", 202),
        (content(), "", 202),
        (b"nothing".to_vec(), "&from=shown", 202),
    ] {
        let mount = digest(&content);
        let line = format!("POST /v2/ours/x/blobs/uploads/?mount={mount}{from}");
        let answered = ours.ask(&line, &[], "").await;
        assert_eq!(
            answered.status.as_u16(),
            status,
            "{from}: {}",
            answered.text()
        );
        let has = ours
            .get(&format!("/v2/ours/x/blobs/{mount}"))
            .await
            .status
            .as_u16();
        assert_eq!(has, if status == 201 { 200 } else { 404 }, "{from}");
        let expected = match status {
            201 => format!("/v2/ours/x/blobs/{mount}"),
            _ => "/v2/ours/x/blobs/uploads/".to_owned(),
        };
        assert!(answered.header("location").starts_with(&expected));
    }
}
