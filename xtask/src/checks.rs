//! What is checked before anything is run.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use strand_builder::{Target, Toolchain, workspace};

use crate::session::Session;

/// Crates without I/O, which a browser needs too.
const PURE: [&str; 2] = ["strand-directive", "strand-bindle"];

/// `rustfmt` has nothing to change in any of the workspaces.
pub(crate) fn formatting(session: &Session) -> Result<()> {
    for manifest in session.manifests() {
        let mut cargo = session.cargo();
        cargo
            .args(["fmt", "--all", "--check", "--manifest-path"])
            .arg(&manifest);
        let what = format!("formatting of {}", manifest.display());
        session.run("Checking", &what, &mut cargo)?;
    }
    Ok(())
}

/// Guests that only compile for WebAssembly, so that clippy, which runs natively, cannot look at
/// them: they trap by `core::arch::wasm32::unreachable`.
const WASM_ONLY: [&str; 3] = ["hostile02", "hostile03", "hostile-task"];

/// Lints, with the profile of the tests so that build scripts and macros are built only once.
pub(crate) fn lints(session: &Session) -> Result<()> {
    clippy(session, "", &[])?;
    for folder in session.others() {
        let members = workspace(&session.root.join(folder))?.members;
        let left_out: Vec<&str> = WASM_ONLY
            .into_iter()
            .filter(|name| members.iter().any(|member| member.name == *name))
            .collect();
        clippy(session, folder, &left_out)?;
    }
    Ok(())
}

fn clippy(session: &Session, folder: &str, left_out: &[&str]) -> Result<()> {
    let mut cargo = session.cargo();
    cargo
        .args(["clippy", "--workspace", "--all-targets", "--release"])
        .arg("--manifest-path")
        .arg(session.manifest(folder));
    for name in left_out {
        cargo.args(["--exclude", name]);
    }
    cargo.args(["--", "-D", "warnings"]);
    let what = match folder {
        "" => "with clippy".to_owned(),
        folder => format!("{folder} with clippy"),
    };
    session.run("Checking", &what, &mut cargo)?;
    if !left_out.is_empty() {
        session.note(&format!(
            "without {}, which only compile for WebAssembly",
            left_out.join(", ")
        ));
    }
    Ok(())
}

/// The documentation has no warnings.
pub(crate) fn documentation(session: &Session) -> Result<()> {
    let mut cargo = session.cargo();
    cargo
        .args(["doc", "--no-deps", "--workspace", "--release"])
        .env("RUSTDOCFLAGS", "-Dwarnings");
    session.run("Checking", "the documentation", &mut cargo)
}

/// The pure crates compile where there is no system.
pub(crate) fn pure_crates(session: &Session) -> Result<()> {
    session.headline(
        "Checking",
        &format!("{} for {}", PURE.join(", "), Target::Unknown),
    );
    let note = |line: &str| session.note(line);
    let toolchain =
        Toolchain::find_for(Target::Unknown, &note)?.in_target_directory(session.target.clone());
    for name in PURE {
        let member = session
            .main
            .members
            .iter()
            .find(|member| member.name == name)
            .with_context(|| format!("the workspace has no crate {name}"))?;
        toolchain.check(&member.folder, Target::Unknown, &note)?;
    }
    Ok(())
}

/// The engine needs no compiler: the light build leaves it out. It compiles without, and without
/// what the other crates switch on in what it depends on.
pub(crate) fn engine_without_compiler(session: &Session) -> Result<()> {
    session.headline("Checking", "that the engine brings no compiler");
    let output = session
        .cargo()
        .args(["tree", "-p", "strand-engine", "-e", "normal"])
        .args(["--prefix", "none", "--format", "{p}"])
        .stderr(Stdio::inherit())
        .output()
        .context("`cargo tree` could not be started")?;
    if !output.status.success() {
        bail!("`cargo tree -p strand-engine` failed ({})", output.status);
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    let found = compilers(&tree);
    if let [first, ..] = found.as_slice() {
        bail!(
            "strand-engine depends on {}; `cargo tree -p strand-engine -e normal -i {first}` says why",
            found.join(", ")
        );
    }
    let mut cargo = session.cargo();
    cargo.args(["check", "--release", "--package", "strand-engine"]);
    session.run("Checking", "the engine alone", &mut cargo)
}

/// Cranelift's containers. Wasmtime keeps its tables in them with and without a compiler.
const CONTAINERS: [&str; 3] = ["cranelift-bforest", "cranelift-bitset", "cranelift-entity"];

/// The crates of Cranelift that compile, in the output of `cargo tree --prefix none`.
fn compilers(tree: &str) -> Vec<&str> {
    let mut found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.contains("cranelift") && !CONTAINERS.contains(name))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_in_the_tree_is_found_once() {
        let tree = "strand-engine v0.1.0 (/x/cranelift)\nwasmtime v48.0.8\n\
                    wasmtime-internal-cranelift v48.0.8\ncranelift-codegen v0.135.8\n\
                    cranelift-codegen v0.135.8 (*)\ncranelift-entity v0.135.8\n";
        assert_eq!(
            compilers(tree),
            ["cranelift-codegen", "wasmtime-internal-cranelift"]
        );
        assert!(compilers("strand-engine v0.1.0 (/x)\nwasmtime v48.0.8").is_empty());
    }
}
