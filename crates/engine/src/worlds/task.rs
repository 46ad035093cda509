//! `strand:function/task`: bytes in, bytes out.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::oneshot;

use crate::budget::Reservation;
use crate::call::{Body, BodyError};
use crate::cell::{new_store, problem_of, run};
use crate::function::{Function, Job};
use crate::limits::format_bytes;
use crate::meter::Meter;
use crate::outcome::PanicGuard;
use crate::problem::{Kind, Limit, Problem};
use crate::worlds::{Head, answer};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/strand-function",
        world: "strand:function/task-function",
        exports: { default: async },
        require_store_data_send: true,
    });
}

pub(crate) use bindings::TaskFunctionPre as TaskPre;

pub(crate) async fn call(function: &Arc<Function>, job: Job) -> Result<Response<Body>, Problem> {
    let (head, head_receiver) = oneshot::channel();
    let outcome = Arc::clone(&job.outcome);
    let is_head = job.request.method() == Method::HEAD;
    let deadline = job.info.deadline;
    let meter = Meter::new(function.limits().cpu);
    let serving = serve(Arc::clone(function), job, Arc::clone(&meter), head);
    let task = function.spawn(meter, deadline, serving);
    answer(head_receiver, is_head, task, outcome).await
}

fn no_memory(budget: &Reservation, what: &str) -> Problem {
    let value = format_bytes(budget.budget().limit());
    let detail = format!("this node's memory budget of {value} has no room for the task's {what}");
    Problem::limit(Limit::NodeMemory, value, detail)
}

/// A task's output with its part of the node's memory.
struct Held {
    bytes: Option<Bytes>,
    _budget: Reservation,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = wasmtime_wasi_http::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = self.bytes.take().filter(|bytes| !bytes.is_empty());
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}

async fn serve(function: Arc<Function>, job: Job, meter: Arc<Meter>, head: oneshot::Sender<Head>) {
    let Job {
        request,
        info,
        outcome,
        permit: _permit,
        code,
        ..
    } = job;
    let Some(pre) = code.task() else { return };
    let deadline = info.deadline;
    let mut store = match new_store(&function, &code, &info, &meter, |_| ()) {
        Ok(store) => store,
        Err(problem) => return outcome.fail(problem),
    };
    let _guard = PanicGuard(&outcome);
    let mut budget = function.budget().empty_reservation();
    let ended = {
        let guest = pin!(async {
            let mut body = request.into_body();
            let mut input = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = match frame {
                    Ok(frame) => frame,
                    Err(BodyError::Problem(problem)) => return Ok(Err(problem)),
                    Err(BodyError::Connection(_)) => {
                        return Ok(Err(Problem::bad_request("body", "the body broke off")));
                    }
                };
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                // The vector's growth is charged, not its length: it doubles.
                let room = input.capacity() - input.len();
                if data.len() > room {
                    let more = input.capacity().max(data.len() - room);
                    if !budget.grow(more as u64) {
                        return Ok(Err(no_memory(&budget, "input")));
                    }
                    input.reserve_exact(more);
                }
                input.extend_from_slice(&data);
            }
            let task = pre.instantiate_async(&mut store).await?;
            let output = task
                .strand_function_task()
                .call_run(&mut store, &input)
                .await?;
            drop(input);
            Ok(output.map_err(|failure| {
                let status = StatusCode::from_u16(failure.code)
                    .ok()
                    .filter(|status| status.is_client_error() || status.is_server_error())
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Problem::new(Kind::TaskFailure { status }, failure.message)
            }))
        });
        run(&function, &meter, deadline, guest).await
    };
    match ended {
        Err(failure) => outcome.fail(problem_of(failure, &function, store.data())),
        Ok(Err(problem)) => outcome.fail(problem),
        Ok(Ok(output)) => {
            // The input is gone; the output waits for its client.
            budget.shrink(u64::MAX);
            if !budget.grow(output.len() as u64) {
                outcome.fail(no_memory(&budget, "output"));
                return;
            }
            let output = Held {
                bytes: Some(Bytes::from(output)),
                _budget: budget,
            };
            let mut response = Response::new(output.boxed_unsync());
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            );
            // Nobody may be there any more to take it.
            let _ = head.send(Ok(response));
        }
    }
}
