//! Requests that two readers could read in two ways: each is refused, or read in the
//! one way that the standards have.
//!
//! The cases are data. Each is sent in one write with a good request after it, so that
//! whoever loses the place in the bytes shows it. What is expected comes from RFC 9110,
//! RFC 9112 and RFC 3986, at the section that the case names. Where they let a server
//! choose, refusing is expected, or what cannot mislead anybody, and the case says so.

mod chunks;
mod fields;
mod lengths;
mod lines;
mod targets;

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use strand_engine::{BodyError, Call, Problem};
use strand_gateway::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::support::{Answered, Server, check_all, text};

/// What follows each case, and asks for the connection's end.
const AFTER: &str = "GET /after HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";

/// Some bytes, and what the standards make of them.
struct Case {
    name: &'static str,
    /// The section, and what it says of this.
    rule: &'static str,
    bytes: Vec<u8>,
    expected: Outcome,
    /// What becomes of it instead, which nobody is misled by, and why. Once it is as
    /// expected, this has to go.
    leftover: Option<(Outcome, &'static str)>,
}

/// What became of some bytes.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Statuses of the answers but 100.
    statuses: Vec<u16>,
    /// What functions were given, whole.
    requests: Vec<Given>,
}

/// A request as a function was given it.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    method: String,
    uri: String,
    body: String,
    trailers: Vec<String>,
}

fn case(
    name: &'static str,
    rule: &'static str,
    bytes: impl Into<Vec<u8>>,
    expected: Outcome,
) -> Case {
    Case {
        name,
        rule,
        bytes: bytes.into(),
        expected,
        leftover: None,
    }
}

impl Case {
    fn leftover(mut self, instead: Outcome, why: &'static str) -> Self {
        self.leftover = Some((instead, why));
        self
    }
}

/// A request to `/` with these lines of fields, each with its end, and what follows
/// the header.
fn request(line: &str, fields: impl AsRef<[u8]>, rest: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = format!("{line}\r\nhost: t\r\n").into_bytes();
    bytes.extend(fields.as_ref());
    bytes.extend(b"\r\n");
    bytes.extend(rest.as_ref());
    bytes
}

fn post(fields: impl AsRef<[u8]>, rest: impl AsRef<[u8]>) -> Vec<u8> {
    request("POST / HTTP/1.1", fields, rest)
}

fn get(fields: impl AsRef<[u8]>) -> Vec<u8> {
    request("GET / HTTP/1.1", fields, "")
}

fn given(method: &str, uri: &str, body: &str) -> Given {
    // Most are for the host that they all name.
    let uri = if uri.starts_with('/') {
        format!("http://t{uri}")
    } else {
        uri.to_owned()
    };
    Given {
        method: method.to_owned(),
        uri,
        body: body.to_owned(),
        trailers: Vec::new(),
    }
}

/// Refused, the connection closed, and no function was given a whole request.
fn refused(status: u16) -> Outcome {
    Outcome {
        statuses: vec![status],
        requests: Vec::new(),
    }
}

/// Answered without a function, and the connection goes on.
fn denied(status: u16) -> Outcome {
    Outcome {
        statuses: vec![status, 200],
        requests: vec![given("GET", "/after", "")],
    }
}

/// A function was given this, and then the request after it.
fn accepted(request: Given) -> Outcome {
    Outcome {
        statuses: vec![200, 200],
        requests: vec![request, given("GET", "/after", "")],
    }
}

/// A function was given this, and then the connection was closed.
fn last(request: Given) -> Outcome {
    Outcome {
        statuses: vec![200],
        requests: vec![request],
    }
}

/// Keeps what it is given whole.
async fn keep(call: Call, seen: Arc<Mutex<Vec<Given>>>) -> Answered {
    let (parts, body) = call.request.into_parts();
    let body = body.collect().await.map_err(|error| match error {
        BodyError::Problem(problem) => problem,
        BodyError::Connection(_) => Problem::host_fault("the body broke off"),
    })?;
    let names = body.trailers().into_iter().flat_map(|it| it.keys());
    seen.lock().unwrap().push(Given {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        trailers: names.map(ToString::to_string).collect(),
        body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    });
    Ok(text("ok"))
}

/// Sends the bytes to a gateway of their own; an error when the connection does not end.
async fn outcome(bytes: &[u8]) -> Result<Outcome, String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keeper = Arc::clone(&seen);
    let mut server = Server::of(Config::default(), move |call| {
        keep(call, Arc::clone(&keeper))
    });
    let (mut reader, mut writer) = TcpStream::connect(server.addr).await.unwrap().into_split();
    let sent = [bytes, AFTER.as_bytes()].concat();
    // Read meanwhile: one that refuses early does not read the rest.
    let writing = async move {
        let _ = writer.write_all(&sent).await;
        writer
    };
    let mut answers = Vec::new();
    let reading = timeout(PATIENCE, reader.read_to_end(&mut answers));
    let (_writer, ended) = tokio::join!(writing, reading);
    let statuses = statuses(&answers);
    match ended {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(format!("{error} after {statuses:?}")),
        Err(_) => return Err(format!("more is waited for after {statuses:?}")),
    }
    drop((reader, _writer));
    // What a function is given without an answer is to be seen too.
    server.drain().await;
    let requests = std::mem::take(&mut *seen.lock().unwrap());
    Ok(Outcome { statuses, requests })
}

/// The statuses of answers that all have a length.
fn statuses(mut answers: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while let Some(end) = answers.windows(4).position(|at| at == b"\r\n\r\n") {
        let head = std::str::from_utf8(&answers[..end]).unwrap();
        let status = head[9..12].parse().unwrap();
        let length = head
            .split("\r\n")
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        answers = &answers[end + 4 + length..];
        if status != 100 {
            statuses.push(status);
        }
    }
    assert!(answers.is_empty(), "{answers:?}");
    statuses
}

/// What is wrong with a case, in words.
async fn fault(case: Case) -> Option<String> {
    let found = outcome(&case.bytes).await;
    let (expected, why) = match &case.leftover {
        None => (&case.expected, case.rule),
        Some((instead, why)) => (instead, *why),
    };
    if found.as_ref() == Ok(expected) {
        return None;
    }
    let shown = String::from_utf8_lossy(&case.bytes[..case.bytes.len().min(300)]).into_owned();
    Some(format!(
        "{}: {shown:?}\n    {why}\n    expected {expected:?}\n    found    {found:?}",
        case.name
    ))
}

#[tokio::test]
async fn lengths_are_read_in_one_way() {
    check_all(lengths::cases().into_iter().map(fault)).await;
}

#[tokio::test]
async fn chunks_are_read_in_one_way() {
    check_all(chunks::cases().into_iter().map(fault)).await;
}

#[tokio::test]
async fn lines_are_read_in_one_way() {
    check_all(lines::cases().into_iter().map(fault)).await;
}

#[tokio::test]
async fn fields_of_the_connection_move_no_bounds() {
    check_all(fields::cases().into_iter().map(fault)).await;
}

#[tokio::test]
async fn targets_and_hosts_are_read_in_one_way() {
    check_all(targets::cases().into_iter().map(fault)).await;
}
