//! Verbs of cargo that are programs of their own.

use std::process::Command;

use anyhow::Result;
use strand_builder::forget_outer_cargo;

use crate::session::Session;

/// Sees to it that `cargo NAME` is there; where it is not, that version or else the newest comes.
pub(crate) fn ensure(session: &Session, name: &str, version: Option<&str>) -> Result<()> {
    if is_there(session, name) {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    let mut cargo = Command::new("cargo");
    forget_outer_cargo(&mut cargo);
    cargo
        .args(["install", &package, "--locked"])
        .args(version.map(|version| format!("--version={version}")))
        .env_remove("CARGO_TARGET_DIR");
    let what = format!("{package}, which takes minutes");
    session.run("Installing", &what, &mut cargo)
}

/// Whether there is a `cargo NAME`.
pub(crate) fn is_there(session: &Session, name: &str) -> bool {
    session
        .cargo()
        .args([name, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}
