//! What is checked before anything is run.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use strand_builder::{Target, Toolchain};

use crate::session::Session;

/// Crates without I/O, which a browser needs too.
const PURE: [&str; 1] = ["strand-directive"];

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

/// Lints, with the profile of the tests so that build scripts and macros are built only once.
pub(crate) fn lints(session: &Session) -> Result<()> {
    let mut cargo = session.cargo();
    cargo.args(["clippy", "--workspace", "--all-targets", "--release"]);
    cargo.args(["--", "-D", "warnings"]);
    session.run("Checking", "with clippy", &mut cargo)
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

/// The engine needs no compiler: the light build leaves it out.
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
    match found.as_slice() {
        [] => Ok(()),
        [first, ..] => bail!(
            "strand-engine depends on {}; `cargo tree -p strand-engine -e normal -i {}` says why",
            found.join(", "),
            first
        ),
    }
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

/// Licences and sources of what we depend on, where cargo-deny is installed.
pub(crate) fn dependencies(session: &Session) -> Result<()> {
    if has_cargo_deny(session) {
        return run_cargo_deny(session);
    }
    session.headline("Skipping", "licences and sources of dependencies");
    session.note("cargo-deny is not installed; `cargo xtask deny` installs and runs it");
    Ok(())
}

/// As [`dependencies`], after installing cargo-deny if it is not there.
pub(crate) fn deny(session: &Session) -> Result<()> {
    if !has_cargo_deny(session) {
        let mut cargo = Command::new("cargo");
        strand_builder::forget_outer_cargo(&mut cargo);
        cargo
            .args(["install", "cargo-deny", "--locked"])
            .env_remove("CARGO_TARGET_DIR");
        session.run("Installing", "cargo-deny, which takes minutes", &mut cargo)?;
    }
    run_cargo_deny(session)
}

fn has_cargo_deny(session: &Session) -> bool {
    session
        .cargo()
        .args(["deny", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn run_cargo_deny(session: &Session) -> Result<()> {
    for manifest in session.manifests() {
        let mut cargo = session.cargo();
        cargo
            .args(["deny", "--manifest-path"])
            .arg(&manifest)
            .arg("--config")
            .arg(session.root.join("deny.toml"))
            .args(["check", "bans", "licenses", "sources"]);
        let what = format!("dependencies of {}", manifest.display());
        session.run("Checking", &what, &mut cargo)?;
    }
    Ok(())
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
