//! Bodies both ways, and how they break off.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use strand_engine::{BodyError, Limit, Problem};
use strand_gateway::Config;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::client::{Client, PATIENCE, http2};
use crate::frames::{DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM, header};
use crate::support::{
    Drops, Endless, Server, data, eventually, full, function, get, never, reflect, steps, text,
};

/// Sends every piece back as it comes, and the trailers.
async fn echo(call: strand_engine::Call) -> crate::support::Answered {
    Ok(Response::builder()
        .header("trailer", "x-end")
        .body(call.request.into_body())
        .unwrap())
}

#[tokio::test]
async fn http1_streams_both_ways() {
    let server = Server::of(Config::default(), echo);
    let mut client = Client::connect(server.addr).await;
    client
        .send("POST / HTTP/1.1\r\nhost: t\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let mut read = Vec::new();
    // Each piece comes back before the next one is sent.
    for piece in ["one", "two", "six"] {
        client.send(format!("3\r\n{piece}\r\n")).await;
        while !String::from_utf8_lossy(&read).contains(piece) {
            let more = tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut read);
            assert!(timeout(PATIENCE, more).await.unwrap().unwrap() > 0);
        }
    }
    client.send("0\r\nx-end: bye\r\nx-other: no\r\n\r\n").await;
    while !read.ends_with(b"0\r\nx-end: bye\r\n\r\n") {
        let more = tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut read);
        assert!(timeout(PATIENCE, more).await.unwrap().unwrap() > 0);
    }
    // The same again on this connection, for a client that wants no trailers.
    client
        .send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-end: bye\r\n\r\n")
        .await;
    let answer = client.answer(false).await;
    assert_eq!(answer.text(), "ab");
    assert!(answer.complete && answer.trailers.is_empty());
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn functions_get_trailers() {
    let server = Server::of(Config::default(), reflect);
    let mut client = Client::connect(server.addr).await;
    client
        .send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-end: bye\r\n\r\n")
        .await;
    let said = client.answer(false).await.json();
    assert_eq!(
        (&said["body"], &said["trailers"]),
        (&"ab".into(), &"{\"x-end\": \"bye\"}".into())
    );
}

#[tokio::test]
async fn http2_streams_both_ways() {
    let server = Server::of(Config::default(), echo);
    let mut sender = http2(server.addr).await;
    let (pieces, received) = mpsc::channel::<Result<Frame<Bytes>, BodyError>>(1);
    let body = StreamBody::new(futures::stream::unfold(received, |mut received| async {
        received.recv().await.map(|piece| (piece, received))
    }));
    let request = Request::post("http://t/")
        .body(body.boxed_unsync())
        .unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    for piece in ["one", "two", "six"] {
        pieces.send(data(piece)).await.unwrap();
        let frame = timeout(PATIENCE, body.frame())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-end", "bye".parse().unwrap());
    pieces
        .send(Ok(Frame::trailers(trailers.clone())))
        .await
        .unwrap();
    drop(pieces);
    let end = body.collect().await.unwrap();
    assert_eq!(end.trailers(), Some(&trailers));
}

/// Ends a request that is `never` answered when its client goes.
#[tokio::test]
async fn a_client_that_goes_ends_its_call() {
    let drops = Drops::default();
    let guards = drops.clone();
    let server = Server::of(Config::default(), move |_| {
        let guard = guards.guard();
        async move {
            let _guard = guard;
            never().await
        }
    });
    let mut client = Client::connect(server.addr).await;
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(drops.count(), 0);
    drop(client);
    eventually("the end of the call", || drops.count() == 1).await;
    let mut sender = http2(server.addr).await;
    let waiting = tokio::spawn(sender.send_request(get("http://t/")));
    sleep(Duration::from_millis(50)).await;
    assert_eq!(drops.count(), 1);
    waiting.abort();
    eventually("the end of the stream's call", || drops.count() == 2).await;
    let lines = server.lines(2).await;
    for line in lines {
        assert_eq!(
            (&line["aborted"], &line["status"]),
            (&true.into(), &().into()),
            "{line}"
        );
    }
}

fn endless(taken: &Arc<AtomicUsize>, drops: &Drops) -> Response<strand_engine::Body> {
    let body = Endless {
        taken: Arc::clone(taken),
        piece: 16 << 10,
        _guard: drops.guard(),
    };
    Response::new(body.boxed_unsync())
}

/// More than this is not taken of a body that nobody reads: hyper's and the kernel's
/// buffers.
const ENOUGH: usize = 8 << 20;

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_function() {
    let (taken, drops) = (Arc::new(AtomicUsize::new(0)), Drops::default());
    let (count, guards) = (Arc::clone(&taken), drops.clone());
    let server = Server::of(Config::default(), move |_| {
        let answer = endless(&count, &guards);
        async { Ok(answer) }
    });
    let settled = async |what: &str| {
        let mut before = usize::MAX;
        while taken.load(Ordering::SeqCst) != before {
            before = taken.load(Ordering::SeqCst);
            sleep(Duration::from_millis(300)).await;
        }
        assert!(before > 0 && before < ENOUGH, "{what} took {before}");
        before
    };
    let mut client = Client::connect_small(server.addr).await;
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let before = settled("HTTP/1.1").await;
    // It goes on when the client does.
    let mut read = vec![0; 4 << 20];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut read)
        .await
        .unwrap();
    eventually("more", || taken.load(Ordering::SeqCst) > before).await;
    drop(client);
    eventually("the end", || drops.count() == 1).await;

    taken.store(0, Ordering::SeqCst);
    let mut sender = http2(server.addr).await;
    let response = sender.send_request(get("http://t/")).await.unwrap();
    settled("HTTP/2").await;
    drop(response);
    eventually("the end of the stream", || drops.count() == 2).await;
}

