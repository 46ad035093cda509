//! `wasi:http/handler@0.3`: an instance may serve several requests, in all and
//! at once.
//!
//! Each instance is driven by one task. Requests reach it through its inbox;
//! their answers' bodies are produced by the same task while the connections'
//! tasks send them. A fault, or the end of the time of a request that the guest has
//! not answered, ends the instance and all its requests.

mod instance;
mod open;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, Uri, header};
use tokio::sync::oneshot;
use wasmtime::component::{Accessor, InstancePre};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p3;
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};

use crate::admission::Permit;
use crate::call::Body;
use crate::cell::{Failure, new_store, problem_of};
use crate::ctx::{CallInfo, Ctx};
use crate::function::{Function, Job, Reuse};
use crate::link::Linked;
use crate::meter::Meter;
use crate::outcome::{AbortOnDrop, AnswerBody};
use crate::problem::Problem;

use instance::{Accepted, Clock, Instance, Seat, Taken};
use open::Open;

/// How long an instance waits for its next request.
const IDLE: Duration = Duration::from_secs(10);

/// What is kept per function.
pub(crate) struct Handler {
    pre: ServicePre<Ctx>,
    open: Open,
}

impl Handler {
    pub(crate) fn new(pre: ServicePre<Ctx>) -> Self {
        Self {
            pre,
            open: Open::default(),
        }
    }

    pub(crate) fn instance_pre(&self) -> &InstancePre<Ctx> {
        self.pre.instance_pre()
    }

    /// Instances that only wait for their next request.
    pub(crate) fn waiting(&self) -> usize {
        self.open.waiting()
    }

    /// Has those end that only wait for their next request.
    pub(crate) fn dismiss(&self) {
        self.open.dismiss();
    }
}

pub(crate) async fn call(function: &Arc<Function>, job: Job) -> Result<Response<Body>, Problem> {
    let code = job.code;
    let Some(handler) = code.http03() else {
        return Err(Problem::host_fault("the function is of another world"));
    };
    let reuse = function.reuse();
    let outcome = job.outcome;
    let is_head = job.request.method() == Method::HEAD;
    let (head, mut answer) = oneshot::channel();
    // Boxed: it may be handed on, and back.
    let request = Box::new(Accepted {
        request: job.request,
        info: job.info,
        head,
        outcome: Arc::downgrade(&outcome),
        permit: job.permit,
    });
    let seat = if reuse.requests == 1 {
        start(function, &code, handler, reuse, *request)
    } else {
        handler
            .open
            .seat(request)
            .unwrap_or_else(|request| start(function, &code, handler, reuse, *request))
    };
    // An instance that serves others, too, goes on: its guest hears that nobody takes
    // the answer any more.
    let task = AbortOnDrop(seat.abort_handle().filter(|_| reuse.requests == 1));
    let head = tokio::select! {
        // As in the other worlds: what has begun first.
        biased;
        head = &mut answer => head,
        problem = outcome.failed() => return Err(problem),
    };
    match head {
        Ok(Ok(response)) => Ok(AnswerBody::around(response, is_head, outcome, task, seat)),
        Ok(Err(error)) => Err(Problem::guest_fault(format!(
            "the function answered with an error: {error}"
        ))),
        Err(_dropped) => Err(outcome
            .problem()
            .unwrap_or_else(|| Problem::host_fault("the host failed during this call"))),
    }
}

/// Starts an instance with its first request.
fn start(
    function: &Arc<Function>,
    code: &Arc<Linked>,
    handler: &Handler,
    reuse: Reuse,
    first: Accepted,
) -> Seat {
    let info = first.info.clone();
    let cpu = function.limits().cpu;
    let meter = if reuse.requests == 1 {
        Meter::new(cpu)
    } else {
        Meter::for_several(cpu)
    };
    let (instance, seat) = Instance::new(reuse, Arc::clone(&meter), first);
    if instance.is_open() {
        handler.open.add(Arc::clone(&instance));
    }
    let working = work(
        Arc::clone(function),
        Arc::clone(code),
        Arc::clone(&instance),
        Arc::clone(&meter),
        info,
    );
    let clock = Arc::clone(&instance);
    let task = function.spawn(meter, clock, working);
    instance.set_abort_handle(task.abort_handle());
    seat
}

/// Sees to it that the end of an instance reaches its callers, whatever it is.
struct Farewell<'a> {
    handler: &'a Handler,
    instance: &'a Arc<Instance>,
    problem: Option<Problem>,
    /// Where the places of its requests go.
    permits: &'a mut Vec<Permit>,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.handler.open.remove(self.instance);
        self.permits.extend(self.instance.end(self.problem.take()));
    }
}

