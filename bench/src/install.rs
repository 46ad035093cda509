//! `--install-peers`: what is missing for what is to be measured, each at the version that is
//! compared with.

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use strand_builder::{apt, forget_outer_cargo};

use crate::arguments::Bench;
use crate::peers::{WASMTIME, WORKERD, wasmtime, wasmtime_folder, workerd, workerd_folder};
use crate::reads;
use crate::setup::{Setup, on_path};
use crate::tools;

/// What `wasmtime serve` needs to run as it does by default. Left out is what it does not use:
/// other compilers, debuggers, other worlds, tools that only look at files.
const FEATURES: &str = "run,serve,compile,parallel-compilation,pooling-allocator,\
                        component-model-async,cache,logging,threads,gc,gc-drc,gc-null,addr2line,\
                        backtrace,demangle,clap/default";

/// Installs what is missing.
pub(crate) async fn install(setup: &Setup, benches: &[Bench]) -> Result<()> {
    fs::create_dir_all(&setup.cache).with_context(|| format!("{}", setup.cache.display()))?;
    packages(setup, benches)?;
    if benches.contains(&Bench::Reads) && !reads::genome(setup).is_file() {
        fetch_genome(setup).await.context("fetching the genome")?;
    }
    if !needs_servers(benches) {
        return Ok(());
    }
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

/// Whether other servers are measured.
fn needs_servers(benches: &[Bench]) -> bool {
    benches.contains(&Bench::Http) || benches.contains(&Bench::Bodies)
}

fn packages(setup: &Setup, benches: &[Bench]) -> Result<()> {
    let mut wanted = Vec::new();
    if benches.contains(&Bench::Reads) {
        for (program, package) in [("wgsim", "samtools"), ("curl", "curl")] {
            if on_path(program).is_none() {
                wanted.push(package);
            }
        }
    }
    let needs_npm = needs_servers(benches) && workerd(setup).is_none();
    if needs_npm && on_path("npm").is_none() {
        wanted.push("npm");
    }
    if wanted.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", wanted.join(", "));
    apt::install(&wanted, &|line| eprintln!("  {line}"))
        .with_context(|| format!("installing {}", wanted.join(", ")))
}

/// By the verb that there is for it, which installs the package that it is in.
async fn fetch_genome(setup: &Setup) -> Result<()> {
    let mut cargo = cargo();
    cargo
        .args(["xtask", "genome", "ecoli"])
        .current_dir(&setup.root);
    tools::show(cargo).await
}

fn cargo() -> Command {
    let mut command =
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    forget_outer_cargo(&mut command);
    command
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
    // What was compiled stays until all is, so that an interrupted installation goes on.
    let build = setup.cache.join("build");
    let mut command = cargo();
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
