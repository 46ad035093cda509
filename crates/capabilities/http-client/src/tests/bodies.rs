//! Large bodies, both ways, with back-pressure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiBody;

use super::server::serve;
use super::{client, full, get, loopback, send};
use crate::{Config, Scheme};

const PIECE: usize = 64 << 10;
const TOTAL: usize = 64 << 20;
/// What may be under way: our buffers and the kernel's.
const UNDER_WAY: usize = 24 << 20;

/// A body of `TOTAL` bytes that counts what was taken of it.
fn counted(taken: &Arc<AtomicUsize>) -> WasiBody {
    let taken = Arc::clone(taken);
    let stream = futures::stream::unfold(0_usize, move |sent| {
        let taken = Arc::clone(&taken);
        async move {
            if sent == TOTAL {
                return None;
            }
            taken.fetch_add(PIECE, Ordering::SeqCst);
            let piece = Bytes::from(vec![(sent / PIECE) as u8; PIECE]);
            Some((Ok(Frame::data(piece)), sent + PIECE))
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// Reads a body of [`counted`] and checks every byte.
async fn check<B>(mut body: B)
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let mut at = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.expect("a frame").into_data().unwrap_or_default();
        let mut rest = &data[..];
        while !rest.is_empty() {
            let (same, next) = rest.split_at(rest.len().min(PIECE - at % PIECE));
            assert!(same.iter().all(|byte| *byte == (at / PIECE) as u8));
            at += same.len();
            rest = next;
        }
    }
    assert_eq!(at, TOTAL);
}

#[tokio::test]
async fn an_upload_waits_for_the_server() {
    let gate = Arc::new(Semaphore::new(0));
    let inside = Arc::clone(&gate);
    let server = serve(move |request: Request<hyper::body::Incoming>| {
        let gate = Arc::clone(&inside);
        async move {
            gate.acquire().await.expect("open").forget();
            check(request.into_body()).await;
            Response::new(full("checked"))
        }
    })
    .await;
    let client = client(
        Config::default(),
        vec![loopback(Scheme::Http, server.port())],
    );
    let taken = Arc::new(AtomicUsize::new(0));
    let request = Request::put(server.url("/"))
        .body(counted(&taken))
        .expect("a request");
    let answer = tokio::spawn(async move { send(&client, request).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = taken.load(Ordering::SeqCst);
    assert!(before > 0 && before < UNDER_WAY, "{before} bytes under way");
    gate.add_permits(1);
    let response = answer.await.expect("no panic").expect("an answer");
    let body = response.into_body().collect().await.expect("a body");
    assert_eq!(body.to_bytes(), "checked");
}

#[tokio::test]
async fn a_download_waits_for_the_guest() {
    let taken = Arc::new(AtomicUsize::new(0));
    let sent = Arc::clone(&taken);
    let server = serve(move |_| {
        let body = counted(&sent);
        async { Response::new(body) }
    })
    .await;
    let client = client(
        Config::default(),
        vec![loopback(Scheme::Http, server.port())],
    );
    let response = send(&client, get(&server.url("/")))
        .await
        .expect("an answer");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = taken.load(Ordering::SeqCst);
    assert!(before > 0 && before < UNDER_WAY, "{before} bytes under way");
    check(response.into_body()).await;
}
