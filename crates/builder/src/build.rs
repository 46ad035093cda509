//! Compiles one crate.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::package::{Artefact, CargoTarget, MetadataError, canonical, package};
use crate::process::shell_line;
use crate::target::Target;
use crate::toolchain::{Toolchain, ToolchainError};

/// Why a crate did not become a function.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// cargo could not tell about the crate.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The folder is a workspace without a crate of its own.
    #[error("{} is a workspace, not a crate: name the folder of one of its members", folder.display())]
    NotACrate {
        /// The folder.
        folder: PathBuf,
    },
    /// The crate's manifest does not describe a function.
    #[error("crate `{name}` ({}) is no function: {problem}", folder.display())]
    NotAFunction {
        /// The crate's name.
        name: String,
        /// Its folder.
        folder: PathBuf,
        /// What to change.
        problem: String,
    },
    /// The crate needs a target that cannot be had.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// cargo could not be started, or its messages could not be read.
    #[error("`{command}` in {}: {source}", folder.display())]
    Run {
        /// The command that was run.
        command: String,
        /// Where it was run.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// cargo failed; it has said why on stderr.
    #[error(
        "crate `{name}` does not build ({status}); the compiler's messages are above\n\
         the command was, in {}: {command}",
        folder.display()
    )]
    Failed {
        /// The crate's name.
        name: String,
        /// Its folder.
        folder: PathBuf,
        /// The command that was run.
        command: String,
        /// cargo's exit status.
        status: String,
    },
    /// cargo succeeded without naming a WebAssembly file.
    #[error("crate `{name}` was built, but cargo named no .wasm file; the command was, in {}: {command}", folder.display())]
    NoFile {
        /// The crate's name.
        name: String,
        /// Its folder.
        folder: PathBuf,
        /// The command that was run.
        command: String,
    },
    /// What was built cannot be read.
    #[error("{} was built, but cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was built is not what the target should give.
    #[error("{} is not a {target} file: it begins with {found:02x?}", path.display())]
    WrongFile {
        /// The file.
        path: PathBuf,
        /// The target it was built for.
        target: Target,
        /// Its first bytes.
        found: Vec<u8>,
    },
}

impl Toolchain {
    /// Compiles the crate in `folder` in release and returns its component, or its core module if
    /// it asks for one. The compiler's messages and cargo's progress go to stderr.
    ///
    /// A crate of the same name in another workspace with the same target directory overwrites
    /// the file: use it before building that one.
    ///
    /// # Errors
    /// When the crate is no function or does not build; with the command that was run.
    pub fn build(&self, folder: &Path, progress: &dyn Fn(&str)) -> Result<PathBuf, BuildError> {
        let folder = canonical(folder)?;
        let (package, target_directory) = package(self.cargo(&folder), &folder)?;
        let Some(package) = package else {
            return Err(BuildError::NotACrate { folder });
        };
        let not_a_function = |problem| BuildError::NotAFunction {
            name: package.name.clone(),
            folder: folder.clone(),
            problem,
        };
        let artefact = package.artefact().map_err(not_a_function)?;
        let target = package.target().map_err(not_a_function)?;
        let toolchain = self.or_find(target, progress)?;
        let reactor = matches!(artefact, Artefact::Reactor { .. });

        let mut cargo = toolchain.cargo(&folder);
        // `cargo rustc` and not `build`: the start file is an argument of the last link alone.
        cargo
            .args(["rustc", "--release", "--package", &package.name])
            .args(artefact.selection())
            .args(toolchain.target_arguments(target))
            .arg("--target-dir")
            .arg(self.guests_directory(&target_directory))
            .arg("--message-format=json-render-diagnostics")
            .arg("--")
            .args(toolchain.link_arguments(target, reactor));
        let command = shell_line(&cargo);
        let (status, file) =
            run(&mut cargo, &package.id, &artefact).map_err(|source| BuildError::Run {
                command: command.clone(),
                folder: folder.clone(),
                source,
            })?;
        if !status.success() {
            return Err(BuildError::Failed {
                name: package.name,
                folder,
                command,
                status: status.to_string(),
            });
        }
        let Some(path) = file else {
            return Err(BuildError::NoFile {
                name: package.name,
                folder,
                command,
            });
        };
        verify(path, target)
    }

