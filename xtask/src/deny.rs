//! What comes with our dependencies: licences, sources, advisories. cargo-deny looks.

use std::time::Duration;

use anyhow::Result;
use strand_builder::run_within;

use crate::session::Session;
use crate::tools;

/// What is installed: its options are not the same in all versions.
const VERSION: &str = "0.20.2";

/// Time to fetch the database of advisories: some 10 MB over a slow line.
const FETCH_LIMIT: Duration = Duration::from_secs(180);

/// Licences and sources of what we depend on, where cargo-deny is installed.
pub(crate) fn dependencies(session: &Session) -> Result<()> {
    if tools::is_there(session, "deny") {
        return licences_and_sources(session);
    }
    session.headline("Skipping", "licences and sources of dependencies");
    session.note("cargo-deny is not installed; `cargo xtask deny` installs and runs it");
    Ok(())
}

/// As [`dependencies`], after installing cargo-deny if it is not there, and advisories as well
/// where their database can be had.
pub(crate) fn run(session: &Session) -> Result<()> {
    tools::ensure(session, "deny", Some(VERSION))?;
    licences_and_sources(session)?;
    advisories(session)
}

fn licences_and_sources(session: &Session) -> Result<()> {
    let arguments = ["check", "bans", "licenses", "sources"];
    check(session, "dependencies", &arguments)
}

fn advisories(session: &Session) -> Result<()> {
    session.headline("Fetching", "advisories about dependencies");
    let mut fetch = session.cargo();
    fetch
        .args(["deny", "--config"])
        .arg(session.root.join("deny.toml"))
        .args(["fetch", "db"]);
    let problem = match run_within(&mut fetch, FETCH_LIMIT) {
        Ok(fetched) if fetched.success => {
            let arguments = ["--offline", "check", "advisories"];
            return check(session, "advisories about dependencies", &arguments);
        }
        Ok(fetched) => format!("{}: {}", fetched.how, reason(&fetched.tail)),
        Err(error) => error.to_string(),
    };
    // No fault of this tree: whoever has no way to the database has not asked for it either.
    session.note(&format!(
        "advisories are not checked, their database cannot be had ({problem})"
    ));
    Ok(())
}

/// The line of cargo-deny's output that says why.
fn reason(output: &str) -> &str {
    let error = output.lines().find(|line| line.contains("[ERROR]"));
    error.or(output.lines().last()).unwrap_or("it said nothing")
}

/// `cargo deny` of each workspace.
fn check(session: &Session, what: &str, arguments: &[&str]) -> Result<()> {
    for manifest in session.manifests() {
        let mut cargo = session.cargo();
        cargo
            .args(["deny", "--manifest-path"])
            .arg(&manifest)
            .arg("--config")
            .arg(session.root.join("deny.toml"))
            .args(arguments);
        let what = format!("{what} of {}", manifest.display());
        session.run("Checking", &what, &mut cargo)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_one_line() {
        let output = "2026-01-01 [INFO] fetching\n2026-01-01 [ERROR] no network\nmore\n";
        assert_eq!(reason(output), "2026-01-01 [ERROR] no network");
        assert_eq!(reason("killed"), "killed");
        assert_eq!(reason(""), "it said nothing");
    }
}
