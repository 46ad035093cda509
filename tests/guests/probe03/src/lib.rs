//! A guest over WASI 0.3 that does what the path says ([`Probe`]) and shows what it sees.

mod answer;
mod blobs;
mod outgoing;
mod output;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guest_behaviour::{Pattern, Probe, attacks, case_name};
use guest_capabilities::{config, log};
use serde_json::json;
use wasip3::cli::{environment, stderr, stdout};
use wasip3::clocks::{monotonic_clock, system_clock};
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wasip3::{spawn_local, wit_future};

struct Guest03;

wasip3::http::service::export!(Guest03);

/// Outlives a request only if the instance does.
static COUNT: AtomicU64 = AtomicU64::new(0);

impl wasip3::exports::http::handler::Guest for Guest03 {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        match Probe::new(&target) {
            Ok(probe) => serve(request, probe).await,
            Err(problem) => answer::text(400, &format!("{problem}\n")),
        }
    }
}

async fn serve(request: Request, probe: Probe) -> Result<Response, ErrorCode> {
    match probe {
        Probe::Echo => echo(request),
        Probe::Headers => headers(&request),
        Probe::Status(status) => answer::empty(status),
        Probe::Bytes { count, declared } => bytes(count, declared),
        Probe::Sleep(time) => {
            monotonic_clock::wait_for(nanoseconds(time)).await;
            done()
        }
        Probe::Spin(time) => {
            let end = monotonic_clock::now().saturating_add(nanoseconds(time));
            while monotonic_clock::now() < end {
                attacks::spin_a_little();
            }
            done()
        }
        Probe::Work(rounds) => {
            attacks::compute(rounds);
            done()
        }
        Probe::Env => {
            let all: BTreeMap<_, _> = environment::get_environment().into_iter().collect();
            answer::json(&json!(all))
        }
        Probe::Config(key) => match config(key.as_deref()) {
            Ok(value) => answer::json(&value),
            Err(error) => answer::text(502, &error),
        },
        Probe::Log(lines) => {
            (0..lines).for_each(|line| log(line, "probe", &format!("log line {line}")));
            done()
        }
        Probe::Stdout(count) => output::lines(stdout::write_via_stream, "stdout", count).await,
        Probe::Stderr(count) => output::lines(stderr::write_via_stream, "stderr", count).await,
        Probe::Fetch(url) => outgoing::fetch(request, &url).await,
        Probe::Blob(operation) => blobs::serve(request, operation).await,
        Probe::Count => {
            let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
            answer::text(200, &format!("{count}\n"))
        }
        Probe::Random => {
            let bytes = wasip3::random::random::get_random_bytes(32);
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            answer::text(200, &format!("{digits}\n"))
        }
        Probe::Clock => {
            let wall = system_clock::now();
            let wall = i128::from(wall.seconds) * 1_000_000_000 + i128::from(wall.nanoseconds);
            answer::json(&json!({
                "monotonic": monotonic_clock::now(),
                "wall": u64::try_from(wall).unwrap_or(u64::MAX),
            }))
        }
    }
}

fn done() -> Result<Response, ErrorCode> {
    answer::text(200, "done\n")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn bytes(count: u64, declared: bool) -> Result<Response, ErrorCode> {
    let length = count.to_string();
    let fields = [
        ("content-type", "application/octet-stream"),
        ("content-length", &length),
    ];
    let fields = if declared { &fields[..] } else { &fields[..1] };
    let (response, mut body) = answer::begin(200, answer::fields(fields)?)?;
    spawn_local(async move {
        for piece in Pattern::new(count) {
            // What is left over belongs to a client that went away.
            if !body.stream.write_all(piece).await.is_empty() {
                return;
            }
        }
        body.finish(Ok(None)).await;
    });
    Ok(response)
}

fn echo(request: Request) -> Result<Response, ErrorCode> {
    let headers = Fields::new();
    answer::copy(&request.get_headers(), &headers, &["content-type"])?;
    let (received, result) = wit_future::new(|| Ok(()));
    drop(received);
    let (mut incoming, trailers) = Request::consume_body(request, result);
    let (response, mut body) = answer::begin(200, headers)?;
    spawn_local(async move {
        while let Some(piece) = answer::next(&mut incoming).await {
            if !body.stream.write_all(piece).await.is_empty() {
                return;
            }
        }
        body.finish(trailers.await).await;
    });
    Ok(response)
}

fn headers(request: &Request) -> Result<Response, ErrorCode> {
    let method = match request.get_method() {
        Method::Other(name) => name,
        method => case_name(&format!("{method:?}")).to_uppercase(),
    };
    let scheme = request.get_scheme().map(|scheme| match scheme {
        Scheme::Http => "http".to_owned(),
        Scheme::Https => "https".to_owned(),
        Scheme::Other(name) => name,
    });
    let fields: Vec<_> = request
        .get_headers()
        .copy_all()
        .into_iter()
        .map(|(name, value)| json!([name, String::from_utf8_lossy(&value)]))
        .collect();
    answer::json(&json!({
        "method": method,
        "scheme": scheme,
        "authority": request.get_authority(),
        "target": request.get_path_with_query(),
        "fields": fields,
    }))
}
