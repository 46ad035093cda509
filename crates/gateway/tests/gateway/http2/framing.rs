//! Frames and the states of streams.

use super::{
    Case, Ended, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, Good, Ignored, OPEN, PROTOCOL_ERROR, Reset,
    STREAM_CLOSED, Sent, WHOLE, block, case, frame, pseudo, request,
};
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY,
};

const UNKNOWN: u8 = 0xee;
const WEIGHT: [u8; 5] = [0, 0, 0, 0, 15];
const PINGED: &[u8] = b"12345678";

const SIZE: &str = "RFC 9113, 4.2 and 6: a frame of a wrong length is a FRAME_SIZE_ERROR";
const BLOCK: &str = "RFC 9113, 4.3 and 6.10: nothing stands between the frames of a field block";
const IDLE: &str = "RFC 9113, 5.1: of an idle stream only HEADERS and PRIORITY may come";
const CLOSED: &str = "RFC 9113, 5.1: nothing that carries a message comes after END_STREAM";
const CONNECTION: &str = "RFC 9113, 6: this frame belongs to the connection, stream 0";
const STREAM: &str = "RFC 9113, 6: this frame belongs to a stream, not to 0";
const PADDING: &str = "RFC 9113, 6.1 and 6.2: padding is shorter than the payload";
const VALUE: &str = "RFC 9113, 6.5.2: a value that the setting cannot have";

/// h2, below hyper, tells every fault in a frame as this.
const LESS_SPECIFIC: &str = "h2 says PROTOCOL_ERROR; the connection ends all the same";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = any_frame();
    cases.extend(field_blocks());
    cases.extend(states());
    cases.extend(of_the_connection());
    cases.extend(of_streams());
    cases
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    let mut payload = id.to_be_bytes().to_vec();
    payload.extend(value.to_be_bytes());
    frame(SETTINGS, 0, 0, &payload)
}

fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

