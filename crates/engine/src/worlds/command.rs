//! Commands (`wasi:cli/run`): the request's body on standard input, standard
//! output as the answer.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, header};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi::{I32Exit, p2, p3};

use crate::call::Body;
use crate::cell::{Failure, new_store, problem_of, run};
use crate::ctx::Ctx;
use crate::function::{Function, Job};
use crate::meter::Meter;
use crate::outcome::PanicGuard;
use crate::problem::{Kind, Problem};
use crate::stdio::{Stdin, stdout};
use crate::worlds::{Head, answer};

/// A command of either generation.
pub(crate) enum CommandPre<'a> {
    P2(&'a p2::bindings::CommandPre<Ctx>),
    P3(&'a p3::bindings::CommandPre<Ctx>),
}

impl CommandPre<'_> {
    /// Runs it to its end, and says how it ended: the exit code.
    async fn run(&self, store: &mut Store<Ctx>) -> wasmtime::Result<u8> {
        let result = match self {
            Self::P2(pre) => {
                let command = pre.instantiate_async(&mut *store).await?;
                command.wasi_cli_run().call_run(&mut *store).await
            }
            Self::P3(pre) => {
                let command = pre.instantiate_async(&mut *store).await?;
                store
                    .run_concurrent(async |accessor| {
                        command.wasi_cli_run().call_run(accessor).await
                    })
                    .await
                    .and_then(|result| result)
            }
        };
        match result {
            Ok(Ok(())) => Ok(0),
            Ok(Err(())) => Ok(1),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Ok(u8::try_from(exit.0).unwrap_or(u8::MAX)),
                None => Err(error),
            },
        }
    }
}

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

async fn serve(function: Arc<Function>, job: Job, meter: Arc<Meter>, head: oneshot::Sender<Head>) {
    let Job {
        request,
        command,
        info,
        outcome,
        permit: _permit,
        code,
    } = job;
    let Some(pre) = code.command() else {
        return;
    };
    let deadline = info.deadline;
    let (writer, mut body) = stdout(function.limits().output, &outcome);
    let store = new_store(&function, &code, &info, &meter, |builder| {
        builder
            .wasi
            .stdin(Stdin::new(request.into_body()))
            .stdout(writer)
            .arg(&*info.function.function)
            .args(&command.args);
    });
    let mut store = match store {
        Ok(store) => store,
        Err(problem) => return outcome.fail(problem),
    };
    let _guard = PanicGuard(&outcome);

    // The answer begins with the first output, or with an end without fault.
    let mut head = Some(head);
    let mut respond = |first: Option<Bytes>, rest| {
        if let Some(head) = head.take() {
            let mut response = Response::new(crate::stdio::body(first, rest));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, command.content_type.clone());
            // Nobody may be there any more to take it.
            let _ = head.send(Ok(response));
        }
    };
    let result = {
        let guest = pin!(pre.run(&mut store));
        let mut guest = pin!(run(&function, &meter, deadline, guest));
        tokio::select! {
            biased;
            result = &mut guest => Ended(result, Some(body)),
            first = body.recv() => {
                // None: the guest closed its output, or dropped it, and goes on.
                if let Some(first) = first {
                    respond(Some(first), Some(body));
                }
                Ended(guest.await, None)
            }
        }
    };
    let Ended(result, mut unsent) = result;
    // What a guest wrote before it failed is given before the failure is told.
    if let Some(first) = unsent.as_mut().and_then(|body| body.try_recv().ok()) {
        respond(Some(first), unsent.take());
    }
    match result {
        Err(failure) => outcome.fail(problem_of(failure, &function, store.data())),
        Ok(0) => respond(None, unsent),
        Ok(exit) => outcome.fail(Problem::new(
            Kind::GuestFault { exit: Some(exit) },
            format!("the command exited with code {exit}"),
        )),
    }
    // Only now may the answer's body end: it looks for a problem when it does.
    drop(store);
}

/// The run's result, and the output if none of it was sent yet.
struct Ended(
    Result<u8, Failure>,
    Option<tokio::sync::mpsc::Receiver<Bytes>>,
);
