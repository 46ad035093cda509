//! Finds what compiles guests on this machine, and makes cargo's command lines for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::apt::{self, AptError};
use crate::decision::{Adding, Facts, Step, next};
use crate::environment;
use crate::process;
use crate::rust::{self, Rust, debian};
use crate::stamp;
use crate::target::Target;
use crate::way_out;

/// Time for `rustup target add`: some 25 MB over a slow line.
const ADD_LIMIT: Duration = Duration::from_secs(180);

/// How guests are compiled here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// By the user's cargo, whose toolchain has the target.
    Installed,
    /// By Debian's compiler, which builds the standard library from Debian's source, with the
    /// linkers of the user's toolchain.
    Debian {
        /// The folder of `rust-lld` and `wasm-component-ld`.
        linkers: String,
    },
}

/// A toolchain for guests.
#[derive(Debug, Clone)]
pub struct Toolchain {
    route: Route,
    rust: Rust,
    target_directory: Option<PathBuf>,
}

/// Why there is no toolchain for guests. The text says what was tried and what to run.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// There is no working `rustc` at all.
    #[error("no Rust: {problem}\ninstall it from https://rustup.rs, then run this again")]
    NoRust {
        /// What was wrong with `rustc`.
        problem: String,
    },
    /// Debian's packages could not be installed.
    #[error("Debian's packages for building {target} guests could not be installed: {source}")]
    Install {
        /// The target that was asked for.
        target: Target,
        /// What apt said.
        source: AptError,
    },
    /// Nothing that was tried leads to a toolchain.
    #[error("no toolchain for {target} guests:{tried}\n{}", way_out::run_this(.commands))]
    None {
        /// The target that was asked for.
        target: Target,
        /// What was tried and why it failed, a line each.
        tried: Reasons,
        /// What mends it, for a shell; mostly one line.
        commands: Vec<String>,
    },
}

/// Lines of explanation in an error.
#[derive(Debug, Default)]
pub struct Reasons(pub(crate) Vec<String>);

