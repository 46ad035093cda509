//! What cargo knows about a crate: its targets, its workspace, and what it asks of us.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::environment;
use crate::process;
use crate::target::Target;

/// A cargo workspace.
#[derive(Debug)]
pub struct Workspace {
    /// Where cargo puts what it builds, absolute; as `CARGO_TARGET_DIR` says if that is set.
    pub target_directory: PathBuf,
    /// The crates of the workspace, by name.
    pub members: Vec<Member>,
}

/// A crate of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The package's name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether it is made into a file that runs (a `cdylib` or a binary), not only a library.
    pub runs: bool,
    /// Whether other crates in Rust can link it (a `lib` or `rlib`): its tests run natively.
    pub library: bool,
}

/// Why cargo could not tell about a crate.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// There is no crate in the folder.
    #[error("{} has no Cargo.toml: a function's `source.cargo` is the folder of a crate", folder.display())]
    NoManifest {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder could not be read.
    #[error("{}: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// cargo could not be started.
    #[error("`{command}` could not be started: {source}")]
    Start {
        /// The command that was run.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// cargo refused the manifest.
    #[error("`{command}` failed in {}:\n{said}", folder.display())]
    Refused {
        /// The command that was run.
        command: String,
        /// Where it was run.
        folder: PathBuf,
        /// What cargo said.
        said: String,
    },
    /// cargo's answer is not what its manual says.
    #[error("`{command}` gave an answer that cannot be understood: {source}")]
    Answer {
        /// The command that was run.
        command: String,
        /// Where it goes wrong.
        source: serde_json::Error,
    },
}

/// Asks cargo about the workspace in `folder`.
///
/// # Errors
/// When there is no manifest or cargo refuses it.
pub fn workspace(folder: &Path) -> Result<Workspace, MetadataError> {
    let mut cargo = Command::new("cargo");
    environment::for_guests(&mut cargo);
    let metadata = metadata(cargo, &canonical(folder)?)?;
    let mut members: Vec<Member> = metadata
        .packages
        .into_iter()
        .map(|package| Member {
            runs: package.targets.iter().any(CargoTarget::runs),
            library: package.targets.iter().any(CargoTarget::is_library),
            folder: package.folder(),
            name: package.name,
        })
        .collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Workspace {
        target_directory: metadata.target_directory,
        members,
    })
}

/// What `cargo metadata --no-deps` says of a workspace (its output's format 1).
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    manifest_path: PathBuf,
    default_run: Option<String>,
    targets: Vec<CargoTarget>,
    metadata: Option<PackageMetadata>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CargoTarget {
    pub(crate) name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct PackageMetadata {
    strand: Option<StrandMetadata>,
}

/// `[package.metadata.strand]`. The table is ours, so an unknown key is a slip.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StrandMetadata {
    target: Option<String>,
}

impl CargoTarget {
    fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|k| k == kind)
    }

    fn runs(&self) -> bool {
        self.is("cdylib") || self.is("bin")
    }

    fn is_library(&self) -> bool {
        self.is("lib") || self.is("rlib")
    }
}

/// The one target of a crate that becomes a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Artefact {
    /// A `cdylib`: is called.
    Reactor { name: String },
    /// A binary: runs once.
    Command { name: String },
}

impl Artefact {
    pub(crate) fn is(&self, target: &CargoTarget) -> bool {
        match self {
            Artefact::Reactor { name } => target.is("cdylib") && target.name == *name,
            Artefact::Command { name } => target.is("bin") && target.name == *name,
        }
    }

    /// How cargo is told to build this target alone.
    pub(crate) fn selection(&self) -> Vec<String> {
        match self {
            Artefact::Reactor { .. } => vec!["--lib".to_owned()],
            Artefact::Command { name } => vec!["--bin".to_owned(), name.clone()],
        }
    }
}

impl Package {
    fn folder(&self) -> PathBuf {
        self.manifest_path
            .parent()
            .unwrap_or(Path::new("/"))
            .to_path_buf()
    }

    /// Which of the crate's targets becomes the function: a `cdylib` before a binary, of several
    /// binaries the one that `cargo run` would take. Otherwise what to change.
    pub(crate) fn artefact(&self) -> Result<Artefact, String> {
        if let Some(library) = self.targets.iter().find(|target| target.is("cdylib")) {
            let name = library.name.clone();
            return Ok(Artefact::Reactor { name });
        }
        let binaries: Vec<&str> = self
            .targets
            .iter()
            .filter(|target| target.is("bin"))
            .map(|target| target.name.as_str())
            .collect();
        match (binaries.as_slice(), &self.default_run) {
            (_, Some(name)) => Ok(Artefact::Command { name: name.clone() }),
            ([name], None) => Ok(Artefact::Command {
                name: (*name).to_owned(),
            }),
            ([], None) => Err(
                "it is only a library: add `crate-type = [\"cdylib\"]` to [lib], \
                               or a src/main.rs for a command"
                    .to_owned(),
            ),
            (several, None) => Err(format!(
                "it has several binaries ({}): name the function's with `default-run` in [package]",
                several.join(", ")
            )),
        }
    }

    /// What the crate wants to be compiled for. Otherwise what to change.
    pub(crate) fn target(&self) -> Result<Target, String> {
        let asked = self
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.strand.as_ref())
            .and_then(|strand| strand.target.as_deref());
        match asked {
            None => Ok(Target::Wasip2),
            Some(name) => Target::of_function(name).ok_or_else(|| {
                format!(
                    "target = \"{name}\" in [package.metadata.strand] is unknown: {} (a component) \
                     or {} (a core module)",
                    Target::Wasip2,
                    Target::Wasip1
                )
            }),
        }
    }
}

