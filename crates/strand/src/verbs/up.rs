//! `strand up`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use strand_node::{Node, listen};
use strand_telemetry::Format;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::build::build_functions;
use crate::cli::UpArgs;
use crate::report;

pub(crate) fn up(args: &UpArgs) -> Result<ExitCode> {
    strand_engine::give_back_large_buffers();
    let telemetry = strand_telemetry::init(Format::Auto, "info")?;
    let app = super::read_app(&args.app.dir, &args.node)?;
    report::warnings(&app, app.warnings());
    // Before the long steps: a port that is taken, or a bucket that is not there, should be
    // told at once.
    let listener = listen(args.listen, "--listen")?;
    let admin = listen(args.admin, "--admin")?;
    let host = super::open_host(&args.node)?;
    host.check_backends(&app, None)?;
    if !args.no_build {
        build_functions(&app)?;
    }
    let node = Node::new(host, &telemetry);
    node.log_start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        tokio::spawn(cancel_on_signal(shutdown.clone())?);
        let admin_address = admin.local_addr()?;
        // Outlives the app, so that it can be asked while the app drains.
        let ended = CancellationToken::new();
        node.administer(admin, ended.clone())?;
        let loaded = tokio::select! {
            loaded = node.load(&app) => loaded?,
            () = shutdown.cancelled() => {
                report::status("Ended", "while its functions were being loaded; nothing was served");
                return Ok(ExitCode::SUCCESS);
            }
        };
        report::warnings(&app, &loaded.warnings);
        let address = listener.local_addr()?;
        let ready = || {
            report::status("Serving", format_args!("http://{address}"));
            report::status("Administering", format_args!("http://{admin_address}"));
        };
        tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                shutdown.cancelled().await;
                report::status("Draining", "requests in flight; Ctrl-C again ends at once");
            }
        });
        let drained = node.serve(&app, &loaded, listener, shutdown, ready).await?;
        if drained.cut > 0 {
            report::status(
                "Cut",
                format_args!("{} requests at the deadline", drained.cut),
            );
        }
        report::status("Ended", app.directive().name.as_str());
        Ok(ExitCode::SUCCESS)
    })
}

/// Cancels at the first Ctrl-C or SIGTERM, and ends the process at the second.
fn cancel_on_signal(shutdown: CancellationToken) -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for signals")?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if shutdown.is_cancelled() {
                // What 128 + SIGINT says to a shell.
                std::process::exit(130);
            }
            shutdown.cancel();
        }
    })
}
