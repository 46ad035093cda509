//! `wasi:http/handler@0.3`: an instance may serve several requests, in all and
//! at once.
//!
//! Each instance is driven by one task. Requests reach it through its inbox;
//! their answers' bodies are produced by the same task while the connections'
//! tasks send them. A fault, or the end of one request's time, ends the instance
//! and all its requests.

mod instance;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, header};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p3;
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};

use crate::call::Body;
use crate::cell::{Failure, new_store, problem_of};
use crate::ctx::{CallInfo, Ctx};
use crate::function::{Function, Job, Reuse};
use crate::outcome::{AbortOnDrop, AnswerBody};
use crate::problem::Problem;

use instance::{Accepted, Instance, Seat, Taken};

/// How long an instance waits for its next request.
const IDLE: Duration = Duration::from_secs(10);

/// What is kept per function.
pub(crate) struct Handler {
    pre: ServicePre<Ctx>,
    /// Instances that take requests.
    open: Mutex<Vec<Arc<Instance>>>,
}

impl Handler {
    pub(crate) fn new(pre: ServicePre<Ctx>) -> Self {
        Self {
            pre,
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Instance>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the request to an instance of this thread that has room, or back.
    fn seat(&self, request: Box<Accepted>) -> Result<Seat, Box<Accepted>> {
        let mut request = request;
        let mut open = self.open();
        let mut index = 0;
        while let Some(instance) = open.get(index) {
            match instance.offer(request) {
                Ok(seat) => {
                    if !instance.is_open() {
                        open.swap_remove(index);
                    }
                    return Ok(seat);
                }
                Err(back) => request = back,
            }
            index += 1;
        }
        Err(request)
    }

    fn close(&self, instance: &Arc<Instance>) {
        self.open().retain(|other| !Arc::ptr_eq(other, instance));
    }
}

pub(crate) async fn call(function: &Arc<Function>, job: Job) -> Result<Response<Body>, Problem> {
    let Some(handler) = function.http03() else {
        return Err(Problem::host_fault("the function is of another world"));
    };
    let reuse = function.reuse();
    let outcome = job.outcome;
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
        start(function, handler, reuse, *request)
    } else {
        handler
            .seat(request)
            .unwrap_or_else(|request| start(function, handler, reuse, *request))
    };
    // Others may be at work in the same instance: then it runs on.
    let task = AbortOnDrop(seat.abort_handle().filter(|_| reuse.concurrency == 1));
    let head = tokio::select! {
        // As in the other worlds: what has begun first.
        biased;
        head = &mut answer => head,
        problem = outcome.failed() => return Err(problem),
    };
    match head {
        Ok(Ok(response)) => Ok(response.map(|inner| {
            AnswerBody {
                inner,
                outcome,
                task,
                _held: seat,
            }
            .boxed_unsync()
        })),
        Ok(Err(error)) => Err(Problem::guest_fault(format!(
            "the function answered with an error: {error}"
        ))),
        Err(_dropped) => Err(outcome
            .problem()
            .unwrap_or_else(|| Problem::host_fault("the host failed during this call"))),
    }
}

/// Starts an instance with its first request.
fn start(function: &Arc<Function>, handler: &Handler, reuse: Reuse, first: Accepted) -> Seat {
    let info = first.info.clone();
    let (instance, seat) = Instance::new(reuse, first);
    if instance.is_open() {
        handler.open().push(Arc::clone(&instance));
    }
    let task = tokio::spawn(work(Arc::clone(function), Arc::clone(&instance), info));
    instance.set_abort_handle(task.abort_handle());
    seat
}

/// An instance's life.
async fn work(function: Arc<Function>, instance: Arc<Instance>, info: CallInfo) {
    let Some(handler) = function.http03() else {
        return;
    };
    let mut store = new_store(&function, &info, |_| ());
    let meter = Arc::clone(&store.data().meter);
    // On a panic this ends the requests, before the store goes.
    let farewell = instance.farewell();
    let result = {
        let guest = async {
            let service = handler.pre.instantiate_async(&mut store).await?;
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
                let end = instance
                    .earliest_deadline()
                    .unwrap_or_else(|| Instant::now() + function.limits().wall);
                if end < timer.deadline().into_std() {
                    timer.as_mut().reset(end.into());
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                if end <= Instant::now() {
                    return Poll::Ready(Err(Failure::Wall));
                }
                timer.as_mut().reset(end.into());
            }
        })
        .await
    };
    handler.close(&instance);
    match result {
        Ok(()) => farewell.end(None),
        Err(failure) => farewell.end(Some(problem_of(failure, &function, store.data()))),
    }
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
        tokio::select! {
            biased;
            Some(result) = running.next(), if !running.is_empty() => result?,
            next = instance.next(IDLE) => match next {
                Some(taken) => running.push(handle(accessor, service, instance, taken)),
                None => break,
            },
        }
    }
    while let Some(result) = running.next().await {
        result?;
    }
    std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
    Ok(())
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
