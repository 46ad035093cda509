//! One run of a verb: where the tree is, how long it has taken, and how steps are run and shown.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use strand_builder::{Workspace, forget_outer_cargo, shell_line, workspace};

/// What every step needs.
pub(crate) struct Session {
    /// The repository's folder.
    pub(crate) root: PathBuf,
    /// The one target directory of all workspaces: they share what they have in common, and a
    /// fresh clone whose target directory is a cache shares what an earlier one has built.
    pub(crate) target: PathBuf,
    /// The crates of the main workspace.
    pub(crate) main: Workspace,
    started: Instant,
}

/// Folders of the workspaces beside the main one, as far as they are there.
const OTHERS: [&str; 4] = ["examples", "tests/guests", "bench", "sdk/rust"];

impl Session {
    /// Looks around.
    pub(crate) fn start() -> Result<Session> {
        // Set by cargo at run time: a binary from a shared target directory must not remember the
        // clone that it was built in.
        let own = std::env::var_os("CARGO_MANIFEST_DIR")
            .context("this is run by cargo: `cargo xtask help`")?;
        let root = Path::new(&own)
            .parent()
            .context("xtask is not in a repository")?
            .to_path_buf();
        let main = workspace(&root)?;
        Ok(Session {
            target: main.target_directory.clone(),
            root,
            main,
            started: Instant::now(),
        })
    }

    /// The release binary of the server.
    pub(crate) fn strand(&self) -> PathBuf {
        self.target.join("release/strand")
    }

    /// Where guests for tests and measurements are.
    pub(crate) fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The manifests of the workspaces that are there, the main one first.
    pub(crate) fn manifests(&self) -> Vec<PathBuf> {
        std::iter::once(self.manifest(""))
            .chain(self.others().map(|folder| self.manifest(folder)))
            .collect()
    }

    /// The folders of the workspaces beside the main one.
    pub(crate) fn others(&self) -> impl Iterator<Item = &'static str> {
        let is_there = |folder: &&str| self.manifest(folder).is_file();
        OTHERS.into_iter().filter(is_there)
    }

    /// The manifest of the workspace in a folder of the repository.
    pub(crate) fn manifest(&self, folder: &str) -> PathBuf {
        self.root.join(folder).join("Cargo.toml")
    }

    /// A cargo for the host, in the repository.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        forget_outer_cargo(&mut cargo);
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    /// Shows that a step begins, as cargo does, with the time since the start.
    pub(crate) fn headline(&self, verb: &str, what: &str) {
        let seconds = self.started.elapsed().as_secs();
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let (bold, plain) = if std::io::stderr().is_terminal() {
            ("\x1b[1;32m", "\x1b[0m")
        } else {
            ("", "")
        };
        eprintln!("{bold}{verb:>12}{plain} {what} [{minutes}:{seconds:02}]");
    }

    /// Shows something that is worth knowing.
    pub(crate) fn note(&self, line: &str) {
        eprintln!("{:>12} {}", "", line.replace('\n', "\n             "));
    }

    /// Runs one step to its end; what it prints is shown as it comes.
    pub(crate) fn run(&self, verb: &str, what: &str, command: &mut Command) -> Result<()> {
        self.headline(verb, what);
        let begun = Instant::now();
        let line = shell_line(command);
        let status = command
            .status()
            .with_context(|| format!("`{line}` could not be started"))?;
        if !status.success() {
            bail!(
                "{} {what} failed after {} s ({status})\n  the command was: {line}",
                verb.to_lowercase(),
                begun.elapsed().as_secs()
            );
        }
        Ok(())
    }

    /// Becomes `command`, so that signals reach it and nothing is left between it and the shell.
    pub(crate) fn become_command(&self, command: &mut Command) -> Result<()> {
        let error = command.exec();
        Err(error).with_context(|| format!("`{}` could not be started", shell_line(command)))
    }

    /// Builds the server and tests at once, all or those files: with one set of features, so that
    /// nothing is built twice.
    pub(crate) fn build_tests(&self, only: &[String]) -> Result<()> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--release", "--workspace"]);
        if only.is_empty() {
            cargo.arg("--all-targets");
        } else {
            cargo
                .args(["--bin", "strand"])
                .args(options("--test", only));
        }
        self.run(
            "Building",
            "the server and the tests in release",
            &mut cargo,
        )
    }

    /// What runs one of the programs beside the tests, once the server and the guests are built.
    pub(crate) fn beside_tests(&self, program: &str) -> Command {
        let mut cargo = self.cargo();
        cargo
            .args(["run", "--release", "--package", "strand-tests"])
            .args(["--bin", program, "--"])
            .env("STRAND_BIN", self.strand())
            .env("STRAND_GUESTS", self.guests());
        cargo
    }

    /// Builds the server in release.
    pub(crate) fn build_strand(&self) -> Result<()> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--release", "--package", "strand"]);
        self.run("Building", "the server in release", &mut cargo)
    }

    /// Builds the server as it is shipped, and gives its binary. A profile of its own: what it has
    /// more than release takes minutes to link.
    pub(crate) fn build_shipped(&self) -> Result<PathBuf> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--profile", "dist", "--package", "strand"]);
        self.run("Building", "the server as it is shipped", &mut cargo)?;
        Ok(self.target.join("dist/strand"))
    }
}

/// Each value after the option.
pub(crate) fn options<'a>(option: &'a str, values: &'a [String]) -> impl Iterator<Item = &'a str> {
    values.iter().flat_map(move |value| [option, value])
}
