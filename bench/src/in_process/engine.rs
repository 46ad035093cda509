//! The measuring itself, with the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use strand_compiler::{ChildLimits, Compiler, CompilerConfig, load_or_create_key};
use strand_engine::{
    Answer, Body, Call, CallLimits, Callees, Capability, CommandLine, Dispatch, Engine, Function,
    FunctionId, FunctionSpec, Limits, Problem, RequestId, Reuse, Settings, Weights, World,
};

use super::{InProcess, Times};
use crate::setup::Setup;
use crate::stats::percentile;

/// The server's.
#[global_allocator]
static ALLOCATOR: strand_engine::Allocator = strand_engine::Allocator;

/// Instances, and calls, before the ones that are measured.
const WARM_UP: usize = 2_000;
/// Instances, and calls, that are measured.
const MEASURED: usize = 20_000;
/// How long an instance may take to be gone when its answer has been read.
const TEARDOWN: Duration = Duration::from_secs(5);
/// The verb of the server that compiles, and what that may use.
const COMPILE: &str = "compile-child";
const LIMITS: ChildLimits = ChildLimits {
    memory: 2 << 30,
    cpu_seconds: 120,
};

/// Measures some guests, one after the other.
pub(crate) async fn measure(setup: &Setup, guests: &[&'static str]) -> Result<Vec<InProcess>> {
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
            cache_size: 1 << 30,
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
        let exports = loaded.component.interfaces().exports;
        let worlds = World::among(exports.iter().map(String::as_str));
        let world = *worlds.first().context("it is of no world")?;
        let source = Arc::new(loaded.component);
        let function = Arc::new(Function::new(&engine, source, spec(guest, world)?));
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
) -> Result<InProcess> {
    Ok(InProcess {
        guest,
        isolation: "an instance each",
        measured: MEASURED,
        instantiation: times(async || instantiate(function).await).await?,
        call: times(async || call(engine, function).await).await?,
    })
}

/// Does it again and again, and tells how long it takes.
async fn times(mut it: impl AsyncFnMut() -> Result<()>) -> Result<Times> {
    for _ in 0..WARM_UP {
        it().await?;
    }
    let mut times = Vec::with_capacity(MEASURED);
    for _ in 0..MEASURED {
        let begun = Instant::now();
        it().await?;
        times.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    times.sort_unstable();
    let microseconds = |share| {
        percentile(&times, share)
            .map(|nanoseconds| nanoseconds as f64 / 1000.0)
            .context("nothing was measured")
    };
    Ok(Times {
        p50_us: microseconds(0.5)?,
        p99_us: microseconds(0.99)?,
    })
}

async fn instantiate(function: &Arc<Function>) -> Result<()> {
    let done = function.instantiate_once().await;
    done.map_err(|problem| anyhow!("{problem}"))
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
            limits: CallLimits::default(),
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

fn spec(guest: &str, world: World) -> Result<FunctionSpec> {
    Ok(FunctionSpec {
        id: FunctionId {
            app: "bench".into(),
            function: guest.into(),
        },
        world,
        limits: Limits::default(),
        reuse: Reuse::default(),
        weights: Weights::default(),
        capabilities: capabilities()?,
        callees: Callees {
            granted: BTreeSet::new(),
            dispatch: Weak::<Nobody>::new(),
        },
    })
}

/// What a node gives every function, whatever it is granted.
fn capabilities() -> Result<Vec<Arc<dyn Capability>>> {
    let nothing = strand_config::Grant {
        config: BTreeMap::new(),
        env: BTreeMap::new(),
    };
    let config = strand_config::Values::new(&strand_config::Config::default(), nothing)?;
    let logging = strand_logging::Logging::new(&strand_logging::Config::default());
    Ok(vec![Arc::new(config), Arc::new(logging)])
}

/// There is no other function to call, and none is granted.
struct Nobody;

impl Dispatch for Nobody {
    fn dispatch(&self, _call: Call) -> Answer<'_> {
        Box::pin(async { Err(Problem::host_fault("there is no other function")) })
    }
}