impl std::fmt::Display for Reasons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for reason in &self.0 {
            write!(f, "\n  - {}", reason.replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

impl Toolchain {
    /// Finds a toolchain for components (`wasm32-wasip2`), or sets one up. Tells `progress` what
    /// takes long before it is done, and at last which one it took.
    ///
    /// In this order: the target of the user's Rust toolchain; `rustup target add` (three minutes
    /// at most; a failure is remembered for a day where there is another way); Debian's packages,
    /// installed if this is root on a Debian-like system.
    ///
    /// # Errors
    /// With what was tried and the one command to run.
    pub fn find(progress: &dyn Fn(&str)) -> Result<Toolchain, ToolchainError> {
        Self::find_for(Target::Wasip2, progress)
    }

    /// As [`Toolchain::find`], for any of the targets.
    ///
    /// # Errors
    /// With what was tried and the one command to run.
    pub fn find_for(target: Target, progress: &dyn Fn(&str)) -> Result<Toolchain, ToolchainError> {
        let rust = Rust::active().map_err(|problem| ToolchainError::NoRust { problem })?;
        let linkers = rust.linkers();
        let stamp = stamp::path(target);
        let failed_earlier = stamp
            .as_deref()
            .is_some_and(|stamp| stamp::is_fresh(stamp, &rust.sysroot));
        let mut tried = Reasons::default();
        let mut facts = Facts {
            target_installed: rust.has_std(target),
            rustup: rust::has_rustup(),
            adding: if failed_earlier {
                Adding::FailedEarlier
            } else {
                Adding::Untried
            },
            linkers: linkers.is_some(),
            debian_packages: debian::missing().is_none(),
            can_install: apt::available() && apt::is_root(),
        };
        loop {
            match (next(&facts), &linkers) {
                (Step::UseInstalled, _) => {
                    return Ok(Self::taken(Route::Installed, rust, target, progress));
                }
                (Step::UseDebian, Some(linkers)) => {
                    let linkers = linkers.clone();
                    return Ok(Self::taken(
                        Route::Debian { linkers },
                        rust,
                        target,
                        progress,
                    ));
                }
                (Step::AddTarget, _) => {
                    match add_target(target, progress) {
                        Ok(()) => facts.target_installed = rust.has_std(target),
                        Err(problem) => {
                            progress(&problem);
                            tried.0.push(problem);
                            remember(stamp.as_deref(), &rust, progress);
                        }
                    }
                    facts.adding = Adding::FailedNow;
                }
                (Step::InstallDebian, _) => {
                    progress(&format!(
                        "{target} is to be had from Debian: installing {}",
                        debian::PACKAGES.join(", ")
                    ));
                    apt::install(&debian::PACKAGES, progress)
                        .map_err(|source| ToolchainError::Install { target, source })?;
                    facts.debian_packages = debian::missing().is_none();
                    facts.can_install = false;
                }
                (Step::UseDebian | Step::GiveUp, _) => {
                    return Err(way_out::no_way(target, &facts, tried.0, &rust));
                }
            }
        }
    }

    fn taken(route: Route, rust: Rust, target: Target, progress: &dyn Fn(&str)) -> Toolchain {
        let toolchain = Toolchain {
            route,
            rust,
            target_directory: None,
        };
        progress(&toolchain.describe(target));
        toolchain
    }

    /// Lets it build below `strand-guests` in `directory`, whatever workspace a crate is of. Guests
    /// of several workspaces then share one build of the standard library.
    #[must_use]
    pub fn in_target_directory(mut self, directory: PathBuf) -> Toolchain {
        self.target_directory = Some(directory);
        self
    }

    /// Where guests of a workspace with this target directory are built.
    pub(crate) fn guests_directory(&self, of_workspace: &Path) -> PathBuf {
        self.target_directory
            .as_deref()
            .unwrap_or(of_workspace)
            .join("strand-guests")
    }

    /// How guests are compiled.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Itself if it can build for `target`, else one that can.
    pub(crate) fn or_find(
        &self,
        target: Target,
        progress: &dyn Fn(&str),
    ) -> Result<Toolchain, ToolchainError> {
        match self.route {
            Route::Installed if !self.rust.has_std(target) => Ok(Toolchain {
                target_directory: self.target_directory.clone(),
                ..Self::find_for(target, progress)?
            }),
            Route::Installed | Route::Debian { .. } => Ok(self.clone()),
        }
    }

    /// A cargo without arguments, in `folder`, that inherits nothing meant for the host.
    pub(crate) fn cargo(&self, folder: &Path) -> Command {
        let mut command = match self.route {
            Route::Installed => Command::new("cargo"),
            Route::Debian { .. } => Command::new(debian::CARGO),
        };
        environment::for_guests(&mut command);
        command.current_dir(folder);
        if let Route::Debian { .. } = self.route {
            // The standard library and -Z need what is called unstable. Libraries of the other
            // toolchain, which an outer `cargo run` puts on the path, must not meet this compiler.
            command
                .env("RUSTC", debian::RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env_remove("LD_LIBRARY_PATH");
        }
        command
    }

    /// Arguments after cargo's verb that choose `target` and how its standard library comes about.
    /// They are the same for all guests, so that the standard library is built only once in a
    /// target directory.
    pub(crate) fn target_arguments(&self, target: Target) -> Vec<String> {
        let mut arguments = vec!["--target".to_owned(), target.to_string()];
        if let Route::Debian { linkers } = &self.route {
            let linker = match target {
                Target::Wasip2 => "wasm-component-ld",
                Target::Wasip1 | Target::Unknown => "rust-lld",
            };
            let linker = toml_string(&format!("{linkers}/{linker}"));
            arguments.extend([
                "-Zbuild-std=std,panic_abort".to_owned(),
                "--config".to_owned(),
                format!("target.{target}.linker={linker}"),
            ]);
            if target != Target::Unknown {
                let libraries = toml_string(&format!("-L{}", debian::WASI_LIB));
                arguments.extend([
                    "--config".to_owned(),
                    format!(
                        "target.{target}.rustflags=[\"-Clink-self-contained=no\", {libraries}]"
                    ),
                ]);
            }
        }
        arguments
    }

    /// Arguments for the compiler of the last crate alone: the start file, which is not the same
    /// for a command and a reactor.
    pub(crate) fn link_arguments(&self, target: Target, reactor: bool) -> Vec<String> {
        let Route::Debian { linkers } = &self.route else {
            return Vec::new();
        };
        let start = if reactor { "reactor" } else { "command" };
        let mut arguments = vec![format!("-Clink-arg={}/crt1-{start}.o", debian::WASI_LIB)];
        if target == Target::Wasip2 {
            arguments.push(format!(
                "-Clink-arg=--wasm-ld-path={linkers}/gcc-ld/wasm-ld"
            ));
        }
        arguments
    }

    fn describe(&self, target: Target) -> String {
        match &self.route {
            Route::Installed => format!("guests by the {target} target of {}", self.rust.sysroot),
            Route::Debian { .. } => format!(
                "guests by Debian's compiler, {target} with its own build of the standard library"
            ),
        }
    }
}

fn add_target(target: Target, progress: &dyn Fn(&str)) -> Result<(), String> {
    let mut command = Command::new("rustup");
    environment::for_guests(&mut command);
    command
        .args(["target", "add", target.triple()])
        .env_remove("RUST_BACKTRACE");
    let line = process::shell_line(&command);
    progress(&format!(
        "trying `{line}` ({} s at most)",
        ADD_LIMIT.as_secs()
    ));
    match process::run(&mut command, ADD_LIMIT) {
        Err(error) => Err(format!("`{line}` could not be started: {error}")),
        Ok(finished) if finished.success => Ok(()),
        Ok(finished) => Err(format!(
            "`{line}` failed ({}): {}",
            finished.how,
            reason(&finished.tail)
        )),
    }
}

/// The line of rustup's output that says why.
fn reason(output: &str) -> &str {
    let error = output.lines().find(|line| line.starts_with("error"));
    error.or(output.lines().last()).unwrap_or("it said nothing")
}

fn remember(stamp: Option<&Path>, rust: &Rust, progress: &dyn Fn(&str)) {
    let Some(stamp) = stamp else { return };
    if let Err(error) = stamp::set(stamp, &rust.sysroot) {
        // Costs the next run a wait, nothing else.
        progress(&format!(
            "cannot remember that in {}: {error}",
            stamp.display()
        ));
    }
}

/// `text` as a basic string of TOML.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian() -> Toolchain {
        Toolchain {
            route: Route::Debian {
                linkers: "/t/bin".to_owned(),
            },
            rust: Rust::active().unwrap(),
            target_directory: None,
        }
    }

    #[test]
    fn only_the_last_link_differs_between_commands_and_reactors() {
        let toolchain = debian();
        assert_eq!(
            toolchain.link_arguments(Target::Wasip2, true),
            [
                "-Clink-arg=/usr/lib/wasm32-wasi/crt1-reactor.o",
                "-Clink-arg=--wasm-ld-path=/t/bin/gcc-ld/wasm-ld"
            ]
        );
        assert_eq!(
            toolchain.link_arguments(Target::Wasip1, false),
            ["-Clink-arg=/usr/lib/wasm32-wasi/crt1-command.o"]
        );
        assert_eq!(
            toolchain.target_arguments(Target::Wasip2),
            [
                "--target",
                "wasm32-wasip2",
                "-Zbuild-std=std,panic_abort",
                "--config",
                r#"target.wasm32-wasip2.linker="/t/bin/wasm-component-ld""#,
                "--config",
                r#"target.wasm32-wasip2.rustflags=["-Clink-self-contained=no", "-L/usr/lib/wasm32-wasi"]"#,
            ]
        );
    }

    #[test]
    fn the_users_own_cargo_needs_no_more_than_the_target() {
        let toolchain = Toolchain {
            route: Route::Installed,
            ..debian()
        };
        assert_eq!(
            toolchain.target_arguments(Target::Wasip1),
            ["--target", "wasm32-wasip1"]
        );
        assert!(toolchain.link_arguments(Target::Wasip1, true).is_empty());
    }

    #[test]
    fn guests_have_a_folder_of_their_own() {
        let toolchain = debian();
        let its = Path::new("/w/target");
        assert_eq!(
            toolchain.guests_directory(its),
            Path::new("/w/target/strand-guests")
        );
        let shared = toolchain.in_target_directory(PathBuf::from("/shared"));
        assert_eq!(
            shared.guests_directory(its),
            Path::new("/shared/strand-guests")
        );
    }

    #[test]
    fn the_reason_is_rustups_error() {
        let output = "info: downloading\nerror: no network\n\nCaused by:\n    dns";
        assert_eq!(reason(output), "error: no network");
        assert_eq!(reason("killed"), "killed");
        assert_eq!(reason(""), "it said nothing");
    }

    #[test]
    fn paths_survive_cargos_configuration() {
        assert_eq!(toml_string(r#"/a b/"c"\d"#), r#""/a b/\"c\"\\d""#);
        assert_eq!(toml_string("x\ny"), r#""x\u000Ay""#);
    }
}
