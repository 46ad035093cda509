//! HTTP/2 as a client may get it wrong, frame by frame.
//!
//! The cases are data: the frames that a client sends after it has begun as it should,
//! and what RFC 9113 and RFC 7541 make of them, at the section that the case names. They
//! cover what `h2spec` covers, which no registry that this project builds from has.

mod floods;
mod framing;
mod hpack;
mod messages;
mod windows;

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use strand_engine::{BodyError, Call, Problem};
use strand_gateway::Config;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::frames::{
    ACK, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS,
    block, frame,
};
use crate::support::{Answered, Server, check_all, never, text};

const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A header that is whole, of a request without and with a body.
const WHOLE: u8 = END_HEADERS | END_STREAM;
const OPEN: u8 = END_HEADERS;

/// The stream of the request that follows each case.
const AFTER: u32 = 99;

struct Case {
    name: &'static str,
    /// The section, and what it says of this.
    rule: &'static str,
    bytes: Vec<u8>,
    expected: Expected,
    /// Whether the client's own settings come first, and both sides' are acknowledged.
    begun: bool,
    /// What comes of it instead, which nobody is misled by, and why. Once it is as
    /// expected, this has to go.
    leftover: Option<(Expected, &'static str)>,
}

/// What the standards want. But for the first, a request after it is answered.
enum Expected {
    /// An error of the connection: `GOAWAY` with one of these codes, and its end.
    Ended(&'static [u32]),
    /// An error of stream 1, with one of these codes. It may be made one of the
    /// connection (RFC 9113, 5.4.1).
    Reset(&'static [u32]),
    /// A request on stream 1 that is malformed (RFC 9113, 8.1.1): a stream error
    /// `PROTOCOL_ERROR`, before which a 400 may come.
    Malformed,
    /// A request on stream 1 that is answered.
    Answered,
    /// A frame of this kind, with this flag and this payload.
    Sent(u8, u8, &'static [u8]),
    /// Nothing in particular.
    Ignored,
}

use Expected::{Answered as Good, Ended, Ignored, Malformed, Reset, Sent};

fn case(
    name: &'static str,
    rule: &'static str,
    frames: impl IntoIterator<Item = Vec<u8>>,
    expected: Expected,
) -> Case {
    Case {
        name,
        rule,
        bytes: frames.into_iter().flatten().collect(),
        expected,
        begun: true,
        leftover: None,
    }
}

impl Case {
    fn leftover(mut self, instead: Expected, why: &'static str) -> Self {
        self.leftover = Some((instead, why));
        self
    }

    fn after_the_preface(mut self) -> Self {
        self.begun = false;
        self
    }
}

/// What a request to this path begins with.
fn pseudo<'f>(method: &'f str, path: &'f str) -> [(&'f [u8], &'f [u8]); 4] {
    [
        (b":method", method.as_bytes()),
        (b":scheme", b"http"),
        (b":authority", b"t"),
        (b":path", path.as_bytes()),
    ]
}

/// A request's header, in one frame.
fn request(stream: u32, flags: u8, path: &str) -> Vec<u8> {
    let method = if flags & END_STREAM == 0 {
        "POST"
    } else {
        "GET"
    };
    frame(HEADERS, flags, stream, &block(&pseudo(method, path)))
}

/// What came back.
#[derive(Debug, Default)]
struct Seen {
    /// The last code of a `GOAWAY`.
    goaway: Option<u32>,
    /// The code that stream 1 was reset with.
    reset: Option<u32>,
    /// The status on stream 1, and whether the answer has ended.
    status: Option<u16>,
    answered: bool,
    /// Whether the request afterwards was answered.
    after: bool,
    ended: bool,
    others: Vec<(u8, u8, Vec<u8>)>,
}

impl Seen {
    fn take(&mut self, frame: Frame) {
        let code = |at: usize| {
            let bytes = frame.payload.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().unwrap()))
        };
        match (frame.kind, frame.stream) {
            (GOAWAY, _) => self.goaway = code(4),
            // `NO_ERROR`: the rest of a body is not wanted.
            (RST_STREAM, 1) => self.reset = code(0).filter(|code| *code != NO_ERROR).or(self.reset),
            (HEADERS, 1) => self.status = self.status.or(Some(status(&frame.payload))),
            (HEADERS, AFTER) => self.after = status(&frame.payload) == 200,
            _ => {}
        }
        self.answered |= frame.stream == 1 && frame.ends_stream();
        self.others.push((frame.kind, frame.flags, frame.payload));
    }