    /// Checks (`cargo check`) that the crate in `folder` compiles for `target`, in release and
    /// without its binaries and tests. The compiler's messages go to stderr.
    ///
    /// # Errors
    /// When it does not, or the target cannot be had.
    pub fn check(
        &self,
        folder: &Path,
        target: Target,
        progress: &dyn Fn(&str),
    ) -> Result<(), BuildError> {
        let folder = canonical(folder)?;
        let (package, target_directory) = package(self.cargo(&folder), &folder)?;
        let Some(package) = package else {
            return Err(BuildError::NotACrate { folder });
        };
        let toolchain = self.or_find(target, progress)?;
        let mut cargo = toolchain.cargo(&folder);
        cargo
            .args(["check", "--release", "--lib", "--package", &package.name])
            .args(toolchain.target_arguments(target))
            .arg("--target-dir")
            .arg(self.guests_directory(&target_directory));
        let command = shell_line(&cargo);
        let status = cargo
            .stdin(Stdio::null())
            .status()
            .map_err(|source| BuildError::Run {
                command: command.clone(),
                folder: folder.clone(),
                source,
            })?;
        if status.success() {
            Ok(())
        } else {
            Err(BuildError::Failed {
                name: package.name,
                folder,
                command,
                status: status.to_string(),
            })
        }
    }
}

/// Runs cargo and picks the artefact's file out of its messages.
fn run(
    cargo: &mut Command,
    package: &str,
    artefact: &Artefact,
) -> io::Result<(std::process::ExitStatus, Option<PathBuf>)> {
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut file = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            file = wasm_file(&line?, package, artefact).or(file);
        }
    }
    Ok((child.wait()?, file))
}

/// A line of cargo's `--message-format=json`; of the kinds of messages only artefacts matter.
#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    target: Option<CargoTarget>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

fn wasm_file(line: &str, package: &str, artefact: &Artefact) -> Option<PathBuf> {
    // Build scripts may print what they like to the same stream.
    let message: Message = serde_json::from_str(line).ok()?;
    let ours = message.reason == "compiler-artifact"
        && message.package_id.as_deref() == Some(package)
        && message.target.is_some_and(|target| artefact.is(&target));
    let is_wasm = |file: &PathBuf| file.extension().is_some_and(|it| it == "wasm");
    ours.then(|| message.filenames.into_iter().find(is_wasm))?
}

/// `path` if it begins as a file of this target does.
fn verify(path: PathBuf, target: Target) -> Result<PathBuf, BuildError> {
    let mut found = Vec::with_capacity(8);
    let read = File::open(&path).and_then(|file| file.take(8).read_to_end(&mut found));
    match read {
        Ok(_) if found == target.preamble() => Ok(path),
        Ok(_) => Err(BuildError::WrongFile {
            path,
            target,
            found,
        }),
        Err(source) => Err(BuildError::Unreadable { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"reason": "compiler-artifact", "package_id": "p#x@0.1.0",
        "target": {"kind": ["cdylib"], "crate_types": ["cdylib"], "name": "x", "src_path": "/s"},
        "filenames": ["/t/x.d", "/t/x.wasm"], "fresh": true}"#;

    #[test]
    fn the_file_is_that_of_the_artefact() {
        let x = Artefact::Reactor {
            name: "x".to_owned(),
        };
        let file = Some(PathBuf::from("/t/x.wasm"));
        assert_eq!(wasm_file(LINE, "p#x@0.1.0", &x), file);
        assert_eq!(wasm_file(LINE, "p#y@0.1.0", &x), None);
        let command = Artefact::Command {
            name: "x".to_owned(),
        };
        assert_eq!(wasm_file(LINE, "p#x@0.1.0", &command), None);
        assert_eq!(wasm_file("not json", "p#x@0.1.0", &x), None);
        let other = r#"{"reason": "build-finished", "success": true}"#;
        assert_eq!(wasm_file(other, "p#x@0.1.0", &x), None);
    }

    #[test]
    fn a_module_is_not_taken_for_a_component() {
        let path = std::env::temp_dir().join(format!("strand-verify-{}", std::process::id()));
        std::fs::write(&path, b"\0asm\x01\0\0\0rest").unwrap();
        assert!(verify(path.clone(), Target::Wasip1).is_ok());
        let error = verify(path.clone(), Target::Wasip2).unwrap_err();
        assert!(
            error.to_string().contains("is not a wasm32-wasip2 file"),
            "{error}"
        );
        std::fs::write(&path, b"").unwrap();
        assert!(verify(path.clone(), Target::Wasip1).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
