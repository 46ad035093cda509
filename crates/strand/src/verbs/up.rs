//! `strand up`.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};
use strand_node::{AppDir, CertificateFiles, Certificates, LoadedApp, Node, NodeConfig, listen};
use strand_telemetry::Format;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::build::build_functions;
use crate::cli::UpArgs;
use crate::report;

/// Threads that read apps.
const READERS: usize = 8;

pub(crate) fn up(args: &UpArgs) -> Result<ExitCode> {
    let telemetry = strand_telemetry::init(Format::Auto, "info")?;
    let apps = read_apps(args)?;
    // Before the long steps: a port that is taken, or a bucket that is not there, should be
    // told at once.
    let listener = listen(args.listen, "--listen")?;
    let admin = listen(args.admin, "--admin")?;
    let config = read_config(args)?;
    check_weights(args, &config, &apps)?;
    let certificates = (!config.tls.certificates.is_empty())
        .then(|| Certificates::read(config.tls.certificates.clone()))
        .transpose()?;
    let host = super::open_host(&args.node, config)?;
    for app in &apps {
        host.check_backends(app, None)?;
    }
    if !args.no_build {
        for app in &apps {
            build_functions(app)?;
        }
    }
    let mut node = Node::new(host, &telemetry);
    let scheme = if certificates.is_some() {
        "https"
    } else {
        "http"
    };
    if let Some(certificates) = certificates {
        node = node.over_tls(certificates);
    }
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
        let names: Vec<_> = apps
            .iter()
            .map(|app| app.directive().name.clone())
            .collect();
        let loaded = tokio::select! {
            loaded = load(&node, apps) => loaded?,
            () = shutdown.cancelled() => {
                report::status("Ended", "while functions were being loaded; nothing was served");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let address = listener.local_addr()?;
        let ready = || {
            report::status("Serving", format_args!("{scheme}://{address}"));
            report::status("Administering", format_args!("http://{admin_address}"));
        };
        tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                shutdown.cancelled().await;
                report::status("Draining", "requests in flight; Ctrl-C again ends at once");
            }
        });
        let drained = node.serve(loaded, listener, shutdown, ready).await?;
        if drained.cut > 0 {
            report::status(
                "Cut",
                format_args!("{} requests at the deadline", drained.cut),
            );
        }
        report::status("Ended", names.join(", "));
        Ok(ExitCode::SUCCESS)
    })
}

/// The node's configuration, with what the command line says of it.
fn read_config(args: &UpArgs) -> Result<NodeConfig> {
    let mut config = super::read_config(&args.node)?;
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        let files = CertificateFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        // The first one is for clients that ask for no name.
        config.tls.certificates.insert(0, files);
    }
    Ok(config)
}

/// Refuses weights of apps that the node does not serve: nobody would see that they do nothing.
fn check_weights(args: &UpArgs, config: &NodeConfig, apps: &[AppDir]) -> Result<()> {
    let names = names(apps);
    for app in config.weights.keys() {
        if let (Some(file), Some(unknown)) = (&args.node.config, super::unknown_app(app, &names)) {
            bail!(
                "{}: `{app}` under `[weights]`: {unknown}; correct the name, or remove the line",
                file.display()
            );
        }
    }
    Ok(())
}

fn names(apps: &[AppDir]) -> Vec<&str> {
    apps.iter()
        .map(|app| app.directive().name.as_str())
        .collect()
}

/// Reads the apps, and looks whether they can be told apart.
fn read_apps(args: &UpArgs) -> Result<Vec<AppDir>> {
    let apps = read_each(args).into_iter().collect::<Result<Vec<_>>>()?;
    let mut named = HashMap::with_capacity(apps.len());
    for app in &apps {
        let name = app.directive().name.as_str();
        if let Some(other) = named.insert(name, app.dir()) {
            bail!(
                "the apps in {} and {} are both named `{name}`; change `metadata.name` of one",
                other.display(),
                app.dir().display()
            );
        }
        report::warnings(app, app.warnings());
    }
    let names = names(&apps);
    super::check_bound_apps(&args.node.bindings, &names)?;
    let without = args
        .node
        .bindings
        .iter()
        .find(|binding| binding.app.is_none());
    if let (Some(binding), [first, _, ..]) = (without, names.as_slice()) {
        let resource = &binding.name;
        bail!(
            "`--bind blobs.{resource}=…`: say of which app, as in `--bind {first}/blobs.{resource}=…`"
        );
    }
    Ok(apps)
}

/// Reads the apps in their order, several at once: where there are thousands, most of the
/// time goes by with waiting for the disk.
fn read_each(args: &UpArgs) -> Vec<Result<AppDir>> {
    let read = |dir: &PathBuf| super::read_app(dir, &args.node);
    let dirs = &args.apps.dirs;
    let share = dirs.len().div_ceil(READERS);
    if share <= 1 {
        return dirs.iter().map(read).collect();
    }
    thread::scope(|scope| {
        let readers: Vec<_> = dirs
            .chunks(share)
            .map(|dirs| scope.spawn(move || dirs.iter().map(read).collect::<Vec<_>>()))
            .collect();
        readers
            .into_iter()
            .flat_map(|reader| reader.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

async fn load(node: &Node, apps: Vec<AppDir>) -> Result<Vec<(AppDir, LoadedApp)>> {
    let loaded = node.load(&apps).await?;
    let loaded: Vec<_> = apps.into_iter().zip(loaded).collect();
    for (app, functions) in &loaded {
        report::warnings(app, &functions.warnings);
    }
    Ok(loaded)
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
