//! `strand inspect`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use strand_compiler::Shape;
use strand_directive::{NeededGrant, World, needed_grants};
use strand_node::facts;

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
    size: u64,
    compiled_size: u64,
    compile_ms: u64,
}

pub(crate) fn inspect(args: &InspectArgs) -> Result<ExitCode> {
    let file = args.file.display();
    let wasm = std::fs::read(&args.file).with_context(|| file.to_string())?;
    let inspection = strand_compiler::inspect(&wasm).with_context(|| file.to_string())?;
    let host = super::open_host(&NodeArgs {
        bindings: Vec::new(),
        state: None,
        config: None,
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let started = std::time::Instant::now();
    let code = match runtime.block_on(host.compiler().compile(&wasm)) {
        Ok(code) => code,
        Err(error) => bail!("{file}: {error}"),
    };
    let facts = facts(&inspection);
    let about = About {
        shape: match inspection.shape {
            Shape::Component => "component",
            Shape::Module => "module",
        },
        world: World::choose(None, &facts.worlds),
        worlds: facts.worlds,
        grants: needed_grants(&inspection.imports),
        imports: inspection.imports,
        exports: inspection.exports,
        size: wasm.len() as u64,
        compiled_size: code.len() as u64,
        compile_ms: millis(started.elapsed()),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&about)?);
    } else {
        print(&about);
    }
    Ok(ExitCode::SUCCESS)
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
    println!(
        "{:<10} {} bytes in {} ms",
        "compiled", about.compiled_size, about.compile_ms
    );
    list("imports", &about.imports);
    list("exports", &about.exports);
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
