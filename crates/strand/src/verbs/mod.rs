//! One module a verb.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod inspect;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod up;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use strand_compiler::{ChildLimits, child_main};
use strand_directive::near;
use strand_node::{AppDir, Binding, Host, HostOptions, NodeConfig, StateDir};

use crate::cli::{CompileChildArgs, NodeArgs};

/// The name of the hidden verb that compiles.
const COMPILE_CHILD: &str = "compile-child";

pub(crate) fn compile_child(args: &CompileChildArgs) -> ExitCode {
    child_main(ChildLimits {
        memory: args.memory,
        cpu_seconds: args.cpu_seconds,
    })
}

/// Reads an app's Directive for a node with these bindings.
fn read_app(dir: &Path, args: &NodeArgs) -> Result<AppDir> {
    let bound = |app: &str, name: &str| {
        let is_it = |binding: &Binding| binding.is_of(app) && binding.name == name;
        args.bindings.iter().any(is_it)
    };
    Ok(AppDir::read(dir, &bound)?.bound(&args.bindings))
}

/// Refuses bindings of apps that are not among those.
fn check_bound_apps(bindings: &[Binding], apps: &[&str]) -> Result<()> {
    for binding in bindings {
        if let Some(app) = binding.app.as_deref()
            && let Some(unknown) = unknown_app(app, apps)
        {
            bail!("`--bind {app}/blobs.{}=…`: {unknown}", binding.name);
        }
    }
    Ok(())
}

/// What is said of an app that is not among those.
fn unknown_app(app: &str, apps: &[&str]) -> Option<String> {
    if apps.contains(&app) {
        return None;
    }
    let guess = near(app, apps.iter().copied())
        .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
    Some(format!(
        "there is no app `{app}`{guess} (there is {})",
        apps.join(", ")
    ))
}

fn read_config(args: &NodeArgs) -> Result<NodeConfig> {
    Ok(match &args.config {
        Some(path) => NodeConfig::read(path)?,
        None => NodeConfig::default(),
    })
}

fn open_host(args: &NodeArgs, config: NodeConfig) -> Result<Host> {
    let state = match &args.state {
        Some(path) => path.clone(),
        None => StateDir::default_path()
            .context("neither XDG_STATE_HOME nor HOME is set; say where with `--state DIR`")?,
    };
    let program = std::env::current_exe().context("where this program is")?;
    Ok(Host::open(HostOptions {
        state,
        config,
        compiler: (program, vec![COMPILE_CHILD.into()]),
    })?)
}
