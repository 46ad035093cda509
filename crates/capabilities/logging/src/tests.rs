//! Lines as a subscriber of `tracing` sees them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use strand_engine::{CallInfo, FunctionId, RequestId};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use wasmtime_wasi::cli::StdoutStream as _;

use crate::bindings::wasi::logging::logging::{Host as _, Level};
use crate::lines::Output;
use crate::rate::Rate;
use crate::session::{Session, Stdio};
use crate::{Config, TARGET, View};

/// The fields of one event.
type Event = BTreeMap<&'static str, String>;

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

struct Fields<'a>(&'a mut Event);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        assert_eq!(event.metadata().target(), TARGET);
        let mut fields = Event::new();
        event.record(&mut Fields(&mut fields));
        fields.insert("severity", event.metadata().level().to_string());
        self.0.lock().expect("not poisoned").push(fields);
    }
}

/// The events of `run`.
fn events(run: impl FnOnce()) -> Vec<Event> {
    let events = Events::default();
    let subscriber = tracing_subscriber::registry().with(events.clone());
    tracing::subscriber::with_default(subscriber, run);
    let events = events.0.lock().expect("not poisoned");
    events.clone()
}

fn messages(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| &*event["message"]).collect()
}

fn session(config: &Config, request: &str) -> Arc<Session> {
    let rate = Arc::new(Rate::new(config.rate, config.burst));
    let call = CallInfo {
        function: FunctionId {
            app: "app".into(),
            function: "hello".into(),
        },
        id: RequestId::new(request),
        deadline: Instant::now(),
        wall: Duration::ZERO,
        depth: 0,
    };
    Session::new(config, &rate, &call)
}

fn print(session: &Arc<Session>, stream: Stdio, pieces: &[&str]) {
    let output = Output::new(stream, session);
    // A new stream for each piece, as a guest may ask for one each time.
    for piece in pieces {
        let mut stream = output.p2_stream();
        let permitted = stream.check_write().expect("open");
        assert!(piece.len() <= permitted);
        stream
            .write(Bytes::copy_from_slice(piece.as_bytes()))
            .expect("writes");
    }
}

#[test]
fn lines_are_joined_across_writes_and_the_last_is_not_lost() {
    let events = events(|| {
        let session = session(&Config::default(), "r1");
        print(&session, Stdio::Stderr, &["a", "b\r\nc\n\nd", "e\x1b[0m"]);
    });
    assert_eq!(messages(&events), ["ab", "c", "", "de\\u{1b}[0m"]);
    let first: Vec<_> = events[0].iter().map(|(k, v)| (*k, v.as_str())).collect();
    let expected = [
        ("app", "app"),
        ("context", ""),
        ("function", "hello"),
        ("level", "info"),
        ("message", "ab"),
        ("request", "r1"),
        ("severity", "INFO"),
        ("stream", "stderr"),
    ];
    assert_eq!(first, expected);
}

#[test]
fn log_calls_carry_level_context_and_the_current_request() {
    let events = events(|| {
        let session = session(&Config::default(), "r1");
        for (request, level) in [("r1", Level::Trace), ("r2", Level::Critical)] {
            let mut view = View {
                session: Arc::clone(&session),
                request: RequestId::new(request),
            };
            view.log(level, "pa\nrt".into(), "one\ntwo".into());
        }
    });
    assert_eq!(messages(&events), ["one\\ntwo", "one\\ntwo"]);
    let of = |event: &Event| ["request", "level", "severity", "stream"].map(|f| event[f].clone());
    assert_eq!(of(&events[0]), ["r1", "trace", "TRACE", "log"]);
    assert_eq!(of(&events[1]), ["r2", "critical", "ERROR", "log"]);
    assert_eq!(events[0]["context"], "pa\\nrt");
}

#[test]
fn long_lines_are_cut_and_their_rest_is_not_a_line() {
    let config = Config {
        line: 4,
        ..Config::default()
    };
    let events = events(|| {
        let session = session(&config, "r1");
        print(&session, Stdio::Stdout, &["1234\n123456", "789\n12345"]);
    });
    assert_eq!(messages(&events), ["1234", "1234 …[cut]", "1234 …[cut]"]);
}