#[tokio::test]
async fn a_function_that_does_not_read_stops_the_client() {
    let server = Server::of(Config::default(), |call| async move {
        // Held, not read.
        let _body = call.request.into_body();
        never().await
    });
    let mut client = Client::connect_small(server.addr).await;
    client
        .send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000000\r\n\r\n")
        .await;
    let mut sent = 0;
    let piece = vec![0; 64 << 10];
    while let Ok(written) = timeout(Duration::from_millis(500), client.stream.write(&piece)).await {
        sent += written.unwrap();
        assert!(sent < ENOUGH, "the client could send {sent}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_ended() {
    let server = Server::of(Config::default(), |call| async move {
        let problem = Problem::limit(Limit::Wall, "1s", "too slow");
        let body = steps(vec![data("begun"), Err(problem.into())]);
        let mut response = Response::new(body);
        if call.request.uri().path() == "/length" {
            response.headers_mut().insert("content-length", 100.into());
        }
        Ok(response)
    });
    for path in ["/chunks", "/length"] {
        let mut client = Client::connect(server.addr).await;
        let answer = client.get(path).await;
        assert_eq!((answer.status, answer.complete), (200, false), "{path}");
    }
    let mut sender = http2(server.addr).await;
    let response = sender.send_request(get("http://t/")).await.unwrap();
    assert_eq!(response.status(), 200);
    let error = response.into_body().collect().await.unwrap_err();
    assert!(format!("{error:?}").contains("INTERNAL_ERROR"), "{error:?}");
    for line in server.lines(3).await {
        assert_eq!(line["aborted"], true, "{line}");
        assert_eq!(
            (&line["problem"], &line["limit"]),
            (&"limit".into(), &"wall".into()),
            "{line}"
        );
        assert_eq!(
            (&line["status"], &line["detail"]),
            (&200.into(), &"too slow".into()),
            "{line}"
        );
    }
    assert_eq!(
        server.metric(r#"strand_problems_total{kind="limit",limit="wall"}"#),
        3.0
    );
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let server = Server::of(Config::default(), echo);
    let sent: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut sender = http2(server.addr).await;
    let request = Request::post("http://t/").body(full(sent.clone())).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let back = response.into_body().collect().await.unwrap().to_bytes();
    assert!(back == sent);
    let client = Client::connect(server.addr).await;
    let (mut reader, mut writer) = client.stream.into_split();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        sent.len()
    );
    let writing = tokio::spawn({
        let sent = sent.clone();
        async move {
            writer.write_all(head.as_bytes()).await.unwrap();
            writer.write_all(&sent).await.unwrap();
            writer
        }
    });
    let mut read = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut read)
        .await
        .unwrap();
    drop(writing.await.unwrap());
    assert!(read.ends_with(&sent));
}

/// The rest of an upload that its function does not want ends the stream, and neither
/// the answer nor the connection.
#[tokio::test]
async fn an_early_answer_over_http2_arrives_whole() {
    const ANSWER: usize = 50_000;
    let server = Server::of(Config::default(), |call| async move {
        Ok(match call.request.uri().path() {
            "/early" => text("x".repeat(ANSWER)),
            _ => text("next"),
        })
    });
    let mut client = Frames::connect(server.addr).await;
    let piece = [0; 16 << 10];
    for stream in [1, 5, 9] {
        client
            .send(HEADERS, END_HEADERS, stream, &header("POST", "/early"))
            .await;
        client.send(DATA, 0, stream, &piece).await;
        let (mut answered, mut ended, mut reset) = (0, false, None);
        // With the request that follows, all there is to say of this one was said.
        let next = stream + 2;
        let mut next_ended = false;
        while !next_ended {
            let frame = client.next().await.expect("the connection goes on");
            assert_ne!(frame.kind, GOAWAY, "{frame:?}");
            if frame.stream == stream {
                match frame.kind {
                    DATA => answered += frame.payload.len(),
                    RST_STREAM => reset = Some(frame.payload.clone()),
                    _ => {}
                }
                if frame.ends_stream() {
                    assert!(!std::mem::replace(&mut ended, true));
                    // What was on its way when the answer came.
                    client.send(DATA, 0, stream, &piece).await;
                    client
                        .send(
                            HEADERS,
                            END_HEADERS | END_STREAM,
                            next,
                            &header("GET", "/next"),
                        )
                        .await;
                }
            }
            next_ended = frame.stream == next && frame.ends_stream();
        }
        assert_eq!((answered, ended), (ANSWER, true));
        // NO_ERROR (RFC 9113, section 8.1), if anything.
        assert!(reset.is_none_or(|code| code == [0; 4]));
        client
            .send(
                crate::frames::WINDOW_UPDATE,
                0,
                0,
                &(ANSWER as u32 + 4).to_be_bytes(),
            )
            .await;
    }
    for line in server.lines(6).await {
        assert_eq!(
            (&line["status"], &line["aborted"]),
            (&200.into(), &false.into()),
            "{line}"
        );
    }
}

/// A client that is told can send its next request elsewhere.
#[tokio::test]
async fn an_answer_says_that_its_connection_ends() {
    let routes = [function("/get", "GET", "get"), function("/any", "*", "any")];
    // The bodies are dropped before the answers begin.
    let server = Server::start(Config::default(), Path::new("."), &routes, |_| async {
        Ok(text("unread"))
    });
    let length = "content-length: 5\r\n";
    let chunked = "transfer-encoding: chunked\r\n";
    let expecting = format!("{length}expect: 100-continue\r\n");
    for (path, fields, begun, status) in [
        ("/get", expecting.as_str(), "", 405),
        ("/any", expecting.as_str(), "", 200),
        ("/get", length, "", 405),
        ("/any", length, "hel", 200),
        ("/any", chunked, "5\r\nhello\r\n", 200),
    ] {
        let mut client = Client::connect(server.addr).await;
        client
            .send(format!(
                "POST {path} HTTP/1.1\r\nhost: t\r\n{fields}\r\n{begun}"
            ))
            .await;
        let answer = client.answer(false).await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (status, Some("close")),
            "{path} {fields}"
        );
        assert!(client.is_closed().await, "{path} {fields}");
    }
    // It need not end for a body that is there.
    let mut client = Client::connect(server.addr).await;
    for (path, fields, body, status) in [
        ("/get", length, "hello", 405),
        ("/any", length, "hello", 200),
        ("/any", chunked, "5\r\nhello\r\n0\r\n\r\n", 200),
    ] {
        client
            .send(format!(
                "POST {path} HTTP/1.1\r\nhost: t\r\n{fields}\r\n{body}"
            ))
            .await;
        let answer = client.answer(false).await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (status, None),
            "{path} {fields}"
        );
    }
    assert_eq!(client.get("/get").await.text(), "unread");
}

