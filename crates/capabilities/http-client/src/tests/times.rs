//! Every wait has an end.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use strand_engine::Outgoing as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::server::serve;
use super::{call, client, empty, full, get, loopback, send_with};
use crate::{Config, Scheme};

/// Pieces with pauses before each, then nothing for ever.
fn slow(pieces: usize, pause: Duration, end: bool) -> WasiBody {
    let stream = futures::stream::unfold(0, move |sent| async move {
        if sent == pieces {
            if end {
                return None;
            }
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(pause).await;
        Some((Ok(Frame::data(Bytes::from_static(b"piece"))), sent + 1))
    });
    StreamBody::new(stream).boxed_unsync()
}

const PAUSE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn an_answer_that_does_not_begin_ends_in_time() {
    let server = serve(async |_| {
        std::future::pending::<()>().await;
        Response::new(empty())
    })
    .await;
    let rules = vec![loopback(Scheme::Http, server.port())];
    let client = client(Config::default(), rules);
    let options = RequestOptions {
        first_byte_timeout: Some(PAUSE),
        ..RequestOptions::default()
    };
    let begun = Instant::now();
    let error = send_with(&client, get(&server.url("/")), options)
        .await
        .expect_err("too late");
    assert!(matches!(error, Error::ConnectionReadTimeout), "{error:?}");
    assert!(begun.elapsed() >= PAUSE && begun.elapsed() < PAUSE * 20);

    // The call's deadline is sooner than anything the guest asks for.
    let options = RequestOptions {
        first_byte_timeout: Some(Duration::MAX),
        ..RequestOptions::default()
    };
    let begun = Instant::now();
    let error = client
        .send(&call(PAUSE), get(&server.url("/")), Some(options))
        .await
        .expect_err("too late");
    assert!(matches!(error, Error::ConnectionReadTimeout), "{error:?}");
    assert!(begun.elapsed() < PAUSE * 20);
}

#[tokio::test]
async fn a_long_upload_is_not_a_late_answer() {
    let server = serve(async |request: Request<hyper::body::Incoming>| {
        let body = request.into_body().collect().await.expect("a body");
        Response::new(full(body.to_bytes()))
    })
    .await;
    let client = client(
        Config::default(),
        vec![loopback(Scheme::Http, server.port())],
    );
    let options = RequestOptions {
        first_byte_timeout: Some(PAUSE * 2),
        ..RequestOptions::default()
    };
    let request = Request::post(server.url("/"))
        .body(slow(5, PAUSE, true))
        .expect("a request");
    let response = send_with(&client, request, options)
        .await
        .expect("an answer");
    let body = response.into_body().collect().await.expect("a body");
    assert_eq!(body.to_bytes().len(), 25);
}

#[tokio::test]
async fn an_answer_that_stops_ends_in_time_but_not_while_nobody_reads() {
    let server = serve(async |_| Response::new(slow(2, Duration::ZERO, false))).await;
    let client = client(
        Config::default(),
        vec![loopback(Scheme::Http, server.port())],
    );
    let options = RequestOptions {
        between_bytes_timeout: Some(PAUSE),
        ..RequestOptions::default()
    };
    let response = send_with(&client, get(&server.url("/")), options)
        .await
        .expect("an answer");
    let mut body = response.into_body();
    let mut read = 0;
    let begun = loop {
        tokio::time::sleep(PAUSE * 2).await;
        let begun = Instant::now();
        match body.frame().await.expect("no end") {
            Ok(frame) => read += frame.into_data().expect("data").len(),
            Err(error) => {
                assert!(matches!(error, Error::ConnectionReadTimeout), "{error:?}");
                break begun;
            }
        }
    };
    assert_eq!(read, 10);
    assert!(begun.elapsed() >= PAUSE);
}

#[tokio::test]
async fn a_deadline_that_is_over_is_no_panic() {
    let server = serve(async |_| Response::new(empty())).await;
    let client = client(
        Config::default(),
        vec![loopback(Scheme::Http, server.port())],
    );
    let mut over = call(Duration::ZERO);
    over.deadline -= Duration::from_secs(1);
    let options = RequestOptions {
        connect_timeout: Some(Duration::ZERO),
        first_byte_timeout: Some(Duration::ZERO),
        between_bytes_timeout: Some(Duration::ZERO),
    };
    let result = client.send(&over, get(&server.url("/")), None).await;
    let error = result.expect_err("too late");
    assert!(matches!(error, Error::ConnectionTimeout), "{error:?}");
    assert_eq!(server.accepted(), 0);
    // What is there at once is in time, even if there is no time.
    let soon = call(Duration::from_secs(5));
    let result = client
        .send(&soon, get(&server.url("/")), Some(options))
        .await;
    assert!(matches!(
        result,
        Ok(_) | Err(Error::ConnectionTimeout | Error::ConnectionReadTimeout)
    ));
}
