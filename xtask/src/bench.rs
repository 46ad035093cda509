//! Measurements, which are a workspace of their own.

use std::ffi::OsString;

use anyhow::Result;

use crate::guests;
use crate::session::Session;

/// The measuring program's own reading of its command line.
#[allow(dead_code)] // it measures by what it read; here it is enough that it could be read
#[path = "../../bench/src/arguments.rs"]
mod command_line;

/// Builds what is measured, then becomes the measuring program with `arguments`. Help, and what is
/// wrong with the arguments, come first: building takes minutes.
pub(crate) fn run(session: &Session, arguments: &[OsString]) -> Result<()> {
    if command_line::parse(arguments.iter().cloned())?.help {
        println!("{}", command_line::HELP);
        return Ok(());
    }
    let strand = session.build_shipped()?;
    guests::build_rust(session)?;
    session.headline("Building", "the measurements");
    let mut cargo = session.cargo();
    cargo
        .args(["run", "--release", "--manifest-path"])
        .arg(session.manifest("bench"))
        .arg("--")
        .args(arguments)
        .env("STRAND_BIN", strand)
        .env("STRAND_GUESTS", session.guests());
    session.become_command(&mut cargo)
}