/// Bodies that are not read must not keep those from coming that are.
#[tokio::test]
async fn unread_bodies_leave_room_for_others() {
    let server = Server::of(Config::default(), |call| async move {
        let reads = call.request.uri().path() == "/read";
        let body = call.request.into_body();
        if !reads {
            // Held, not read.
            let _body = body;
            return never().await;
        }
        let body = body.collect().await.unwrap().to_bytes();
        Ok(text(body.len().to_string()))
    });
    let mut sender = http2(server.addr).await;
    let (taken, drops) = (Arc::new(AtomicUsize::new(0)), Drops::default());
    // All streams but one.
    let others = 127;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..others {
        let body = Endless {
            taken: Arc::clone(&taken),
            piece: 16 << 10,
            _guard: drops.guard(),
        };
        let request = Request::post("http://t/hold").body(body.boxed_unsync());
        sender.ready().await.unwrap();
        waiting.spawn(sender.send_request(request.unwrap()));
    }
    eventually("all that may be sent", || {
        taken.load(Ordering::SeqCst) >= others * (64 << 10)
    })
    .await;
    let request = Request::post("http://t/read").body(full(vec![0; 1 << 20]));
    let response = timeout(PATIENCE, sender.send_request(request.unwrap()))
        .await
        .expect("the body comes")
        .unwrap();
    let read = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(read, "1048576");
}
