//! Every check and every test, the quick ones first; the first failure ends it.

use std::process::Command;

use anyhow::Result;
use strand_builder::workspace;

use crate::arguments::Tests;
use crate::session::{Session, options};
use crate::{checks, deny, guests, peers};

/// The workspace of the measurements, whose tests are those of its one binary.
const BENCH: &str = "bench";

/// Runs everything, or only the files of tests that are asked for.
pub(crate) fn run(session: &Session, tests: &Tests) -> Result<()> {
    if tests.only.is_empty() {
        check(session)?;
    }
    let mut without = guests::build(session, &tests.allowed)?;
    let needed = peers::of_tests(&tests.only);
    without.extend(peers::ensure(session, &needed, &tests.allowed)?);
    session.build_tests(&tests.only)?;
    if tests.only.is_empty() {
        other_workspaces(session, tests)?;
    }
    if !without.is_empty() {
        session.note(&format!("tests skip what needs {}", without.join(", ")));
    }
    let mut cargo = cargo_test(session, tests, "");
    cargo
        .arg("--workspace")
        .args(options("--test", &tests.only))
        .env("STRAND_BIN", session.strand())
        .env("STRAND_GUESTS", session.guests());
    session.run("Testing", "the workspace", &mut cargo)
}

fn check(session: &Session) -> Result<()> {
    checks::formatting(session)?;
    checks::lints(session)?;
    checks::documentation(session)?;
    checks::pure_crates(session)?;
    checks::engine_without_compiler(session)?;
    deny::dependencies(session)
}

/// What beside the main workspace runs natively too: libraries, and the measurements.
fn other_workspaces(session: &Session, tests: &Tests) -> Result<()> {
    for folder in session.others() {
        let mut cargo = cargo_test(session, tests, folder);
        let what = if folder == BENCH {
            // Without the engine, which is measured in process and would be compiled anew for it.
            cargo.arg("--no-default-features");
            BENCH.to_owned()
        } else {
            let members = workspace(&session.root.join(folder))?.members;
            let libraries = members.into_iter().filter(|member| member.library);
            let names: Vec<String> = libraries.map(|member| member.name).collect();
            if names.is_empty() {
                continue;
            }
            cargo.args(options("--package", &names));
            names.join(", ")
        };
        session.run("Testing", &what, &mut cargo)?;
    }
    Ok(())
}

/// `cargo test` of the workspace in a folder of the repository.
fn cargo_test(session: &Session, tests: &Tests, folder: &str) -> Command {
    let mut cargo = session.cargo();
    cargo
        .args(["test", "--release", "--manifest-path"])
        .arg(session.manifest(folder))
        .args(&tests.filter)
        .env("STRAND_ALLOW_MISSING", tests.allowed.join(","));
    cargo
}