#[test]
fn a_flood_loses_lines_and_says_how_many() {
    let config = Config {
        rate: 1,
        burst: 3,
        ..Config::default()
    };
    let events = events(|| {
        let session = session(&config, "r1");
        print(&session, Stdio::Stdout, &["\n".repeat(10_000).as_str()]);
    });
    assert_eq!(events.len(), 4);
    assert_eq!(events[3]["lost"], "9997");
    assert_eq!(events[3]["request"], "r1");
    assert_eq!(
        events[3]["message"],
        "9997 lines were dropped: more than this node takes from one request or function"
    );
}

#[test]
fn a_requests_bytes_are_bounded_and_the_next_request_has_its_own() {
    let config = Config {
        // Two lines of 8 bytes with what an event costs besides.
        request: 80,
        ..Config::default()
    };
    let events = events(|| {
        let session = session(&config, "r1");
        for request in ["r1", "r1", "r1", "r2"] {
            let mut view = View {
                session: Arc::clone(&session),
                request: RequestId::new(request),
            };
            view.log(Level::Info, String::new(), "12345678".into());
        }
    });
    let lines: Vec<_> = events
        .iter()
        .map(|event| (&*event["request"], event.get("lost").map(String::as_str)))
        .collect();
    let expected = [("r1", None), ("r1", None), ("r1", Some("1")), ("r2", None)];
    assert_eq!(lines, expected);
}

/// Writes a line of 8 bytes for each request, and says whose came through and what
/// was told as lost.
fn lines_of<'a>(request: u64, requests: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let config = Config {
        request,
        rate: 1_000_000,
        burst: 1_000_000,
        ..Config::default()
    };
    let events = events(|| {
        let session = session(&config, "r1");
        for request in requests {
            session.log(
                &RequestId::new(request),
                crate::session::Level::Info,
                "",
                "12345678",
            );
        }
    });
    let line = |event: &Event| match event.get("lost") {
        Some(lost) => format!("{} lost {lost}", event["request"]),
        None => event["request"].clone(),
    };
    events.iter().map(line).collect()
}

#[test]
fn requests_in_turns_get_no_new_share() {
    // Two lines, with what an event costs besides.
    let lines = lines_of(80, ["r1", "r2", "r1", "r2", "r1", "r2", "r1"]);
    // The second one's first line gave it a share, the only other one there is.
    assert_eq!(lines, ["r1", "r2", "r1", "r2 lost 4"]);
    let lines = lines_of(80, ["r1", "r1", "r1", "r2", "r1", "r3", "r2", "r2", "r1"]);
    assert_eq!(
        lines,
        ["r1", "r1", "r1 lost 1", "r2", "r1", "r3", "r2", "r3 lost 2"]
    );
}

#[test]
fn requests_that_are_told_apart_are_bounded() {
    let ids: Vec<String> = (0..1025).map(|number| format!("n{number}")).collect();
    let ids = || ids.iter().map(String::as_str);
    // One line each; with the first of all forgotten, the first of these is known.
    let known = ids().take(1023).chain(["r1", "n0"]);
    let lines = lines_of(40, known);
    assert_eq!(lines.len(), 1024);
    assert_eq!(lines[1023], "n1022 lost 2");
    // A request that was long ago is a new one.
    let again = ids().chain(["n1", "n0"]);
    let lines = lines_of(40, again);
    assert_eq!(lines.len(), 1027);
    assert_eq!(lines[1025..], ["n1024 lost 1", "n0"]);
}

#[test]
fn both_streams_keep_their_lines_apart() {
    let events = events(|| {
        let session = session(&Config::default(), "r1");
        print(&session, Stdio::Stdout, &["out"]);
        print(&session, Stdio::Stderr, &["err\nor"]);
        print(&session, Stdio::Stdout, &["put\nlast"]);
    });
    assert_eq!(messages(&events), ["err", "output", "last", "or"]);
}

#[test]
fn a_stream_of_wasi_0_3_never_waits() {
    let events = events(|| {
        let session = session(&Config::default(), "r1");
        let output = Output::new(Stdio::Stdout, &session);
        let mut stream = Box::into_pin(output.async_stream());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let large = vec![b'x'; 1 << 20];
        let std::task::Poll::Ready(Ok(taken)) = stream.as_mut().poll_write(&mut cx, &large) else {
            panic!("a write that waits or fails");
        };
        assert!(taken > 0 && taken <= 64 << 10);
    });
    assert_eq!(events.len(), 1);
}