fn any_frame() -> Vec<Case> {
    vec![
        case("a request", "RFC 9113, 8.1", [request(1, WHOLE, "/")], Good),
        case(
            "no settings after the preface",
            "RFC 9113, 3.4: the preface goes on with SETTINGS",
            [request(1, WHOLE, "/")],
            Ended(&[PROTOCOL_ERROR]),
        )
        .after_the_preface()
        .leftover(Good, "h2 takes any frame"),
        case(
            "a frame of a kind that nobody knows",
            "RFC 9113, 4.1 and 5.5: ignored",
            [
                frame(UNKNOWN, 0xff, 0, b"anything"),
                frame(UNKNOWN, 0, 1, b""),
            ],
            Ignored,
        ),
        case(
            "flags that nobody knows",
            "RFC 9113, 4.1: ignored",
            [frame(PING, 0xfe, 0, PINGED)],
            Sent(PING, ACK, PINGED),
        ),
        case(
            "the reserved bit of a stream",
            "RFC 9113, 4.1: ignored",
            [frame(PING, 0, 1 << 31, PINGED)],
            Sent(PING, ACK, PINGED),
        ),
        case(
            "a frame as long as may be",
            "RFC 9113, 4.2: up to 16,384 bytes by default",
            [request(1, OPEN, "/"), data(1, END_STREAM, &[0; 16_384])],
            Good,
        ),
        case(
            "DATA that is too long",
            SIZE,
            [request(1, OPEN, "/bad"), data(1, END_STREAM, &[0; 16_385])],
            Reset(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "HEADERS that are too long",
            SIZE,
            [frame(HEADERS, WHOLE, 1, &[0; 16_385])],
            Ended(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "SETTINGS that are too long",
            SIZE,
            [frame(SETTINGS, 0, 0, &[0; 16_386])],
            Ended(&[FRAME_SIZE_ERROR]),
        ),
    ]
}

fn field_blocks() -> Vec<Case> {
    let fields = block(&pseudo("GET", "/bad"));
    let (first, second) = fields.split_at(9);
    let begun = || frame(HEADERS, END_STREAM, 1, first);
    let ended = |stream: u32| frame(CONTINUATION, END_HEADERS, stream, second);
    let between = |name, other: Vec<u8>| {
        case(
            name,
            BLOCK,
            [begun(), other, ended(1)],
            Ended(&[PROTOCOL_ERROR]),
        )
    };
    let good = block(&pseudo("GET", "/"));
    let pieces = good.chunks(16).enumerate().map(|(at, piece)| match at {
        0 => frame(HEADERS, END_STREAM, 1, piece),
        _ => frame(CONTINUATION, 0, 1, piece),
    });
    vec![
        case(
            "a header in several frames",
            "RFC 9113, 6.10",
            pieces
                .chain([frame(CONTINUATION, END_HEADERS, 1, &[])])
                .collect::<Vec<_>>(),
            Good,
        ),
        between("PRIORITY within a header", frame(PRIORITY, 0, 1, &WEIGHT)),
        between("DATA within a header", data(1, 0, b"x")),
        between("PING within a header", frame(PING, 0, 0, PINGED)),
        between("SETTINGS within a header", frame(SETTINGS, 0, 0, &[])),
        between("WINDOW_UPDATE within a header", window(0, 1)),
        between("RST_STREAM within a header", reset(1, 8)),
        between("another request within a header", request(3, WHOLE, "/bad")),
        between(
            "a frame that nobody knows within a header",
            frame(UNKNOWN, 0, 1, b""),
        ),
        case(
            "CONTINUATION of another stream",
            BLOCK,
            [begun(), ended(3)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "CONTINUATION of stream 0",
            STREAM,
            [begun(), ended(0)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "CONTINUATION without a header",
            BLOCK,
            [ended(1)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "CONTINUATION after a header's end",
            BLOCK,
            [request(1, OPEN, "/bad"), ended(1)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "CONTINUATION after DATA",
            BLOCK,
            [request(1, OPEN, "/bad"), data(1, 0, b"x"), ended(1)],
            Ended(&[PROTOCOL_ERROR]),
        ),
    ]
}

fn states() -> Vec<Case> {
    let waiting = || request(1, WHOLE, "/wait");
    vec![
        case(
            "DATA of an idle stream",
            IDLE,
            [data(1, 0, b"x")],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "RST_STREAM of an idle stream",
            IDLE,
            [reset(1, 8)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "WINDOW_UPDATE of an idle stream",
            IDLE,
            [window(1, 1)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "PRIORITY of an idle stream",
            "RFC 9113, 5.1 and 6.3: may come in any state",
            [frame(PRIORITY, 0, 1, &WEIGHT)],
            Ignored,
        ),
        case(
            "DATA after the end",
            CLOSED,
            [waiting(), data(1, 0, b"x")],
            Reset(&[STREAM_CLOSED]),
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        case(
            "HEADERS after the end",
            CLOSED,
            [waiting(), request(1, WHOLE, "/bad")],
            Reset(&[STREAM_CLOSED]),
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        case(
            "WINDOW_UPDATE after the end",
            "RFC 9113, 5.1: may come",
            [waiting(), window(1, 1), frame(PRIORITY, 0, 1, &WEIGHT)],
            Ignored,
        ),
        case(
            "DATA after RST_STREAM",
            "RFC 9113, 5.1: may be an error of the connection, as after any end",
            [request(1, OPEN, "/wait"), reset(1, 8), data(1, 0, b"x")],
            Reset(&[STREAM_CLOSED]),
        ),
        case(
            "HEADERS after RST_STREAM",
            "RFC 9113, 5.1: may be an error of the connection, as after any end",
            [
                request(1, OPEN, "/wait"),
                reset(1, 8),
                request(1, WHOLE, "/bad"),
            ],
            Reset(&[STREAM_CLOSED]),
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        case(
            "RST_STREAM twice, WINDOW_UPDATE and PRIORITY after it",
            "RFC 9113, 5.1: may come late",
            [
                request(1, OPEN, "/wait"),
                reset(1, 8),
                reset(1, 8),
                window(1, 1),
                frame(PRIORITY, 0, 1, &WEIGHT),
            ],
            Ignored,
        ),
        case(
            "a stream of the server's",
            "RFC 9113, 5.1.1: a client's streams are odd",
            [request(2, WHOLE, "/bad")],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "a stream before another",
            "RFC 9113, 5.1.1: a new stream's number is greater than all before",
            [request(5, WHOLE, "/"), request(3, WHOLE, "/bad")],
            Ended(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        case(
            "a promise by a client",
            "RFC 9113, 8.4: a client cannot push",
            [
                request(1, OPEN, "/wait"),
                frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
            ],
            Ended(&[PROTOCOL_ERROR]),
        ),
    ]
}

fn of_the_connection() -> Vec<Case> {
    let ended_by = |name, rule, bytes: Vec<u8>, codes| case(name, rule, [bytes], Ended(codes));
    vec![
        case(
            "settings",
            "RFC 9113, 6.5.3: acknowledged",
            [frame(SETTINGS, 0, 0, &[])],
            Sent(SETTINGS, ACK, b""),
        ),
        case(
            "a setting that nobody knows",
            "RFC 9113, 6.5.2: ignored",
            [setting(0xeeee, u32::MAX)],
            Sent(SETTINGS, ACK, b""),
        ),
        case(
            "a setting twice",
            "RFC 9113, 6.5.3: in the order of the frame",
            [frame(
                SETTINGS,
                0,
                0,
                &[0, 4, 0, 0, 0, 0, 0, 4, 0, 0, 0xff, 0xff],
            )],
            Sent(SETTINGS, ACK, b""),
        ),
        ended_by(
            "SETTINGS of a stream",
            CONNECTION,
            frame(SETTINGS, 0, 1, &[]),
            &[PROTOCOL_ERROR],
        ),
        ended_by(
            "an acknowledgement with settings",
            SIZE,
            frame(SETTINGS, ACK, 0, &[0, 4, 0, 0, 0, 1]),
            &[FRAME_SIZE_ERROR],
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        ended_by(
            "SETTINGS of five bytes",
            SIZE,
            frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0]),
            &[FRAME_SIZE_ERROR],
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        ended_by("ENABLE_PUSH of 2", VALUE, setting(2, 2), &[PROTOCOL_ERROR]),
        ended_by(
            "INITIAL_WINDOW_SIZE of 2^31",
            VALUE,
            setting(4, 1 << 31),
            &[FLOW_CONTROL_ERROR],
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        ended_by(
            "MAX_FRAME_SIZE of 16,383",
            VALUE,
            setting(5, 16_383),
            &[PROTOCOL_ERROR],
        ),
        ended_by(
            "MAX_FRAME_SIZE of 2^24",
            VALUE,
            setting(5, 1 << 24),
            &[PROTOCOL_ERROR],
        ),
        case(
            "INITIAL_WINDOW_SIZE that a window has no room for",
            "RFC 9113, 6.9.2: no window exceeds 2^31 - 1",
            [
                request(1, OPEN, "/wait"),
                window(1, (1 << 31) - 1 - 65_535),
                setting(4, 65_536),
            ],
            Ended(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "PING",
            "RFC 9113, 6.7: acknowledged, with its payload",
            [frame(PING, 0, 0, PINGED)],
            Sent(PING, ACK, PINGED),
        ),
        case(
            "PING that nobody asked for",
            "RFC 9113, 6.7: no answer to an answer",
            [frame(PING, ACK, 0, PINGED)],
            Ignored,
        ),
        ended_by(
            "PING of a stream",
            CONNECTION,
            frame(PING, 0, 1, PINGED),
            &[PROTOCOL_ERROR],
        ),
        ended_by(
            "PING of seven bytes",
            SIZE,
            frame(PING, 0, 0, &PINGED[1..]),
            &[FRAME_SIZE_ERROR],
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        ended_by(
            "PING of nine bytes",
            SIZE,
            frame(PING, 0, 0, b"123456789"),
            &[FRAME_SIZE_ERROR],
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        ended_by(
            "GOAWAY of a stream",
            CONNECTION,
            frame(GOAWAY, 0, 1, &[0; 8]),
            &[PROTOCOL_ERROR],
        ),
        ended_by(
            "GOAWAY of seven bytes",
            SIZE,
            frame(GOAWAY, 0, 0, &[0; 7]),
            &[FRAME_SIZE_ERROR],
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        ended_by(
            "WINDOW_UPDATE of nothing",
            "RFC 9113, 6.9: PROTOCOL_ERROR",
            window(0, 0),
            &[PROTOCOL_ERROR],
        ),
        ended_by(
            "WINDOW_UPDATE of three bytes",
            SIZE,
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1]),
            &[FRAME_SIZE_ERROR],
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        ended_by(
            "a window of the connection that overflows",
            "RFC 9113, 6.9.1: FLOW_CONTROL_ERROR",
            window(0, (1 << 31) - 1),
            &[FLOW_CONTROL_ERROR],
        ),
    ]
}

fn of_streams() -> Vec<Case> {
    let headers = |flags: u8, before: &[u8], after: &[u8], path: &str| {
        let payload = [before, &block(&pseudo("GET", path)), after].concat();
        frame(HEADERS, WHOLE | flags, 1, &payload)
    };
    let mut priority = vec![0];
    priority.extend(WEIGHT);
    vec![
        case(
            "DATA of stream 0",
            STREAM,
            [data(0, 0, b"x")],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "HEADERS of stream 0",
            STREAM,
            [request(0, WHOLE, "/bad")],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "PRIORITY of stream 0",
            STREAM,
            [frame(PRIORITY, 0, 0, &WEIGHT)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "RST_STREAM of stream 0",
            STREAM,
            [reset(0, 8)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "DATA with padding",
            "RFC 9113, 6.1",
            [
                request(1, OPEN, "/"),
                data(1, PADDED | END_STREAM, b"\x03hello\0\0\0"),
            ],
            Good,
        ),
        case(
            "DATA of padding alone",
            "RFC 9113, 6.1",
            [
                request(1, OPEN, "/"),
                data(1, PADDED | END_STREAM, b"\x03\0\0\0"),
            ],
            Good,
        ),
        case(
            "DATA with more padding than payload",
            PADDING,
            [
                request(1, OPEN, "/bad"),
                data(1, PADDED | END_STREAM, b"\x06hello"),
            ],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "DATA with a padding that is not there",
            PADDING,
            [request(1, OPEN, "/bad"), data(1, PADDED | END_STREAM, b"")],
            Ended(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        case(
            "HEADERS with padding and priority",
            "RFC 9113, 6.2",
            [headers(
                PADDED | WITH_PRIORITY,
                &[&[3], &WEIGHT[..]].concat(),
                b"\0\0\0",
                "/",
            )],
            Good,
        ),
        case(
            "HEADERS with more padding than payload",
            PADDING,
            [headers(PADDED, &[200], b"", "/bad")],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "HEADERS with a priority that is not there",
            SIZE,
            [frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &[0, 0])],
            Ended(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
        ),
        case(
            "PRIORITY of four bytes",
            "RFC 9113, 6.3: a FRAME_SIZE_ERROR of the stream",
            [
                request(1, OPEN, "/bad"),
                frame(PRIORITY, 0, 1, &WEIGHT[1..]),
            ],
            Reset(&[FRAME_SIZE_ERROR]),
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        case(
            "PRIORITY of six bytes",
            "RFC 9113, 6.3: a FRAME_SIZE_ERROR of the stream",
            [request(1, OPEN, "/bad"), frame(PRIORITY, 0, 1, &priority)],
            Reset(&[FRAME_SIZE_ERROR]),
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        case(
            "RST_STREAM of three bytes",
            SIZE,
            [
                request(1, OPEN, "/bad"),
                frame(RST_STREAM, 0, 1, &[0, 0, 8]),
            ],
            Ended(&[FRAME_SIZE_ERROR]),
        )
        .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC),
        case(
            "RST_STREAM for a reason that nobody knows",
            "RFC 9113, 7: no special behaviour",
            [request(1, OPEN, "/wait"), reset(1, 0xee)],
            Ignored,
        ),
        case(
            "WINDOW_UPDATE of nothing, of a stream",
            "RFC 9113, 6.9: PROTOCOL_ERROR of the stream",
            [request(1, OPEN, "/bad"), window(1, 0)],
            Reset(&[PROTOCOL_ERROR]),
        ),
        case(
            "a window of a stream that overflows",
            "RFC 9113, 6.9.1: FLOW_CONTROL_ERROR of the stream",
            [request(1, OPEN, "/bad"), window(1, (1 << 31) - 1)],
            Reset(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "more DATA than the window",
            "RFC 9113, 6.9.1: FLOW_CONTROL_ERROR, of the stream or the connection",
            [
                vec![request(1, OPEN, "/wait")],
                vec![data(1, 0, &[0; 16_384]); 4],
                vec![data(1, 0, b"x")],
            ]
            .concat(),
            Reset(&[FLOW_CONTROL_ERROR]),
        ),
    ]
}
