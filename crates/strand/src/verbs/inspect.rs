//! `strand inspect`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use strand_compiler::{CompileError, NotWasm, Shape};
use strand_directive::{NeededGrant, World, needed_grants, unsupported};
use strand_node::{MAX_WASM, NodeConfig, facts, read_file};

use crate::cli::{InspectArgs, NodeArgs};

/// What is said of a file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct About {
    shape: &'static str,
    world: Option<World>,
    worlds: Vec<World>,
    imports: Vec<String>,
    exports: Vec<String>,
    grants: Vec<NeededGrant>,
    /// Imports that no grant gives: with them it cannot be loaded.
    unsupported: Vec<String>,
    size: u64,
    /// Not there if it does not compile.
    compiled_size: Option<u64>,
    compile_ms: u64,
}

pub(crate) fn inspect(args: &InspectArgs) -> Result<ExitCode> {
    let file = args.file.display();
    let wasm = read_file(&args.file, MAX_WASM).with_context(|| file.to_string())?;
    let inspection = strand_compiler::inspect(&wasm)
        .map_err(|error| anyhow!("{file}: {}", with_help(&error)))?;
    let started = Instant::now();
    let code = compile(&wasm)?;
    let facts = facts(&inspection);
    let about = About {
        shape: match inspection.shape {
            Shape::Component => "component",
            Shape::Module => "module",
        },
        world: World::choose(None, &facts.worlds),
        worlds: facts.worlds,
        grants: needed_grants(&inspection.imports),
        unsupported: unsupported(&inspection.imports),
        imports: inspection.imports,
        exports: inspection.exports,
        size: wasm.len() as u64,
        compiled_size: code.as_ref().ok().map(|code| code.len() as u64),
        compile_ms: millis(started.elapsed()),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&about)?);
    } else {
        print(&about);
    }
    match code {
        Ok(_) => Ok(ExitCode::SUCCESS),
        // After the rest, which may say why: a module that imports what there is not.
        Err(error) => bail!("{file}: {error}"),
    }
}

fn with_help(error: &NotWasm) -> String {
    match error.help() {
        Some(help) => format!("{error}; {help}"),
        None => error.to_string(),
    }
}

/// The compiled code, or why there is none.
fn compile(wasm: &[u8]) -> Result<Result<Vec<u8>, CompileError>> {
    // Nothing of it is worth keeping, and nothing that is kept is needed for it.
    let state = tempfile::tempdir().context("a temporary folder")?;
    let host = super::open_host(
        &NodeArgs {
            bindings: Vec::new(),
            state: Some(state.path().to_owned()),
            config: None,
        },
        NodeConfig::default(),
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(host.compiler().compile(wasm)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn print(about: &About) {
    let world = about
        .world
        .map_or_else(|| "none that Strand runs".to_owned(), |w| w.to_string());
    println!("{:<10} {}", "shape", about.shape);
    println!("{:<10} {world}", "world");
    println!("{:<10} {} bytes", "size", about.size);
    match about.compiled_size {
        Some(size) => println!("{:<10} {size} bytes in {} ms", "compiled", about.compile_ms),
        None => println!("{:<10} no", "compiled"),
    }
    list("imports", &about.imports);
    list("exports", &about.exports);
    if !about.unsupported.is_empty() {
        println!("unsupported: Strand has no such imports, so that it cannot be loaded");
        for import in &about.unsupported {
            println!("  {import}");
        }
    }
    if about.grants.is_empty() {
        println!("{:<10} none", "grants");
    } else {
        println!("grants");
        for grant in &about.grants {
            let weight = if grant.required {
                "needed"
            } else {
                "calls are refused without"
            };
            println!("  {weight}, for {}:", grant.imports.join(", "));
            for line in grant.lines.lines() {
                println!("    {line}");
            }
        }
    }
}

fn list(name: &str, items: &[String]) {
    if items.is_empty() {
        println!("{name:<10} none");
        return;
    }
    println!("{name}");
    for item in items {
        println!("  {item}");
    }
}
