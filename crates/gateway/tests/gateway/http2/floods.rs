//! Frames that cost a client next to nothing.

use strand_gateway::Config;
use tokio::time::timeout;

use super::{END_STREAM, ENHANCE_YOUR_CALM, WHOLE, begin, block, frame, pseudo, request};
use crate::client::{Client, PATIENCE};
use crate::frames::{CONTINUATION, Frames, GOAWAY, HEADERS, RST_STREAM, WINDOW_UPDATE};
use crate::support::{Server, reflect};

/// More than anybody has patience for.
const MOST: u32 = 100_000;

/// Sends bytes over and over until the other side has had enough, which it must.
async fn flood(client: &mut Frames, bytes: impl Fn(u32) -> Vec<u8>) {
    for turn in 0..MOST {
        let bytes = bytes(turn);
        let sending = timeout(PATIENCE, client.send_bytes(&bytes));
        if !matches!(sending.await, Ok(Ok(()))) {
            break;
        }
    }
    let mut code = None;
    let reading = async {
        while let Some(frame) = client.read().await {
            if frame.kind == GOAWAY {
                let bytes = frame.payload[4..8].try_into().unwrap();
                code = Some(u32::from_be_bytes(bytes));
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("no end");
    // A connection that is reset may lose what was not read of it.
    assert!(
        code.is_none_or(|code| code == ENHANCE_YOUR_CALM),
        "{code:?}"
    );
}

/// A header that never ends (CVE-2024-27316).
#[tokio::test]
async fn a_header_without_end_is_cut_short() {
    let server = Server::of(Config::default(), reflect);
    let field = block(&[(b"x", &[b'y'; 100])]);
    for payload in [&[][..], &field] {
        let mut client = Frames::connect(server.addr).await;
        begin(&mut client).await;
        flood(&mut client, |turn| match turn {
            0 => frame(HEADERS, END_STREAM, 1, &block(&pseudo("GET", "/"))),
            _ => frame(CONTINUATION, 0, 1, payload),
        })
        .await;
    }
    let mut other = Client::connect(server.addr).await;
    assert_eq!(other.get("/").await.status, 200);
}

/// Requests that are taken back at once (CVE-2023-44487), or that the client makes the
/// server take back (CVE-2025-8671).
#[tokio::test]
async fn requests_that_are_taken_back_are_bounded() {
    let server = Server::of(Config::default(), reflect);
    for (kind, payload) in [
        (RST_STREAM, [0, 0, 0, 8]),
        // More than the window has room for.
        (WINDOW_UPDATE, [0x7f, 0xff, 0xff, 0xff]),
    ] {
        let mut client = Frames::connect(server.addr).await;
        begin(&mut client).await;
        flood(&mut client, |turn| {
            let stream = turn * 2 + 1;
            let mut bytes = request(stream, WHOLE, "/");
            bytes.extend(frame(kind, 0, stream, &payload));
            bytes
        })
        .await;
    }
    let mut other = Client::connect(server.addr).await;
    assert_eq!(other.get("/").await.status, 200);
}