    /// Whether there is nothing more to wait for.
    fn is_all(&self, expected: &Expected) -> bool {
        let ended = self.ended;
        match expected {
            Ended(_) => ended,
            Reset(_) => ended || self.after && self.reset.is_some(),
            Malformed => ended || self.after && (self.reset.is_some() || self.answered),
            Good => ended || self.after && self.answered,
            Sent(..) => ended || self.after && self.is(expected),
            Ignored => ended || self.after,
        }
    }

    fn is(&self, expected: &Expected) -> bool {
        let is_one_of =
            |code: Option<u32>, codes: &[u32]| code.is_some_and(|it| codes.contains(&it));
        let fine = !self.ended && self.reset.is_none() && self.goaway.is_none();
        match expected {
            Ended(codes) => self.ended && is_one_of(self.goaway, codes),
            Reset(codes) => is_one_of(self.reset.or(self.goaway), codes),
            Malformed => match self.reset.or(self.goaway) {
                Some(code) => code == PROTOCOL_ERROR,
                None => self.status == Some(400),
            },
            Good => fine && self.status == Some(200) && self.answered,
            Sent(kind, flags, payload) => {
                let is_it = |(own, flag, bytes): &(u8, u8, Vec<u8>)| {
                    own == kind && flag & flags == *flags && bytes == payload
                };
                fine && self.others.iter().any(is_it)
            }
            Ignored => fine,
        }
    }
}

/// The status of an answer's header: the first field, after changes of the table's size.
fn status(block: &[u8]) -> u16 {
    let first = block.iter().find(|byte| *byte & 0xe0 != 0x20);
    match first {
        Some(0x88) => 200,
        Some(0x8c) => 400,
        Some(0x8d) => 404,
        // Of no interest here.
        _ => 0,
    }
}

/// Says what it was given whole. `/wait` reads nothing and never answers.
async fn keep(call: Call, seen: Arc<Mutex<Vec<String>>>) -> Answered {
    let (parts, body) = call.request.into_parts();
    if parts.uri.path() == "/wait" {
        return never().await;
    }
    body.collect().await.map_err(|error| match error {
        BodyError::Problem(problem) => problem,
        BodyError::Connection(_) => Problem::host_fault("the body broke off"),
    })?;
    seen.lock().unwrap().push(parts.uri.path().to_owned());
    Ok(text("ok"))
}

/// Waits for the server's settings and for the acknowledgement of the client's.
async fn begin(client: &mut Frames) {
    let (mut told, mut acknowledged) = (false, false);
    while !(told && acknowledged) {
        let frame = client.next().await.expect("settings");
        if frame.kind == SETTINGS {
            let is_ack = frame.flags & ACK != 0;
            told |= !is_ack;
            acknowledged |= is_ack;
        }
    }
}

/// Sends a case's bytes to a gateway of its own, and what is wrong with what came back.
async fn fault(case: Case) -> Option<String> {
    let whole = Arc::new(Mutex::new(Vec::new()));
    let keeper = Arc::clone(&whole);
    let server = Server::of(Config::default(), move |call| {
        keep(call, Arc::clone(&keeper))
    });
    let (expected, why) = match &case.leftover {
        None => (&case.expected, case.rule),
        Some((instead, why)) => (instead, *why),
    };
    let mut client = if case.begun {
        let mut client = Frames::connect(server.addr).await;
        begin(&mut client).await;
        client
    } else {
        let mut client = Frames::connect_silent(server.addr).await;
        client.send_bytes(PREFACE).await.unwrap();
        client
    };
    // It may have ended after the first bytes.
    let _ = client.send_bytes(&case.bytes).await;
    if !matches!(expected, Ended(_)) {
        let _ = client.send_bytes(&request(AFTER, WHOLE, "/after")).await;
    }
    let mut seen = Seen::default();
    let reading = async {
        while !seen.is_all(expected) {
            match client.read().await {
                Some(frame) => seen.take(frame),
                None => seen.ended = true,
            }
        }
    };
    let in_time = timeout(PATIENCE, reading).await.is_ok();
    let passed_on = whole.lock().unwrap().iter().any(|path| path == "/bad");
    if in_time && seen.is(expected) && !passed_on {
        return None;
    }
    Some(format!(
        "{}\n    {why}\n    in time: {in_time}, a bad request passed on: {passed_on}\n    {seen:?}",
        case.name
    ))
}

#[tokio::test]
async fn frames_are_read_as_the_standard_has_it() {
    check_all(framing::cases().into_iter().map(fault)).await;
}

#[tokio::test]
async fn messages_are_read_as_the_standard_has_it() {
    check_all(messages::cases().into_iter().map(fault)).await;
}

#[tokio::test]
async fn compressed_headers_are_read_as_the_standard_has_it() {
    check_all(hpack::cases().into_iter().map(fault)).await;
}