/// An instance's life.
async fn work(
    function: Arc<Function>,
    code: Arc<Linked>,
    instance: Arc<Instance>,
    meter: Arc<Meter>,
    info: CallInfo,
) {
    let Some(handler) = code.http03() else {
        return;
    };
    // Given back when the instance is gone, whose place and memory the next calls want.
    let mut permits = Vec::new();
    let mut store = None;
    // Dropped before the store is: on a panic, or when nobody wants it any more, this
    // is what is told.
    let mut farewell = Farewell {
        handler,
        instance: &instance,
        problem: Some(Problem::host_fault("the host failed during this call")),
        permits: &mut permits,
    };
    let store = match new_store(&function, &code, &info, &meter, |_| ()) {
        Ok(made) => store.insert(made),
        Err(problem) => {
            farewell.problem = Some(problem);
            return;
        }
    };
    // The call whose time was over, if that was the end.
    let mut late = None;
    let result = {
        let guest = async {
            let service = handler.pre.instantiate_async(&mut *store).await?;
            store
                .run_concurrent(async |accessor| serve(accessor, &service, &instance).await)
                .await?
        };
        let mut guest = pin!(meter.drive(&function.engine().ticker, guest));
        let mut timer = pin!(tokio::time::sleep_until(info.deadline.into()));
        // Outside of the guest's future, because a busy guest blocks all inside.
        std::future::poll_fn(|cx| {
            if let Poll::Ready(result) = guest.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(Failure::Guest));
            }
            loop {
                let end = match instance.look_at_clock(Instant::now()) {
                    Clock::Over(call) => {
                        late = Some(call);
                        return Poll::Ready(Err(Failure::Wall));
                    }
                    Clock::Forgotten => return Poll::Ready(Ok(())),
                    Clock::Until(end) => end,
                };
                // Moved only if it would be late: to be early once costs less than to be moved for
                // each request.
                if end < timer.deadline().into_std() || timer.is_elapsed() {
                    timer.as_mut().reset(end.into());
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    };
    if let Some(call) = late {
        store.data_mut().hooks.call = call;
    }
    farewell.problem = result
        .err()
        .map(|failure| problem_of(failure, &function, store.data()));
}

/// Takes requests until the instance has had its share, then waits until the
/// guest has nothing more to do.
async fn serve(
    accessor: &Accessor<Ctx>,
    service: &Service,
    instance: &Instance,
) -> wasmtime::Result<()> {
    let mut running = FuturesUnordered::new();
    loop {
        let idle = running.is_empty();
        // No timer for one that has something to do.
        let patience = idle.then_some(IDLE);
        tokio::select! {
            biased;
            Some(result) = running.next(), if !idle => result?,
            next = instance.next(patience) => match next {
                Some(taken) => running.push(handle(accessor, service, instance, taken)),
                None => break,
            },
            () = rest(accessor), if idle && !instance.is_at_rest() => instance.set_at_rest(),
        }
    }
    while let Some(result) = running.next().await {
        result?;
    }
    rest(accessor).await;
    Ok(())
}

/// Waits until the guest has nothing more to do, of what it began with its answers either.
async fn rest(accessor: &Accessor<Ctx>) {
    std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
}

async fn handle(
    accessor: &Accessor<Ctx>,
    service: &Service,
    instance: &Instance,
    taken: Taken,
) -> wasmtime::Result<()> {
    let Taken { id, request, info } = taken;
    let request = with_authority(request);
    let (request, sent) = accessor.with(|mut store| {
        let ctx = store.data_mut();
        ctx.hooks.call = info;
        if instance.bound(&mut ctx.hooks.call) == 1 {
            // Nobody but this one can be harmed by what comes.
            ctx.limiter.forget_refusal();
        }
        let (request, sent) = p3::Request::from_http(&mut ctx.hooks, request);
        let sent: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(sent);
        (request, sent)
    });
    let answer = match service.handle(accessor, request).await? {
        Ok(response) => Ok(accessor
            .with(|mut store| response.into_http_with_getter(&mut store, sent, Ctx::http))?),
        Err(code) => Err(format!("{code:?}")),
    };
    instance.answer(id, answer);
    accessor.with(|mut store| _ = instance.bound(&mut store.data_mut().hooks.call));
    Ok(())
}

/// WASI 0.3 knows a request's authority, not its `Host`.
fn with_authority(request: Request<Body>) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    if parts.uri.authority().is_none()
        && let Some(host) = parts.headers.get(header::HOST)
        && let Ok(authority) = Authority::try_from(host.as_bytes())
    {
        let mut uri = std::mem::take(&mut parts.uri).into_parts();
        uri.authority = Some(authority);
        uri.scheme.get_or_insert(Scheme::HTTP);
        uri.path_and_query
            .get_or_insert(PathAndQuery::from_static("/"));
        // All three parts are there: it cannot fail, and if so the path stays.
        parts.uri = Uri::from_parts(uri).unwrap_or_default();
    }
    Request::from_parts(parts, body)
}
