//! One line a request, when it has ended.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::clock::Stamp;
use crate::writer::LogWriter;

/// What happened with one request.
///
/// The path comes without its query: queries hold keys and names of people.
#[derive(Clone, Debug, Serialize)]
pub struct AccessLine<'a> {
    /// Names the request in answers, logs and problems.
    pub id: &'a str,
    /// The peer's address.
    pub client: IpAddr,
    /// The method; `-` when the request could not be read.
    pub method: &'a str,
    /// The path as sent.
    pub path: &'a str,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub protocol: &'a str,
    /// The route's path in the Directive.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub route: &'a str,
    /// The app.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub app: &'a str,
    /// The function.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub function: &'a str,
    /// The answer's status; none when the client went before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Bytes of the request's body that were read.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were handed to the connection.
    pub bytes_out: u64,
    /// From the request's head to the end of its answer.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// From the request's head to the answer's head.
    #[serde(
        rename = "first_byte_ms",
        serialize_with = "some_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_byte: Option<Duration>,
    /// The problem that it ended in, if any: the last part of its `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<&'a str>,
    /// The limit that it ran into, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'a str>,
    /// What the problem says; for requests whose answer had begun, this is the only
    /// place where it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    /// Whether the client did not get the whole answer.
    pub aborted: bool,
}

// By reference, because serde calls it so.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let microseconds = duration.as_micros().min(u128::from(u64::MAX)) as u64;
    serializer.serialize_f64(microseconds as f64 / 1000.0)
}

// By reference, because serde calls it so.
#[allow(clippy::ref_option)]
fn some_milliseconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    milliseconds(&duration.unwrap_or_default(), serializer)
}

/// Takes access lines. Cheap to clone.
///
/// Lines do not go through `tracing`: at tens of thousands of requests a second its
/// dispatch would be a good part of a request's cost.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<Arc<Target>>);

#[derive(Debug)]
struct Target {
    writer: LogWriter,
    json: bool,
}

impl AccessLog {
    /// Writes lines as JSON, or for people.
    pub fn new(writer: LogWriter, json: bool) -> Self {
        Self(Some(Arc::new(Target { writer, json })))
    }

    /// Drops every line.
    pub fn off() -> Self {
        Self(None)
    }

    /// Writes one line, or drops and counts it if the log's reader is too slow.
    pub fn write(&self, line: &AccessLine<'_>) {
        thread_local! {
            static BUFFERS: RefCell<(Stamp, Vec<u8>)> = RefCell::default();
        }
        let Some(target) = &self.0 else {
            return;
        };
        BUFFERS.with_borrow_mut(|(stamp, bytes)| {
            bytes.clear();
            let timestamp = stamp.of(SystemTime::now());
            if target.json {
                write_json(bytes, timestamp, line);
            } else {
                write_plain(bytes, timestamp, line);
            }
            bytes.push(b'\n');
            target.writer.line(bytes);
        });
    }
}

// Nothing that is written below fails: the target is memory, the keys of JSON are strings.

fn write_json(bytes: &mut Vec<u8>, timestamp: &str, line: &AccessLine<'_>) {
    let _ = write!(
        bytes,
        "{{\"timestamp\":\"{timestamp}\",\"level\":\"INFO\",\"target\":\"access\","
    );
    let start = bytes.len();
    let _ = serde_json::to_writer(&mut *bytes, line);
    // The object's own brace was written above.
    bytes.remove(start);
}

fn write_plain(bytes: &mut Vec<u8>, timestamp: &str, line: &AccessLine<'_>) {
    let status = line.status.unwrap_or_default();
    let _ = write!(
        bytes,
        "{timestamp}  INFO access: {} {} {status} {:?} in={} out={} client={} id={}",
        line.method.escape_debug(),
        line.path.escape_debug(),
        line.duration,
        line.bytes_in,
        line.bytes_out,
        line.client,
        line.id.escape_debug(),
    );
    if !line.app.is_empty() {
        let _ = write!(bytes, " app={}", line.app);
    }
    if !line.function.is_empty() {
        let _ = write!(bytes, " function={}", line.function);
    }
    if let Some(problem) = line.problem {
        let _ = write!(bytes, " problem={problem}");
    }
    if let Some(limit) = line.limit {
        let _ = write!(bytes, " limit={limit}");
    }
    if let Some(detail) = line.detail {
        let _ = write!(bytes, " detail=\"{}\"", detail.escape_debug());
    }
    if line.aborted {
        bytes.extend_from_slice(b" aborted");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(json: bool, line: &AccessLine<'_>) -> String {
        let sink = Sink::default();
        let (writer, guard) = LogWriter::start(sink.clone(), 1 << 16, |_| String::new()).unwrap();
        AccessLog::new(writer, json).write(line);
        drop(guard);
        let bytes = sink.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).unwrap()
    }

    fn line() -> AccessLine<'static> {
        AccessLine {
            id: "an-id",
            client: IpAddr::from([127, 0, 0, 1]),
            method: "GET",
            path: "/a\"b\u{1b}",
            protocol: "HTTP/1.1",
            route: "/{x}",
            app: "app",
            function: "function",
            status: Some(200),
            bytes_in: 1,
            bytes_out: 2,
            duration: Duration::from_micros(1500),
            first_byte: Some(Duration::from_micros(250)),
            problem: None,
            limit: None,
            detail: None,
            aborted: false,
        }
    }

    #[test]
    fn a_line_is_one_object() {
        let text = written(true, &line());
        assert_eq!(text.matches('\n').count(), 1);
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let timestamp = json.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert_eq!(timestamp.as_str().unwrap().len(), 24);
        assert_eq!(
            json,
            serde_json::json!({
                "level": "INFO", "target": "access", "id": "an-id", "client": "127.0.0.1",
                "method": "GET", "path": "/a\"b\u{1b}", "protocol": "HTTP/1.1", "route": "/{x}",
                "app": "app", "function": "function", "status": 200, "bytes_in": 1,
                "bytes_out": 2, "duration_ms": 1.5, "first_byte_ms": 0.25, "aborted": false,
            })
        );
    }

    #[test]
    fn people_get_a_line_without_control_characters() {
        let text = written(
            false,
            &AccessLine {
                problem: Some("limit"),
                limit: Some("wall"),
                aborted: true,
                ..line()
            },
        );
        assert!(
            text.ends_with(
                "  INFO access: GET /a\\\"b\\u{1b} 200 1.5ms in=1 out=2 client=127.0.0.1 id=an-id app=app function=function problem=limit limit=wall aborted\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_log_that_is_off_takes_lines_too() {
        AccessLog::off().write(&line());
    }
}
