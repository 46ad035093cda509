//! `POST`, `GET` and `HEAD` of `/v1/_i/{id}@{sha256}`.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use strand_bindle::Sha256;

use crate::client::{Client, invoice};

/// A parcel of several pieces.
fn content() -> Vec<u8> {
    (0..2500_u32).map(|n| (n * 31 % 251) as u8).collect()
}

async fn client() -> (Client, String) {
    let client = Client::new();
    client
        .create(&invoice("a/1.0.0", &[&content(), b"other"]))
        .await;
    let path = format!("/v1/_i/a/1.0.0@{}", Sha256::of(content()));
    (client, path)
}

#[tokio::test]
async fn it_comes_back_with_its_type_and_length() {
    let (client, path) = client().await;
    client
        .check(&format!("GET {path}"), &[], "", 404, "not uploaded yet")
        .await;
    client
        .check(&format!("HEAD {path}"), &[], "", 404, "")
        .await;
    client
        .check(
            &format!("POST {path}"),
            &[],
            content(),
            200,
            "parcel created",
        )
        .await;
    let got = client.get(&path).await;
    assert_eq!(got.status, StatusCode::OK);
    assert!(got.body == content());
    let head = client.ask(&format!("HEAD {path}"), &[], "").await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    for answered in [&got, &head] {
        assert_eq!(answered.header("content-type"), "text/plain");
        assert_eq!(answered.header("content-length"), "2500");
        assert_eq!(answered.header("accept-ranges"), "bytes");
    }
}

#[tokio::test]
async fn what_it_should_not_be_is_refused_and_in_nobody_s_way() {
    let (client, path) = client().await;
    let mut wrong = content();
    wrong[2000] ^= 1;
    let unknown = format!("/v1/_i/a/1.0.0@{}", Sha256::of("unknown"));
    let elsewhere = format!("/v1/_i/b/1.0.0@{}", Sha256::of("unknown"));
    for (path, fields, body, status, says) in [
        (&path, &[][..], wrong, 400, "digest"),
        (&path, &[], content()[1..].to_vec(), 400, "2500"),
        (&path, &[], [content(), vec![0]].concat(), 400, "2500"),
        (&path, &[], vec![], 400, "2500"),
        (&path, &["Content-Length: 2501"], content(), 400, "2501"),
        (&unknown, &[], b"unknown".to_vec(), 400, "has no parcel"),
        (
            &elsewhere,
            &[],
            b"unknown".to_vec(),
            404,
            "there is no bindle",
        ),
    ] {
        client
            .check(&format!("POST {path}"), fields, body, status, says)
            .await;
    }
    client.check(&format!("GET {path}"), &[], "", 404, "").await;
    client
        .check(&format!("GET {unknown}"), &[], "", 400, "has no parcel")
        .await;
    client
        .check(&format!("GET {elsewhere}"), &[], "", 404, "")
        .await;

    client
        .check(&format!("POST {path}"), &[], content(), 200, "")
        .await;
    client
        .check(&format!("POST {path}"), &[], content(), 409, "already")
        .await;
    client
        .check(&format!("POST {path}"), &[], "wrong", 409, "already")
        .await;
}

#[tokio::test]
async fn one_that_breaks_off_or_stands_still_can_be_sent_again() {
    let (client, path) = client().await;
    let first = || Ok::<_, std::io::Error>(Frame::data(Bytes::from(content()[..1500].to_vec())));
    let breaks = futures::stream::iter([first(), Err(std::io::Error::other("gone"))]);
    let request = Request::post(&path).body(StreamBody::new(breaks)).unwrap();
    let answered = client.send(request).await;
    assert_eq!(answered.status, StatusCode::BAD_REQUEST);
    assert!(answered.text().contains("broke off"), "{}", answered.text());

    let stands =
        futures::StreamExt::chain(futures::stream::iter([first()]), futures::stream::pending());
    let request = Request::post(&path).body(StreamBody::new(stands)).unwrap();
    let answered = client.send(request).await;
    assert_eq!(
        answered.status,
        StatusCode::REQUEST_TIMEOUT,
        "{}",
        answered.text()
    );

    // One whose client is gone does not keep another one from coming.
    let pending = futures::StreamExt::chain(
        futures::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))]),
        futures::stream::pending(),
    );
    let request = Request::post(&path).body(StreamBody::new(pending)).unwrap();
    tokio::select! {
        biased;
        _ = client.send(request) => panic!("it does not end"),
        () = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    client
        .check(&format!("POST {path}"), &[], content(), 200, "")
        .await;
}

#[tokio::test]
async fn many_may_be_sent_at_once() {
    let client = Client::new();
    let contents: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n; 1500]).collect();
    let parcels: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    client.create(&invoice("a/1.0.0", &parcels)).await;
    // Each twice: one of both is told that it is there, or both were in time.
    let sent = contents.iter().chain(&contents).map(|content| {
        let line = format!("POST /v1/_i/a/1.0.0@{}", Sha256::of(content));
        let client = &client;
        async move {
            client
                .ask(&line, &[], content.clone())
                .await
                .status
                .as_u16()
        }
    });
    let statuses = futures::future::join_all(sent).await;
    assert!(
        statuses.iter().all(|status| [200, 409].contains(status)),
        "{statuses:?}"
    );
    for content in &contents {
        let got = client
            .get(&format!("/v1/_i/a/1.0.0@{}", Sha256::of(content)))
            .await;
        assert!(got.body == *content);
    }
}

#[tokio::test]
async fn parts_of_it_can_be_had() {
    let (client, path) = client().await;
    client
        .check(&format!("POST {path}"), &[], content(), 200, "")
        .await;
    for (range, status, within, part) in [
        ("bytes=0-0", 206, "bytes 0-0/2500", 0..1),
        ("bytes=990-1010", 206, "bytes 990-1010/2500", 990..1011),
        ("bytes=2400-", 206, "bytes 2400-2499/2500", 2400..2500),
        ("bytes=-1", 206, "bytes 2499-2499/2500", 2499..2500),
        ("bytes=0-9999", 206, "bytes 0-2499/2500", 0..2500),
        ("bytes=2500-", 416, "bytes */2500", 0..0),
        ("bytes=5-1", 200, "", 0..2500),
        ("bytes=0-1,3-4", 200, "", 0..2500),
    ] {
        let range = format!("Range: {range}");
        let got = client.ask(&format!("GET {path}"), &[&range], "").await;
        assert_eq!(got.status.as_u16(), status, "{range}");
        assert_eq!(got.header("content-range"), within, "{range}");
        if status != 416 {
            assert!(got.body == content()[part.clone()], "{range}");
            assert_eq!(got.header("content-length"), part.len().to_string());
        }
    }
}
