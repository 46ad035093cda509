//! `--install-peers`: what is missing, each at the version that is compared with.

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use strand_builder::{apt, forget_outer_cargo};

use crate::peers::{WASMTIME, WORKERD, wasmtime, wasmtime_folder, workerd, workerd_folder};
use crate::setup::{Setup, on_path};
use crate::tools;

/// What `wasmtime serve` needs to run as it does by default. Left out is what it does not use:
/// other compilers, debuggers, other worlds, tools that only look at files.
const FEATURES: &str = "run,serve,compile,parallel-compilation,pooling-allocator,\
                        component-model-async,cache,logging,threads,gc,gc-drc,gc-null,addr2line,\
                        backtrace,demangle,clap/default";

/// Installs the peers that are missing.
pub(crate) async fn install(setup: &Setup) -> Result<()> {
    fs::create_dir_all(&setup.cache).with_context(|| format!("{}", setup.cache.display()))?;
    packages(setup)?;
    if workerd(setup).is_none() {
        install_workerd(setup).await.context("installing workerd")?;
    }
    if wasmtime(setup).is_none() {
        install_wasmtime(setup)
            .await
            .context("installing wasmtime")?;
    }
    Ok(())
}

fn packages(setup: &Setup) -> Result<()> {
    let mut wanted = Vec::new();
    for (program, package) in [("wgsim", "samtools"), ("curl", "curl")] {
        if on_path(program).is_none() {
            wanted.push(package);
        }
    }
    if workerd(setup).is_none() && on_path("npm").is_none() {
        wanted.push("npm");
    }
    if wanted.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", wanted.join(", "));
    apt::install(&wanted, &|line| eprintln!("  {line}"))
        .with_context(|| format!("installing {}", wanted.join(", ")))
}

async fn install_workerd(setup: &Setup) -> Result<()> {
    eprintln!("installing workerd {WORKERD} (about 160 MB)");
    let folder = workerd_folder(setup);
    fs::create_dir_all(&folder)?;
    let mut npm = Command::new("npm");
    // Its script only checks that the binary runs on this machine, which measuring does too.
    npm.args([
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-save",
        "--prefix",
    ])
    .arg(&folder)
    .arg(format!("workerd@{WORKERD}"))
    .current_dir(&folder);
    tools::show(npm).await?;
    if workerd(setup).is_none() {
        bail!(
            "npm put no binary of workerd into {}: there is none for this machine",
            folder.display()
        );
    }
    Ok(())
}

async fn install_wasmtime(setup: &Setup) -> Result<()> {
    eprintln!("installing wasmtime {WASMTIME}: cargo compiles it, 10 to 30 minutes on two cores");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    // What was compiled stays until all is, so that an interrupted installation goes on.
    let build = setup.cache.join("build");
    let mut command = Command::new(cargo);
    forget_outer_cargo(&mut command);
    command
        .args(["install", "wasmtime-cli", "--version", WASMTIME, "--locked"])
        .args(["--no-default-features", "--features", FEATURES, "--root"])
        .arg(wasmtime_folder(setup))
        .env("CARGO_TARGET_DIR", &build)
        // Not below the repository, whose cargo settings are not for this.
        .current_dir(&setup.cache);
    tools::show(command).await?;
    if wasmtime(setup).is_none() {
        bail!(
            "cargo left no wasmtime in {}",
            wasmtime_folder(setup).display()
        );
    }
    fs::remove_dir_all(&build).with_context(|| format!("{}", build.display()))
}
