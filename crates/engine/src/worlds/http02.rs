//! `wasi:http/incoming-handler@0.2`: one request at a time per instance.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, Response, uri};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};

use crate::call::Body;
use crate::cell::{new_store, problem_of, run};
use crate::ctx::Ctx;
use crate::function::{Function, Job};
use crate::link::Linked;
use crate::meter::Meter;
use crate::outcome::PanicGuard;
use crate::problem::Problem;
use crate::worlds::{Head, answer};

/// How long an instance waits for its next request.
const IDLE: Duration = Duration::from_secs(10);

/// What is kept per function.
pub(crate) struct Handler {
    pre: ProxyPre<Ctx>,
    pool: Mutex<Pool>,
}

/// Instances that wait for their next request.
#[derive(Default)]
struct Pool {
    idle: Vec<Idle>,
    /// Whether a task looks after those that wait too long.
    swept: bool,
}

struct Idle {
    instance: Instance,
    since: Instant,
}

struct Instance {
    store: Store<Ctx>,
    proxy: Proxy,
    served: u32,
}

impl Handler {
    pub(crate) fn new(pre: ProxyPre<Ctx>) -> Self {
        Self {
            pre,
            pool: Mutex::default(),
        }
    }

    pub(crate) fn instance_pre(&self) -> &InstancePre<Ctx> {
        self.pre.instance_pre()
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Instance> {
        self.pool().idle.pop().map(|idle| idle.instance)
    }

    /// Keeps an instance, and has it dropped if nobody takes it.
    fn keep(&self, code: &Arc<Linked>, instance: Instance) {
        let mut pool = self.pool();
        let since = Instant::now();
        pool.idle.push(Idle { instance, since });
        if !std::mem::replace(&mut pool.swept, true) {
            let code = Arc::downgrade(code);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(IDLE).await;
                    let Some(code) = code.upgrade() else {
                        return;
                    };
                    let Some(handler) = code.http02() else {
                        return;
                    };
                    let (expired, done) = handler.take_expired();
                    if !expired.is_empty() {
                        // What an instance takes goes page by page, and this thread serves.
                        tokio::task::spawn_blocking(move || drop(expired));
                    }
                    if done {
                        return;
                    }
                }
            });
        }
    }

    /// Takes out what waited too long, and tells whether nothing is left to look after.
    fn take_expired(&self) -> (Vec<Idle>, bool) {
        let mut pool = self.pool();
        // The oldest is at the front: instances are taken from the back.
        let expired = pool
            .idle
            .partition_point(|idle| idle.since.elapsed() >= IDLE);
        let expired = pool.idle.drain(..expired).collect();
        pool.swept = !pool.idle.is_empty();
        (expired, !pool.swept)
    }
}

pub(crate) async fn call(function: &Arc<Function>, job: Job) -> Result<Response<Body>, Problem> {
    let (head, head_receiver) = oneshot::channel();
    let outcome = Arc::clone(&job.outcome);
    let is_head = job.request.method() == Method::HEAD;
    let deadline = job.info.deadline;
    let Some(handler) = job.code.http02() else {
        return Err(Problem::host_fault("the function is of another world"));
    };
    let idle = handler.take_idle();
    let meter = match &idle {
        Some(instance) => {
            let meter = Arc::clone(&instance.store.data().meter);
            meter.reset();
            meter
        }
        None => Meter::new(function.limits().cpu),
    };
    let serving = serve(Arc::clone(function), job, idle, Arc::clone(&meter), head);
    let task = function.spawn(meter, deadline, serving);
    answer(head_receiver, is_head, task, outcome).await
}

async fn serve(
    function: Arc<Function>,
    job: Job,
    idle: Option<Instance>,
    meter: Arc<Meter>,
    head: oneshot::Sender<Head>,
) {
    let Job {
        request,
        info,
        outcome,
        // Given back when the instance is gone, whose place and memory the next call wants.
        permit: _permit,
        code,
        ..
    } = job;
    let Some(handler) = code.http02() else {
        return;
    };
    let deadline = info.deadline;
    let (mut store, mut proxy, served) = match idle {
        Some(Instance {
            mut store,
            proxy,
            served,
        }) => {
            let ctx = store.data_mut();
            ctx.limiter.forget_refusal();
            ctx.hooks.call = info;
            (store, Some(proxy), served)
        }
        None => match new_store(&function, &code, &info, &meter, |_| ()) {
            Ok(store) => (store, None, 0),
            Err(problem) => return outcome.fail(problem),
        },
    };
    let _guard = PanicGuard(&outcome);
    let ended = {
        let guest = pin!(async {
            let instance = match &proxy {
                Some(proxy) => proxy,
                None => proxy.insert(handler.pre.instantiate_async(&mut store).await?),
            };
            let mut http = store.data_mut().http();
            let secure = request.uri().scheme() == Some(&uri::Scheme::HTTPS);
            let scheme = if secure { Scheme::Https } else { Scheme::Http };
            let request = http.new_incoming_request(scheme, request)?;
            let response = http.new_response_outparam_from_callback(move |response| {
                let answer = match response {
                    Ok(response) => {
                        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
                    }
                    Err(code) => Err(format!("{code:?}")),
                };
                // Nobody may be there any more to take it.
                let _ = head.send(answer);
            })?;
            instance
                .wasi_http_incoming_handler()
                .call_handle(&mut store, request, response)
                .await
        });
        run(&function, &meter, deadline, guest).await
    };
    match ended {
        Err(failure) => outcome.fail(problem_of(failure, &function, store.data())),
        Ok(()) if served + 1 < function.reuse().requests => {
            if let Some(proxy) = proxy {
                let instance = Instance {
                    store,
                    proxy,
                    served: served + 1,
                };
                handler.keep(&code, instance);
            }
        }
        Ok(()) => {}
    }
}
