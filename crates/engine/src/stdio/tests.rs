use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::problem::Kind;

fn pieces(pieces: &[&'static str]) -> Body {
    let frames: Vec<_> = pieces
        .iter()
        .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))
        .collect();
    StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
}

#[tokio::test]
async fn a_request_is_read_as_it_came() {
    let mut reader = BodyReader {
        body: Mutex::new(pieces(&["ab", "", "cdefg"])),
        current: Bytes::new(),
    };
    let mut three = [0; 3];
    reader.read_exact(&mut three).await.expect("reads");
    assert_eq!(&three, b"abc");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).await.expect("reads");
    assert_eq!(rest, "defg");
    let stdin = Stdin::new(pieces(&["abc"]));
    assert!(!stdin.is_terminal());
    let mut all = String::new();
    let mut stream = Box::into_pin(stdin.async_stream());
    stream.read_to_string(&mut all).await.expect("reads");
    assert_eq!(all, "abc");
}

#[tokio::test]
async fn a_request_that_breaks_off_is_an_error() {
    let broken = [Err(crate::BodyError::Problem(Problem::draining()))];
    let mut reader = BodyReader {
        body: Mutex::new(StreamBody::new(futures::stream::iter(broken)).boxed_unsync()),
        current: Bytes::new(),
    };
    let mut all = Vec::new();
    assert!(reader.read_to_end(&mut all).await.is_err());
}

#[tokio::test]
async fn output_is_passed_on_piece_by_piece() {
    let outcome = Outcome::new();
    let (stdout, mut receiver) = stdout(1 << 20, &outcome);
    assert!(!stdout.is_terminal());
    let mut stream = stdout.p2_stream();
    assert_eq!(stream.check_write().expect("open"), BODY_PIECE);
    let largest = Bytes::from(vec![b'x'; BODY_PIECE]);
    stream.write(largest.clone()).expect("the largest piece");
    stream.write(Bytes::from_static(b"b")).expect("a second");
    // Two wait: there is no room until one is taken.
    assert_eq!(stream.check_write().expect("open"), 0);
    assert!(stream.ready().now_or_never().is_none());
    assert!(matches!(
        stream.write(Bytes::from_static(b"c")),
        Err(StreamError::Trap(_))
    ));
    assert_eq!(receiver.recv().await, Some(largest));
    stream.ready().await;
    assert_eq!(stream.check_write().expect("open"), BODY_PIECE);
    assert!(matches!(
        stream.write(vec![0; BODY_PIECE + 1].into()),
        Err(StreamError::Trap(_))
    ));
    drop(receiver);
    assert!(matches!(stream.flush(), Err(StreamError::Closed)));
    assert!(matches!(stream.check_write(), Err(StreamError::Closed)));
    assert!(matches!(
        stream.write(Bytes::from_static(b"d")),
        Err(StreamError::Closed)
    ));
    assert!(outcome.problem().is_none());
}

#[tokio::test]
async fn output_of_the_newer_kind_is_passed_on_too() {
    let outcome = Outcome::new();
    let (stdout, mut receiver) = stdout(1 << 20, &outcome);
    let mut writer = Box::into_pin(stdout.async_stream());
    let large = vec![b'x'; BODY_PIECE + 1];
    assert_eq!(writer.write(&large).await.expect("writes"), BODY_PIECE);
    assert_eq!(writer.write(b"b").await.expect("writes"), 1);
    assert!(writer.write(b"c").now_or_never().is_none());
    assert_eq!(
        receiver.recv().await.map(|piece| piece.len()),
        Some(BODY_PIECE)
    );
    assert_eq!(receiver.recv().await, Some(Bytes::from_static(b"b")));
    drop(receiver);
    let error = writer.write(b"d").await.expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn output_has_a_limit_to_the_byte() {
    for newer in [false, true] {
        let outcome = Outcome::new();
        let (stdout, receiver) = stdout(3, &outcome);
        let mut stream = stdout.p2_stream();
        let mut writer = Box::into_pin(stdout.async_stream());
        stream
            .write(Bytes::from_static(b"abc"))
            .expect("as much as is allowed");
        assert!(outcome.problem().is_none());
        if newer {
            writer.write(b"d").await.expect_err("too much");
        } else {
            let error = stream.write(Bytes::from_static(b"d"));
            assert!(matches!(error, Err(StreamError::Trap(_))));
        }
        let problem = outcome.problem().expect("a problem");
        let (limit, value) = (Limit::Response, "3".to_owned());
        assert_eq!(*problem.kind(), Kind::Limit { limit, value });
        drop(receiver);
    }
}

#[tokio::test]
async fn an_answer_begins_with_what_was_taken_already() {
    let (sender, receiver) = mpsc::channel(2);
    sender.send(Bytes::from_static(b"b")).await.expect("room");
    drop(sender);
    let first = Some(Bytes::from_static(b"a"));
    let all = |body: WasiBody| async { body.collect().await.expect("a body").to_bytes() };
    assert_eq!(all(body(first.clone(), Some(receiver))).await, "ab");
    assert_eq!(all(body(first, None)).await, "a");
    assert_eq!(all(body(None, None)).await, "");
}
