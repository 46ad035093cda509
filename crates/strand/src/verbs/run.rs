//! `strand run`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use strand_directive::near;
use strand_engine::{Body, BodyError, FunctionId, Kind, Problem};
use strand_node::{Invocation, call_once, is_success};
use strand_telemetry::Format;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::build::build_functions;
use crate::cli::RunArgs;
use crate::report;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    // What the guest says on its standard error and in its log.
    let _telemetry = strand_telemetry::init(Format::Auto, "warn,guest=trace")?;
    let app = super::read_app(&args.dir, &args.node)?;
    let directive = app.directive();
    super::check_bound_apps(&args.node.bindings, &[&directive.name])?;
    if !directive.functions.contains_key(&args.function) {
        let names: Vec<_> = directive.functions.keys().map(String::as_str).collect();
        let guess = near(&args.function, names.iter().copied())
            .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
        bail!(
            "the app `{}` has no function `{}`{guess} (there is {})",
            directive.name,
            args.function,
            names.join(", ")
        );
    }
    // Before the long step: a bucket that is not there should be told at once.
    let host = super::open_host(&args.node, super::read_config(&args.node)?)?;
    host.check_backends(&app, Some(&args.function))?;
    if !args.no_build {
        build_functions(&app)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(async {
        let loaded = host
            .load(std::slice::from_ref(&app), Some(&args.function))
            .await?;
        let loaded = loaded.first().context("one app gives one")?;
        let function = FunctionId {
            app: directive.name.as_str().into(),
            function: args.function.as_str().into(),
        };
        let invocation = Invocation {
            method: args.method.clone(),
            path: args.path.clone(),
            args: args.args.clone(),
        };
        let answer = call_once(&loaded.registry, function, invocation, stdin()).await;
        let response = match answer {
            Ok(response) => response,
            Err(problem) => return Ok(end_in(&problem)),
        };
        let status = response.status();
        if !is_success(status) {
            report::status("Answered", status);
        }
        let mut body = response.into_body();
        let mut stdout = tokio::io::stdout();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    if let Some(data) = frame.data_ref() {
                        stdout.write_all(data).await?;
                    }
                }
                Err(BodyError::Problem(problem)) => {
                    stdout.flush().await?;
                    return Ok(end_in(&problem));
                }
                Err(error) => return Err(error.into()),
            }
        }
        stdout.flush().await?;
        Ok(if is_success(status) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    });
    // A read of standard input may still wait for its end.
    runtime.shutdown_background();
    code
}

/// A command's exit code is ours; every other problem is a failure.
fn end_in(problem: &Problem) -> ExitCode {
    if let Kind::GuestFault { exit: Some(exit) } = problem.kind() {
        return ExitCode::from(*exit);
    }
    report::error(&anyhow::anyhow!("{problem}"));
    ExitCode::FAILURE
}

/// Standard input, read when the guest reads it. A terminal counts as empty:
/// whoever runs a function by hand does not expect to be waited for.
fn stdin() -> Body {
    if io::stdin().is_terminal() {
        return Empty::new().map_err(|never| match never {}).boxed_unsync();
    }
    let stream = ReaderStream::new(tokio::io::stdin())
        .map_ok(Frame::data)
        .map_err(|error| BodyError::Connection(Box::new(error)));
    StreamBody::new(stream).boxed_unsync()
}
