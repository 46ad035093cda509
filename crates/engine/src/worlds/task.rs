//! `strand:function/task`: bytes in, bytes out.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tokio::sync::oneshot;

use crate::call::{Body, BodyError};
use crate::cell::{new_store, problem_of, run};
use crate::function::{Function, Job};
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
    let task = tokio::spawn(serve(Arc::clone(function), job, head));
    answer(head_receiver, task, outcome).await
}

async fn serve(function: Arc<Function>, job: Job, head: oneshot::Sender<Head>) {
    let Some(pre) = function.task() else { return };
    let Job {
        request,
        info,
        outcome,
        permit: _permit,
        ..
    } = job;
    let deadline = info.deadline;
    let mut store = new_store(&function, &info, |_| ());
    let meter = Arc::clone(&store.data().meter);
    let _guard = PanicGuard(&outcome);
    let mut budget = function.engine().budget().empty_reservation();
    let guest = async {
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
            if !budget.grow(data.len() as u64) {
                let detail = "this node has no memory for the task's input";
                return Ok(Err(Problem::limit(
                    Limit::NodeMemory,
                    budget.budget().limit(),
                    detail,
                )));
            }
            input.extend_from_slice(&data);
        }
        let task = pre.instantiate_async(&mut store).await?;
        let output = task
            .strand_function_task()
            .call_run(&mut store, &input)
            .await?;
        Ok(output.map_err(|failure| {
            let status = StatusCode::from_u16(failure.code)
                .ok()
                .filter(|status| status.is_client_error() || status.is_server_error())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Problem::new(Kind::TaskFailure { status }, failure.message)
        }))
    };
    match run(&function, &meter, deadline, guest).await {
        Err(failure) => outcome.fail(problem_of(failure, &function, store.data())),
        Ok(Err(problem)) => outcome.fail(problem),
        Ok(Ok(output)) => {
            let body = Full::new(Bytes::from(output)).map_err(|never| match never {});
            let mut response = Response::new(body.boxed_unsync());
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            );
            // Nobody may be there any more to take it.
            let _ = head.send(Ok(response));
        }
    }
}
