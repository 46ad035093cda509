//! How functions of each world are called.

pub(crate) mod command;
pub(crate) mod http02;
pub(crate) mod http03;
pub(crate) mod task;

use std::sync::Arc;

use http::Response;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasmtime_wasi_http::WasiBody;

use crate::call::Body;
use crate::outcome::{AbortOnDrop, AnswerBody, Outcome};
use crate::problem::Problem;

/// What the guest sends as its answer; the error is its own, for people.
pub(crate) type Head = Result<Response<WasiBody>, String>;

/// Waits for the head of an answer that a task produces, and ties the answer's
/// body to that task.
pub(crate) async fn answer(
    head: oneshot::Receiver<Head>,
    is_head: bool,
    task: JoinHandle<()>,
    outcome: Arc<Outcome>,
) -> Result<Response<Body>, Problem> {
    let abort = AbortOnDrop(Some(task.abort_handle()));
    let head = tokio::select! {
        // An answer that has begun is given, even if the call has failed since:
        // its body says so. Without one a problem ends the call, even if the guest
        // never hears of it.
        biased;
        head = head => head,
        problem = outcome.failed() => return Err(problem),
    };
    match head {
        Ok(Ok(response)) => Ok(AnswerBody::around(response, is_head, outcome, abort, ())),
        Ok(Err(error)) => Err(Problem::guest_fault(format!(
            "the function answered with an error: {error}"
        ))),
        Err(_dropped) => {
            // The guest let go of its chance to answer; how it ends tells why.
            let ended = task.await;
            Err(outcome.problem().unwrap_or_else(|| match ended {
                Ok(()) => Problem::guest_fault("the function ended without an answer"),
                Err(_) => Problem::host_fault("the host failed during this call"),
            }))
        }
    }
}
