//! Lines as a subscriber of `tracing` sees them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use strand_engine::{CallInfo, FunctionId, RequestId};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use wasmtime_wasi::cli::StdoutStream as _;

use crate::bindings::wasi::logging::logging::{Host as _, Level};
use crate::lines::Stdio;
use crate::rate::Rate;
use crate::session::{Session, Stream};
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
        depth: 0,
    };
    Session::new(config, &rate, &call)
}

fn print(session: &Arc<Session>, stream: Stream, pieces: &[&str]) {
    let stdio = Stdio::new(stream, session);
    // A new stream for each piece, as a guest may ask for one each time.
    for piece in pieces {
        let mut stream = stdio.p2_stream();
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
        print(&session, Stream::Stderr, &["a", "b\r\nc\n\nd", "e\x1b[0m"]);
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
        print(&session, Stream::Stdout, &["1234\n123456", "789\n12345"]);
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
        print(&session, Stream::Stdout, &["\n".repeat(10_000).as_str()]);
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

#[test]
fn a_stream_of_wasi_0_3_never_waits() {
    let events = events(|| {
        let session = session(&Config::default(), "r1");
        let stdio = Stdio::new(Stream::Stdout, &session);
        let mut stream = Box::into_pin(stdio.async_stream());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let large = vec![b'x'; 1 << 20];
        let std::task::Poll::Ready(Ok(taken)) = stream.as_mut().poll_write(&mut cx, &large) else {
            panic!("a write that waits or fails");
        };
        assert!(taken > 0 && taken <= 64 << 10);
    });
    assert_eq!(events.len(), 1);
}
