//! Builds the guests of the examples and the tests into one folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use strand_builder::{Toolchain, apt, workspace};

use crate::peers;
use crate::session::Session;

/// Workspaces of guests: each of their crates that is a `cdylib` or a binary.
const WORKSPACES: [&str; 2] = ["examples", "tests/guests"];

/// The folder of guests in C, each a file.
const C_SOURCES: &str = "tests/guests/c";

/// Builds all guests as `target/guests/NAME.wasm`, NAME being the crate's or the C file's, and
/// removes what no longer has a source. `allowed` may hold `clang`, to leave guests in C out.
pub(crate) fn build(session: &Session, allowed: &[&'static str]) -> Result<Vec<&'static str>> {
    let folder = folder(session)?;
    // Name of the guest to its source, for two of a name would overwrite each other.
    let mut guests = BTreeMap::new();
    rust_guests(session, &folder, &mut guests)?;
    let without = c_guests(session, &folder, &mut guests, allowed)?;
    finish(session, &folder, guests.len(), &guests)?;
    Ok(without)
}

/// The same of guests in Rust alone, for what runs no others and should not need clang. Those in C
/// that are there stay.
pub(crate) fn build_rust(session: &Session) -> Result<()> {
    let folder = folder(session)?;
    let mut guests = BTreeMap::new();
    rust_guests(session, &folder, &mut guests)?;
    let built = guests.len();
    for (name, source) in c_sources(&session.root.join(C_SOURCES))? {
        claim(&mut guests, &name, &source)?;
    }
    finish(session, &folder, built, &guests)
}

fn folder(session: &Session) -> Result<PathBuf> {
    let folder = session.guests();
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    Ok(folder)
}

/// Removes what is none of `guests`, and says how many were built.
fn finish(
    session: &Session,
    folder: &Path,
    built: usize,
    guests: &BTreeMap<String, PathBuf>,
) -> Result<()> {
    remove_others(folder, guests)?;
    session.headline(
        "Finished",
        &format!("{built} guests in {}", folder.display()),
    );
    Ok(())
}

fn rust_guests(
    session: &Session,
    folder: &Path,
    guests: &mut BTreeMap<String, PathBuf>,
) -> Result<()> {
    let mut members = Vec::new();
    for name in WORKSPACES {
        let source = session.root.join(name);
        if !source.join("Cargo.toml").is_file() {
            session.note(&format!("{name} has no Cargo.toml: no guests from there"));
            continue;
        }
        members.extend(workspace(&source)?.members.into_iter().filter(|m| m.runs));
    }
    if members.is_empty() {
        return Ok(());
    }
    session.headline("Building", &format!("{} guests in Rust", members.len()));
    let toolchain =
        Toolchain::find(&|line| session.note(line))?.in_target_directory(session.target.clone());
    for member in members {
        claim(guests, &member.name, &member.folder)?;
        session.note(&member.name);
        let built = toolchain
            .build(&member.folder, &|line| session.note(line))
            .with_context(|| format!("guest {}", member.name))?;
        let bytes = fs::read(&built).with_context(|| format!("{}", built.display()))?;
        install(&folder.join(format!("{}.wasm", member.name)), &bytes)?;
    }
    Ok(())
}

fn c_guests(
    session: &Session,
    folder: &Path,
    guests: &mut BTreeMap<String, PathBuf>,
    allowed: &[&'static str],
) -> Result<Vec<&'static str>> {
    let sources = c_sources(&session.root.join(C_SOURCES))?;
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    session.headline("Building", &format!("{} guests in C", sources.len()));
    let without = peers::ensure(session, &[&peers::CLANG], allowed)?;
    if !without.is_empty() {
        return Ok(without);
    }
    ensure_builtins(session)?;
    for (name, source) in sources {
        claim(guests, &name, &source)?;
        let guest = folder.join(format!("{name}.wasm"));
        if is_newer(&guest, &source) {
            continue;
        }
        let partial = guest.with_extension("partial");
        let mut clang = Command::new("clang");
        clang
            .args(["--target=wasm32-wasi", "-O2", "-o"])
            .args([&partial, &source]);
        session.run("Compiling", &name, &mut clang)?;
        fs::rename(&partial, &guest).with_context(|| format!("{}", guest.display()))?;
    }
    Ok(Vec::new())
}

/// Guests' names and files, by name. No folder is as good as an empty one.
fn c_sources(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut sources = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(sources);
    }
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let file = entry?.path();
        if file.extension().is_some_and(|it| it == "c")
            && let Some(name) = file.file_stem().and_then(|stem| stem.to_str())
        {
            sources.insert(name.to_owned(), file.clone());
        }
    }
    Ok(sources)
}

/// clang's run-time library for WebAssembly is a package of its own, named after clang's version.
fn ensure_builtins(session: &Session) -> Result<()> {
    let resources = clang_says("--print-resource-dir")?;
    if Path::new(&resources)
        .join("lib/wasi/libclang_rt.builtins-wasm32.a")
        .exists()
    {
        return Ok(());
    }
    let version = clang_says("-dumpversion")?;
    let major = version.split('.').next().unwrap_or(&version);
    let package = format!("libclang-rt-{major}-dev-wasm32");
    session.headline("Installing", &package);
    apt::install(&[&package], &|line| session.note(line))
        .context("guests in C need clang's run-time library for WebAssembly")
}

fn clang_says(question: &str) -> Result<String> {
    let output = Command::new("clang")
        .arg(question)
        .output()
        .with_context(|| format!("`clang {question}` could not be started"))?;
    if !output.status.success() {
        bail!("`clang {question}` failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn claim(guests: &mut BTreeMap<String, PathBuf>, name: &str, source: &Path) -> Result<()> {
    match guests.insert(name.to_owned(), source.to_path_buf()) {
        None => Ok(()),
        Some(other) => bail!(
            "two guests are called {name}: {} and {}; rename one",
            other.display(),
            source.display()
        ),
    }
}

/// Writes `bytes` unless they are there, all at once, so that no test sees half a guest.
fn install(guest: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(guest).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let partial = guest.with_extension("partial");
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, guest))
        .with_context(|| format!("{}", guest.display()))
}

fn is_newer(guest: &Path, source: &Path) -> bool {
    let time = |file: &Path| fs::metadata(file).and_then(|data| data.modified());
    matches!((time(guest), time(source)), (Ok(made), Ok(changed)) if made > changed)
}

/// A guest without a source would let tests pass that a fresh clone fails.
fn remove_others(folder: &Path, guests: &BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let file = entry?.path();
        let known = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| guests.contains_key(stem));
        if !known && file.extension().is_some_and(|it| it == "wasm") {
            fs::remove_file(&file).with_context(|| format!("{}", file.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_without_a_source_go_and_the_others_stay() {
        let folder = std::env::temp_dir().join(format!("strand-guests-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        install(&folder.join("kept.wasm"), b"1").unwrap();
        install(&folder.join("old.wasm"), b"2").unwrap();
        let mut guests = BTreeMap::new();
        claim(&mut guests, "kept", Path::new("a")).unwrap();
        remove_others(&folder, &guests).unwrap();
        assert_eq!(fs::read(folder.join("kept.wasm")).unwrap(), b"1");
        assert!(!folder.join("old.wasm").exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn two_guests_of_a_name_are_refused() {
        let mut guests = BTreeMap::new();
        claim(&mut guests, "x", Path::new("a/x")).unwrap();
        let error = claim(&mut guests, "x", Path::new("b/x.c")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "two guests are called x: a/x and b/x.c; rename one"
        );
    }
}
