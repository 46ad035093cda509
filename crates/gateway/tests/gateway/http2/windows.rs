//! What a server may send, and how many streams it lets be.

use strand_gateway::Config;

use super::{OPEN, PROTOCOL_ERROR, REFUSED_STREAM, WHOLE, begin, request};
use crate::frames::{DATA, Frame, Frames, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE};
use crate::support::{Server, never, text};

const INITIAL_WINDOW_SIZE: u8 = 4;

async fn next_of(client: &mut Frames, kind: u8) -> Frame {
    loop {
        let frame = client.next().await.expect("the connection lives");
        if frame.kind == kind {
            return frame;
        }
    }
}

/// RFC 9113, 6.9 and 6.9.2: never more than the window, also when it becomes negative.
#[tokio::test]
async fn an_answer_keeps_to_its_window() {
    let server = Server::of(Config::default(), |_| async { Ok(text("0123456789")) });
    let mut client = Frames::connect(server.addr).await;
    begin(&mut client).await;
    let window = |size: u8| [0, INITIAL_WINDOW_SIZE, 0, 0, 0, size];
    client.send(SETTINGS, 0, 0, &window(3)).await;
    client
        .send(HEADERS, WHOLE, 1, &request(1, WHOLE, "/")[9..])
        .await;
    assert_eq!(next_of(&mut client, DATA).await.payload, b"012");
    // Three are out: from now on there is a debt of two.
    client.send(SETTINGS, 0, 0, &window(1)).await;
    for (more, expected) in [(4, &b"34"[..]), (1, b"5")] {
        client.send(WINDOW_UPDATE, 0, 1, &[0, 0, 0, more]).await;
        assert_eq!(next_of(&mut client, DATA).await.payload, expected);
    }
    // Two more by a larger setting, the rest by an update.
    client.send(SETTINGS, 0, 0, &window(3)).await;
    assert_eq!(next_of(&mut client, DATA).await.payload, b"67");
    client.send(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 9]).await;
    let last = next_of(&mut client, DATA).await;
    assert_eq!((&last.payload[..], last.ends_stream()), (&b"89"[..], true));
}

/// RFC 9113, 5.1.2: a stream beyond the limit is refused, and no other is hurt.
#[tokio::test]
async fn a_stream_beyond_the_limit_is_refused() {
    let config = Config {
        max_streams: 3,
        ..Config::default()
    };
    let server = Server::of(config, |call| async move {
        match call.request.uri().path() {
            "/wait" => never().await,
            _ => Ok(text("ok")),
        }
    });
    let mut client = Frames::connect(server.addr).await;
    begin(&mut client).await;
    for stream in [1, 3, 5, 7] {
        client
            .send_bytes(&request(stream, OPEN, "/wait"))
            .await
            .unwrap();
    }
    let refused = next_of(&mut client, RST_STREAM).await;
    let code = u32::from_be_bytes(refused.payload[..].try_into().unwrap());
    assert_eq!(refused.stream, 7);
    assert!([REFUSED_STREAM, PROTOCOL_ERROR].contains(&code), "{code}");
    // One ends, and there is room for another.
    client.send(RST_STREAM, 0, 1, &[0, 0, 0, 8]).await;
    client.send_bytes(&request(9, WHOLE, "/")).await.unwrap();
    assert_eq!(next_of(&mut client, HEADERS).await.stream, 9);
}
