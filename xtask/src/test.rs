//! Every check and every test, the quick ones first; the first failure ends it.

use anyhow::Result;
use strand_builder::workspace;

use crate::session::Session;
use crate::{checks, guests, peers};

/// Runs everything. `allowed` names the peers that may be missing, `filter` the tests to run.
pub(crate) fn run(session: &Session, allowed: &[&'static str], filter: Option<&str>) -> Result<()> {
    checks::formatting(session)?;
    checks::lints(session)?;
    checks::documentation(session)?;
    checks::pure_crates(session)?;
    checks::engine_without_compiler(session)?;
    checks::dependencies(session)?;
    let mut without = guests::build(session, allowed)?;
    without.extend(peers::ensure(
        session,
        &[peers::WGSIM, peers::BOWTIE2_EXAMPLES, peers::CHROMIUM],
        allowed,
    )?);
    session.build_tests()?;
    libraries_of_examples(session, allowed, filter)?;

    let mut cargo = session.cargo();
    cargo
        .args(["test", "--release", "--workspace"])
        .args(filter)
        .env("STRAND_BIN", session.strand())
        .env("STRAND_GUESTS", session.guests())
        .env("STRAND_ALLOW_MISSING", allowed.join(","));
    if !without.is_empty() {
        session.note(&format!("tests skip what needs {}", without.join(", ")));
    }
    session.run("Testing", "the workspace", &mut cargo)
}

/// The examples' crates that are libraries run natively too, and have tests of their own.
fn libraries_of_examples(
    session: &Session,
    allowed: &[&'static str],
    filter: Option<&str>,
) -> Result<()> {
    let folder = session.root.join("examples");
    let libraries = workspace(&folder)?.members.into_iter().filter(|m| !m.runs);
    let mut cargo = session.cargo();
    cargo
        .args(["test", "--release", "--manifest-path"])
        .arg(folder.join("Cargo.toml"));
    let mut names = Vec::new();
    for library in libraries {
        cargo.args(["--package", &library.name]);
        names.push(library.name);
    }
    if names.is_empty() {
        return Ok(());
    }
    cargo
        .args(filter)
        .env("STRAND_ALLOW_MISSING", allowed.join(","));
    session.run("Testing", &names.join(", "), &mut cargo)
}
