//! Calls of a function in this process, without HTTP: what the engine alone costs.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use serde::Serialize;
use strand_compiler::{ChildLimits, Compiler, CompilerConfig, load_or_create_key};
use strand_engine::{
    Answer, Body, Call, Callees, CommandLine, Dispatch, Engine, Function, FunctionId, FunctionSpec,
    Limits, Problem, RequestId, Reuse, Settings,
};

use crate::setup::Setup;
use crate::stats::percentile;

/// Calls before the ones that are measured.
const WARM_UP: usize = 2_000;
/// Calls that are measured.
const CALLS: usize = 20_000;
/// How long an instance may take to be gone when its answer has been read.
const TEARDOWN: Duration = Duration::from_secs(5);
/// The verb of the server that compiles, and what that may use.
const COMPILE: &str = "compile-child";
const LIMITS: ChildLimits = ChildLimits {
    memory: 2 << 30,
    cpu_seconds: 120,
};

/// A whole call: admission, a store, an instance, the guest, its answer read to the end, and all
/// of it torn down again.
#[derive(Debug, Serialize)]
pub(crate) struct Calls {
    pub(crate) guest: &'static str,
    pub(crate) isolation: &'static str,
    pub(crate) calls: usize,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Measures calls of some guests, each with an instance of its own.
pub(crate) async fn measure(setup: &Setup, guests: &[&'static str]) -> Result<Vec<Calls>> {
    let engine = Engine::new(&Settings::default())?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let compiler = Compiler::new(
        CompilerConfig {
            child: (
                setup.strand.clone(),
                vec![
                    COMPILE.into(),
                    LIMITS.memory.to_string().into(),
                    LIMITS.cpu_seconds.to_string().into(),
                ],
            ),
            limits: LIMITS,
            wall: Duration::from_secs(180),
            source: 256 << 20,
            code: 1 << 30,
            children: 1,
            cache: folder.path().join("artifacts"),
        },
        load_or_create_key(folder.path())?,
    )?;
    let mut all = Vec::new();
    for guest in guests {
        let wasm = fs::read(setup.guest(guest)?).with_context(|| format!("reading {guest}"))?;
        let loaded = compiler
            .load(&engine, &wasm)
            .await
            .with_context(|| format!("compiling {guest}"))?;
        let function = Arc::new(Function::new(&engine, &loaded.component, spec(guest))?);
        all.push(
            measure_function(&engine, &function, guest)
                .await
                .with_context(|| format!("calling {guest}"))?,
        );
    }
    Ok(all)
}

async fn measure_function(
    engine: &Engine,
    function: &Arc<Function>,
    guest: &'static str,
) -> Result<Calls> {
    for _ in 0..WARM_UP {
        call(engine, function).await?;
    }
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        call(engine, function).await?;
        times.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    times.sort_unstable();
    let microseconds = |share| {
        percentile(&times, share)
            .map(|nanoseconds| nanoseconds as f64 / 1000.0)
            .context("no calls")
    };
    Ok(Calls {
        guest,
        isolation: "an instance per call",
        calls: CALLS,
        p50_us: microseconds(0.5)?,
        p99_us: microseconds(0.99)?,
    })
}

async fn call(engine: &Engine, function: &Arc<Function>) -> Result<()> {
    let request = Request::get("http://127.0.0.1/").body(no_body())?;
    let answer = function
        .call(Call {
            function: function.id().clone(),
            request,
            command: CommandLine::default(),
            id: RequestId::new("bench"),
            deadline: None,
            depth: 0,
        })
        .await
        .map_err(|problem| anyhow!("{problem}"))?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    if status != 200 || body.is_empty() {
        bail!(
            "the answer has the status {status} and {} bytes",
            body.len()
        );
    }
    // The guest ends after its answer. Its task is on this very thread: yielding is what lets it.
    let begun = Instant::now();
    while engine.live_instances() > 0 {
        if begun.elapsed() > TEARDOWN {
            bail!("its instance was still there {TEARDOWN:?} after its answer");
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn no_body() -> Body {
    Empty::<Bytes>::new()
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn spec(guest: &str) -> FunctionSpec {
    FunctionSpec {
        id: FunctionId {
            app: "bench".into(),
            function: guest.into(),
        },
        world: None,
        limits: Limits::default(),
        reuse: Reuse::default(),
        capabilities: Vec::new(),
        callees: Callees {
            granted: BTreeSet::new(),
            dispatch: Weak::<Nobody>::new(),
        },
    }
}

/// There is no other function to call, and none is granted.
struct Nobody;

impl Dispatch for Nobody {
    fn dispatch(&self, _call: Call) -> Answer<'_> {
        Box::pin(async { Err(Problem::host_fault("there is no other function")) })
    }
}
