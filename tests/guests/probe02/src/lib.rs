//! A guest over WASI 0.2 that does what the path says ([`Probe`]) and shows what it sees.

mod answer;
mod blobs;
mod outgoing;
mod relay;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guest_behaviour::{Pattern, Probe, attacks, case_name};
use guest_capabilities::{config, log};
use serde_json::json;
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam, Scheme};

use answer::Broken;
use relay::Relay;

struct Guest02;

wasip2::http::proxy::export!(Guest02);

/// Outlives a request only if the instance does.
static COUNT: AtomicU64 = AtomicU64::new(0);

impl Guest for Guest02 {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if let Err(broken) = serve(request, out) {
            eprintln!("probe02: {broken}");
        }
    }
}

fn serve(request: IncomingRequest, out: ResponseOutparam) -> Result<(), Broken> {
    let target = request.path_with_query().unwrap_or_default();
    let probe = match Probe::new(&target) {
        Ok(probe) => probe,
        Err(problem) => return answer::text(out, 400, &format!("{problem}\n")),
    };
    match probe {
        Probe::Echo => echo(&request, out),
        Probe::Headers => headers(&request, out),
        Probe::Status(status) => answer::begin(out, status, &[])?.finish(None),
        Probe::Bytes { count, declared } => bytes(out, count, declared),
        Probe::Sleep(time) => {
            monotonic_clock::subscribe_duration(nanoseconds(time)).block();
            done(out)
        }
        Probe::Spin(time) => {
            let end = monotonic_clock::now().saturating_add(nanoseconds(time));
            while monotonic_clock::now() < end {
                attacks::spin_a_little();
            }
            done(out)
        }
        Probe::Work(rounds) => {
            attacks::compute(rounds);
            done(out)
        }
        Probe::Env => {
            let all: BTreeMap<_, _> = std::env::vars().collect();
            answer::json(out, &json!(all))
        }
        Probe::Config(key) => match config(key.as_deref()) {
            Ok(value) => answer::json(out, &value),
            Err(error) => answer::text(out, 502, &error),
        },
        Probe::Log(lines) => {
            (0..lines).for_each(|line| log(line, "probe", &format!("log line {line}")));
            done(out)
        }
        Probe::Stdout(lines) => {
            (0..lines).for_each(|line| println!("stdout line {line}"));
            done(out)
        }
        Probe::Stderr(lines) => {
            (0..lines).for_each(|line| eprintln!("stderr line {line}"));
            done(out)
        }
        Probe::Fetch(url) => outgoing::fetch(&request, &url, out),
        Probe::Blob(operation) => blobs::serve(&request, &operation, out),
        Probe::Count => {
            let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
            answer::text(out, 200, &format!("{count}\n"))
        }
        Probe::Random => {
            let bytes = wasip2::random::random::get_random_bytes(32);
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            answer::text(out, 200, &format!("{digits}\n"))
        }
        Probe::Clock => {
            let wall = wall_clock::now();
            let wall = u128::from(wall.seconds) * 1_000_000_000 + u128::from(wall.nanoseconds);
            let clocks = json!({
                "monotonic": monotonic_clock::now(),
                "wall": u64::try_from(wall).unwrap_or(u64::MAX),
            });
            answer::json(out, &clocks)
        }
    }
}

fn done(out: ResponseOutparam) -> Result<(), Broken> {
    answer::text(out, 200, "done\n")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn bytes(out: ResponseOutparam, count: u64, declared: bool) -> Result<(), Broken> {
    let length = count.to_string();
    let fields = [
        ("content-type", "application/octet-stream"),
        ("content-length", &length),
    ];
    let fields = if declared { &fields[..] } else { &fields[..1] };
    let body = answer::begin(out, 200, fields)?;
    for piece in Pattern::new(count) {
        body.write(&piece)?;
    }
    body.finish(None)
}

fn echo(request: &IncomingRequest, out: ResponseOutparam) -> Result<(), Broken> {
    let incoming = request
        .consume()
        .map_err(|()| Broken::new("the body is taken"))?;
    let content_type = request.headers().get("content-type");
    let headers = wasip2::http::types::Fields::new();
    headers.set("content-type", &content_type)?;
    let body = answer::begin_with(out, 200, headers)?;
    let trailers = Relay::new(incoming)?.run(body.stream())?;
    body.finish(trailers)
}

fn headers(request: &IncomingRequest, out: ResponseOutparam) -> Result<(), Broken> {
    let method = match request.method() {
        Method::Other(name) => name,
        method => case_name(&format!("{method:?}")).to_uppercase(),
    };
    let scheme = request.scheme().map(|scheme| match scheme {
        Scheme::Http => "http".to_owned(),
        Scheme::Https => "https".to_owned(),
        Scheme::Other(name) => name,
    });
    let fields: Vec<_> = request
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| json!([name, String::from_utf8_lossy(&value)]))
        .collect();
    let all = json!({
        "method": method,
        "scheme": scheme,
        "authority": request.authority(),
        "target": request.path_with_query(),
        "fields": fields,
    });
    answer::json(out, &all)
}
