//! Measurements, which are a workspace of their own.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::guests;
use crate::session::Session;

/// Builds what is measured, then becomes the measuring program with `arguments`.
pub(crate) fn run(session: &Session, arguments: &[OsString]) -> Result<()> {
    let manifest = session.root.join("bench/Cargo.toml");
    if !manifest.is_file() {
        bail!(
            "there is nothing to measure with: {} is not there",
            manifest.display()
        );
    }
    let strand = session.build_shipped()?;
    guests::build(session, &[])?;
    session.headline("Building", "the measurements");
    let mut cargo = session.cargo();
    cargo
        .args(["run", "--release", "--manifest-path"])
        .arg(&manifest)
        .arg("--")
        .args(arguments)
        .env("STRAND_BIN", strand)
        .env("STRAND_GUESTS", session.guests());
    session.become_command(&mut cargo)
}