/// The package in `folder` (canonical) and its workspace's target directory.
pub(crate) fn package(
    cargo: Command,
    folder: &Path,
) -> Result<(Option<Package>, PathBuf), MetadataError> {
    let metadata = metadata(cargo, folder)?;
    let package = metadata.packages.into_iter().find(|package| {
        package
            .folder()
            .canonicalize()
            .is_ok_and(|its| its == folder)
    });
    Ok((package, metadata.target_directory))
}

pub(crate) fn canonical(folder: &Path) -> Result<PathBuf, MetadataError> {
    folder
        .canonicalize()
        .map_err(|source| MetadataError::Folder {
            folder: folder.to_path_buf(),
            source,
        })
}

fn metadata(mut cargo: Command, folder: &Path) -> Result<Metadata, MetadataError> {
    if !folder.join("Cargo.toml").is_file() {
        return Err(MetadataError::NoManifest {
            folder: folder.to_path_buf(),
        });
    }
    cargo
        .current_dir(folder)
        .args(["metadata", "--no-deps", "--format-version", "1"]);
    if let Some(directory) = environment::target_dir() {
        cargo.env("CARGO_TARGET_DIR", directory);
    }
    let command = process::shell_line(&cargo);
    let output = match cargo.output() {
        Ok(output) => output,
        Err(source) => return Err(MetadataError::Start { command, source }),
    };
    if !output.status.success() {
        return Err(MetadataError::Refused {
            command,
            folder: folder.to_path_buf(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|source| MetadataError::Answer { command, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(targets: &str, rest: &str) -> Package {
        let text = format!(
            r#"{{"id": "path+file:///f#x@0.1.0", "name": "x", "manifest_path": "/f/Cargo.toml",
                 "targets": {targets} {rest}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_cdylib_is_a_reactor_and_a_binary_a_command() {
        let library =
            r#"[{"name": "x_y", "kind": ["cdylib", "rlib"]}, {"name": "tool", "kind": ["bin"]}]"#;
        let name = "x_y".to_owned();
        assert_eq!(of(library, "").artefact(), Ok(Artefact::Reactor { name }));
        let binary = r#"[{"name": "x", "kind": ["lib"]}, {"name": "tool", "kind": ["bin"]}]"#;
        let name = "tool".to_owned();
        assert_eq!(of(binary, "").artefact(), Ok(Artefact::Command { name }));
    }

    #[test]
    fn what_runs_and_what_others_link() {
        for (kind, runs, library) in [
            (r#"["lib"]"#, false, true),
            (r#"["rlib"]"#, false, true),
            (r#"["cdylib"]"#, true, false),
            (r#"["cdylib", "rlib"]"#, true, true),
            (r#"["bin"]"#, true, false),
            (r#"["test"]"#, false, false),
            (r#"["custom-build"]"#, false, false),
        ] {
            let target = format!(r#"{{"name": "x", "kind": {kind}}}"#);
            let target: CargoTarget = serde_json::from_str(&target).unwrap();
            assert_eq!(
                (target.runs(), target.is_library()),
                (runs, library),
                "{kind}"
            );
        }
    }

    #[test]
    fn which_binary_must_be_clear() {
        let two = r#"[{"name": "a", "kind": ["bin"]}, {"name": "b", "kind": ["bin"]}]"#;
        assert_eq!(
            of(two, "").artefact(),
            Err(
                "it has several binaries (a, b): name the function's with `default-run` in \
                 [package]"
                    .to_owned()
            )
        );
        let name = "b".to_owned();
        assert_eq!(
            of(two, r#", "default_run": "b""#).artefact(),
            Ok(Artefact::Command { name })
        );
        let plain = r#"[{"name": "a", "kind": ["lib"]}]"#;
        assert!(
            of(plain, "")
                .artefact()
                .is_err_and(|why| why.contains("only a library"))
        );
    }

    #[test]
    fn a_crate_may_ask_for_a_core_module() {
        assert_eq!(of("[]", "").target(), Ok(Target::Wasip2));
        assert_eq!(
            of("[]", r#", "metadata": null"#).target(),
            Ok(Target::Wasip2)
        );
        assert_eq!(
            of("[]", r#", "metadata": {"docs": {"rs": 1}}"#).target(),
            Ok(Target::Wasip2)
        );
        let module = r#", "metadata": {"strand": {"target": "wasm32-wasip1"}}"#;
        assert_eq!(of("[]", module).target(), Ok(Target::Wasip1));
        let wrong = r#", "metadata": {"strand": {"target": "wasm32-unknown-unknown"}}"#;
        assert_eq!(
            of("[]", wrong).target(),
            Err(
                "target = \"wasm32-unknown-unknown\" in [package.metadata.strand] is unknown: \
                 wasm32-wasip2 (a component) or wasm32-wasip1 (a core module)"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_slip_in_our_table_is_told() {
        let slip = r#"{"strand": {"targets": "wasm32-wasip1"}}"#;
        let error = serde_json::from_str::<PackageMetadata>(slip).unwrap_err();
        assert!(
            error.to_string().contains("unknown field `targets`"),
            "{error}"
        );
    }
}
