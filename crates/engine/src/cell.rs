//! A cell: a store with one instance's limits and grants, and how its run ends.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTableError;
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi_http::FieldMapError;

use crate::config::GUEST_STACK;
use crate::ctx::{CallInfo, Ctx, CtxBuilder};
use crate::function::Function;
use crate::limits::{Limiter, format_bytes};
use crate::link::Linked;
use crate::meter::{Meter, Turn};
use crate::outgoing::HttpHooks;
use crate::problem::{Limit, Problem, shortened};

/// The guest was stopped because its CPU time was used up.
#[derive(Debug, thiserror::Error)]
#[error("CPU time used up")]
struct CpuUsedUp;

/// Bytes of a failure's cause that are logged.
const CAUSE: usize = 4 << 10;

/// Makes a store for one instance.
///
/// # Errors
/// When the node has as many as it may.
pub(crate) fn new_store(
    function: &Function,
    code: &Linked,
    info: &CallInfo,
    meter: &Arc<Meter>,
    prepare: impl FnOnce(&mut CtxBuilder),
) -> Result<Store<Ctx>, Problem> {
    let live = function.count_instance(code.places())?;
    let limits = function.limits();
    let mut builder = CtxBuilder::new(info.clone());
    for capability in function.capabilities() {
        capability.attach(&mut builder);
    }
    prepare(&mut builder);
    let hooks = HttpHooks {
        call: info.clone(),
        callees: function.callees().clone(),
        call_depth: limits.call_depth,
        outgoing: builder.outgoing.take(),
    };
    let limiter = Limiter::new(limits, function.budget());
    let ctx = Ctx::new(builder, hooks, limiter, Arc::clone(meter), limits, live);
    let mut store = Store::new(&function.engine().wasm, ctx);
    store.limiter(|ctx| &mut ctx.limiter);
    store.set_hostcall_fuel(limits.host_buffers);
    store.set_max_component_handles(limits.handles);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| match store.data().meter.on_tick() {
        Turn::GoOn => Ok(UpdateDeadline::Continue(1)),
        // Not the plain `Yield`: that one may be polled again at once.
        Turn::Yield => Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        )),
        Turn::Stop => Err(CpuUsedUp.into()),
    });
    Ok(store)
}

/// How a guest's run failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Its time was over.
    Wall,
    /// It trapped, or a host function ended it.
    Guest(wasmtime::Error),
}

/// Runs a guest's future under its meter until its deadline. It is pinned by the caller: each
/// future that another one takes in by value is copied, and this one is large.
pub(crate) async fn run<T>(
    function: &Function,
    meter: &Meter,
    deadline: Instant,
    guest: impl Future<Output = wasmtime::Result<T>> + Unpin,
) -> Result<T, Failure> {
    let guest = meter.drive(&function.engine().ticker, guest);
    match tokio::time::timeout_at(deadline.into(), guest).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Guest(error)),
        Err(_elapsed) => Err(Failure::Wall),
    }
}

/// Says what a failure was, to the caller; the cause goes to the log.
pub(crate) fn problem_of(failure: Failure, function: &Function, ctx: &Ctx) -> Problem {
    let problem = match &failure {
        Failure::Wall => wall_problem(ctx.call().wall),
        Failure::Guest(error) => guest_problem(error, function, ctx),
    };
    let cause = match &failure {
        Failure::Wall => String::new(),
        // It has the names of the guest's own functions in it, as long as they are.
        Failure::Guest(error) => shortened(format!("{error:?}"), CAUSE),
    };
    tracing::warn!(
        app = %function.id().app,
        function = %function.id().function,
        request = %ctx.call().id,
        cpu_ms = ctx.meter.used().as_millis() as u64,
        memory = ctx.limiter.memory_in_use(),
        cause,
        "{problem}",
    );
    problem
}

pub(crate) fn wall_problem(wall: Duration) -> Problem {
    let value = format!("{wall:?}");
    let detail = format!("the function may take {value} from admission to the end of its answer");
    Problem::limit(Limit::Wall, value, detail)
}

fn guest_problem(error: &wasmtime::Error, function: &Function, ctx: &Ctx) -> Problem {
    let limits = function.limits();
    if error.downcast_ref::<CpuUsedUp>().is_some() {
        let value = format!("{:?}", limits.cpu);
        let detail = format!("the function may use {value} of CPU time");
        return Problem::limit(Limit::Cpu, value, detail);
    }
    if error
        .downcast_ref::<wasmtime::PoolConcurrencyLimitError>()
        .is_some()
    {
        return function.engine().no_more_instances();
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        let value = format_bytes(GUEST_STACK as u64);
        let detail = format!("the function's stack may grow to {value}");
        return Problem::limit(Limit::Stack, value, detail);
    }
    let text = format!("{error:#}");
    let table_full = matches!(
        error.downcast_ref::<ResourceTableError>(),
        Some(ResourceTableError::Full)
    );
    // Wasmtime has no types for these two; a test of ours runs into both.
    if table_full
        || text.contains("store handle limit exceeded")
        || text.contains("resource table has no free keys")
    {
        let detail = format!("the function may hold {} handles", limits.handles);
        return Problem::limit(Limit::Handles, limits.handles, detail);
    }
    if let Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields) =
        error.downcast_ref::<FieldMapError>()
    {
        let value = format_bytes(limits.headers as u64);
        let detail = format!("a set of header fields that the function makes may take {value}");
        return Problem::limit(Limit::Buffers, value, detail);
    }
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        let value = format_bytes(limits.host_buffers as u64);
        let detail = format!("the function may hand over {value} in one call of the host");
        return Problem::limit(Limit::Buffers, value, detail);
    }
    if let Some(problem) = ctx.limiter.refusal() {
        return problem;
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => Problem::guest_fault(format!("the function trapped: {trap}")),
        None => Problem::guest_fault("the function failed"),
    }
}
