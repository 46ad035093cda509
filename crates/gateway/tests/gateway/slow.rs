//! Clients that do a little now and then, so as to keep what they hold.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use http::Response;
use http_body_util::BodyExt;
use strand_gateway::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::client::{Client, PATIENCE};
use crate::frames::{
    DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PREFACE, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, frame, header,
};
use crate::limits::{SHORT, assert_about};
use crate::support::{Drops, Endless, Folder, Server, eventually, folder, function, reflect, text};

/// How often they do something.
const NOW_AND_THEN: Duration = Duration::from_millis(20);

/// Whether a connection still answers.
async fn lives(client: &mut Frames, stream: u32) {
    let flags = END_HEADERS | END_STREAM;
    client
        .send(HEADERS, flags, stream, &header("GET", "/"))
        .await;
    loop {
        let frame = client.next().await.expect("the connection lives");
        if frame.stream == stream {
            assert_eq!(frame.kind, HEADERS);
            return;
        }
    }
}

#[tokio::test]
async fn a_preface_must_come_in_time() {
    let config = Config {
        header_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    let client = Client::connect(server.addr).await;
    let start = Instant::now();
    let (mut reader, mut writer) = client.stream.into_split();
    let drip = async {
        for byte in PREFACE {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            // Too slow to be through with it in time.
            sleep(SHORT / 8).await;
        }
    };
    let mut rest = Vec::new();
    let (read, ()) = tokio::join!(timeout(PATIENCE, reader.read_to_end(&mut rest)), drip);
    // What comes after its end resets it.
    assert!(read.is_ok() && rest.is_empty());
    assert!(start.elapsed() >= SHORT);
    assert_eq!(server.metric("strand_connections_timed_out_total"), 1.0);
}

/// Bytes that are no data are no body.
#[tokio::test]
async fn a_chunk_must_begin() {
    let config = Config {
        body_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, reflect);
    for (begins, goes_on) in [("", "0"), ("5;", "x")] {
        let mut client = Client::connect(server.addr).await;
        client
            .send(format!(
                "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n{begins}"
            ))
            .await;
        let start = Instant::now();
        let (mut reader, mut writer) = client.stream.into_split();
        let drip = async {
            while writer.write_all(goes_on.as_bytes()).await.is_ok() {
                sleep(NOW_AND_THEN).await;
            }
        };
        let mut answer = vec![0; 4096];
        let length = tokio::select! {
            () = drip => panic!("nothing was said"),
            length = reader.read(&mut answer) => length.unwrap(),
        };
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("no byte of the body came"), "{answer}");
        assert_about(SHORT, start);
    }
}

#[tokio::test]
async fn a_body_must_not_drip_over_http2() {
    let config = Config {
        body_timeout: SHORT,
        body_rate: 1000,
        ..Config::default()
    };
    let server = Server::of(config, |call| async move {
        match call.request.uri().path() {
            "/" => Ok(text("fine")),
            _ => reflect(call).await,
        }
    });
    let mut client = Frames::connect(server.addr).await;
    client
        .send(HEADERS, END_HEADERS, 1, &header("POST", "/slow"))
        .await;
    let start = Instant::now();
    let again = frame(DATA, 0, 1, b"a");
    client.end_of(1, &again, NOW_AND_THEN).await;
    assert!(start.elapsed() >= SHORT);
    lives(&mut client, 3).await;
    let line = &server.lines(1).await[0];
    assert_eq!(line["status"], 400, "{line}");
    assert_eq!(
        line["detail"], "the body came with less than 1000 bytes a second",
        "{line}"
    );
}

/// It frees less of its buffer than its kernel says the sender about.
#[tokio::test]
async fn a_client_must_take_more_than_single_bytes() {
    let drops = Drops::default();
    let guards = drops.clone();
    let config = Config {
        write_timeout: SHORT,
        ..Config::default()
    };
    let server = Server::of(config, move |_| {
        let body = Endless {
            taken: Arc::new(AtomicUsize::new(0)),
            piece: 16 << 10,
            _guard: guards.guard(),
        };
        async move { Ok(Response::new(body.boxed_unsync())) }
    });
    let mut client = Client::connect_small(server.addr).await;
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let start = Instant::now();
    let sip = async {
        let mut byte = [0];
        while client
            .stream
            .read(&mut byte)
            .await
            .is_ok_and(|read| read > 0)
        {
            sleep(NOW_AND_THEN).await;
        }
    };
    let cut = eventually("the cut", || drops.count() == 1);
    tokio::select! {
        () = sip => {}
        () = cut => {}
    }
    assert_about(SHORT, start);
    assert_eq!(server.lines(1).await[0]["aborted"], true);
    assert_eq!(server.metric("strand_connections_timed_out_total"), 1.0);
}

/// A stream's window that opens by single bytes, or not at all, for what a function
/// says and for a file.
#[tokio::test]
async fn a_stream_must_be_taken() {
    let app = Folder::new();
    std::fs::write(app.0.join("large"), vec![b'x'; 1 << 20]).unwrap();
    let config = Config {
        write_timeout: SHORT,
        ..Config::default()
    };
    let routes = [
        function("/", "*", "any"),
        function("/endless", "*", "any"),
        folder("/large", "./large"),
    ];
    let server = Server::start(config, &app.0, &routes, |call| async move {
        Ok(match call.request.uri().path() {
            "/" => text("fine"),
            _ => Response::new(
                Endless {
                    taken: Arc::new(AtomicUsize::new(0)),
                    piece: 16 << 10,
                    _guard: Drops::default().guard(),
                }
                .boxed_unsync(),
            ),
        })
    });
    let mut stream = 1;
    for path in ["/endless", "/large"] {
        for more in [0, 1] {
            let mut client = Frames::connect(server.addr).await;
            // No window for any stream.
            client.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
            let flags = END_HEADERS | END_STREAM;
            client
                .send(HEADERS, flags, stream, &header("GET", path))
                .await;
            let start = Instant::now();
            let again = match more {
                // A sign of life that is no room.
                0 => frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 15]),
                _ => frame(WINDOW_UPDATE, 0, stream, &[0, 0, 0, more]),
            };
            let end = client.end_of(stream, &again, NOW_AND_THEN).await;
            assert_eq!(end.kind, RST_STREAM, "{path} {more}");
            assert_about(SHORT, start);
            stream += 2;
            lives(&mut client, stream).await;
        }
    }
}
