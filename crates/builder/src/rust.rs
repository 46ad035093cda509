//! The Rust toolchains on this machine: the user's, and Debian's for guests.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Target;
use crate::environment;

/// The toolchain behind the `rustc` on the PATH.
#[derive(Debug, Clone)]
pub(crate) struct Rust {
    /// Where it is installed. UTF-8, for it becomes part of cargo's configuration.
    pub(crate) sysroot: String,
    host: String,
}

impl Rust {
    /// Asks `rustc` where it lives and what it runs on.
    pub(crate) fn active() -> Result<Rust, String> {
        let mut command = Command::new("rustc");
        environment::for_guests(&mut command);
        let sysroot = answer(command.args(["--print", "sysroot"]))?;
        let mut command = Command::new("rustc");
        environment::for_guests(&mut command);
        let version = answer(command.arg("-vV"))?;
        let host = field(&version, "host")
            .ok_or_else(|| format!("`rustc -vV` names no host: {version}"))?
            .to_owned();
        Ok(Rust { sysroot, host })
    }

    /// Whether the standard library for `target` is installed.
    pub(crate) fn has_std(&self, target: Target) -> bool {
        let folder = Path::new(&self.sysroot)
            .join("lib/rustlib")
            .join(target.triple())
            .join("lib");
        let Ok(files) = folder.read_dir() else {
            return false;
        };
        files.flatten().any(|file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    }

    /// The folder of the linkers that rustup's toolchains ship, if this one has all of them.
    pub(crate) fn linkers(&self) -> Option<String> {
        let folder = format!("{}/lib/rustlib/{}/bin", self.sysroot, self.host);
        ["rust-lld", "wasm-component-ld", "gcc-ld/wasm-ld"]
            .iter()
            .all(|file| Path::new(&folder).join(file).exists())
            .then_some(folder)
    }
}

/// Debian's compiler and what it needs to build the standard library for WebAssembly.
pub(crate) mod debian {
    use super::{Command, Path, answer, field};

    pub(crate) const CARGO: &str = "/usr/bin/cargo";
    pub(crate) const RUSTC: &str = "/usr/bin/rustc";
    /// wasi-libc with its start files.
    pub(crate) const WASI_LIB: &str = "/usr/lib/wasm32-wasi";

    /// `rustc-web` is the compiler that Debian keeps new for its browsers.
    pub(crate) const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];

    /// The oldest compiler of Debian's that is taken, as in our own `rust-version`. A release
    /// brings an older one at first: the newer ones come with its security updates.
    const OLDEST: (u32, u32) = (1, 95);

    /// Why Debian's packages do not build guests.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) enum Missing {
        /// A file is not there.
        Part(&'static str),
        /// The compiler does not run.
        Broken(String),
        /// The compiler is too old.
        Old {
            /// Its version.
            release: String,
        },
    }

    impl std::fmt::Display for Missing {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Missing::Part(part) => write!(f, "{part} is not there"),
                Missing::Broken(problem) => f.write_str(problem),
                Missing::Old { release } => write!(
                    f,
                    "{RUSTC} is older than {}.{} ({release}); a newer rustc-web is in the \
                     release's security updates, if apt's sources name those",
                    OLDEST.0, OLDEST.1
                ),
            }
        }
    }

    /// None if everything is there, otherwise what is missing.
    pub(crate) fn missing() -> Option<Missing> {
        let parts = [
            RUSTC,
            CARGO,
            "/usr/lib/rustlib/src/rust/library/std/Cargo.toml",
            "/usr/lib/wasm32-wasi/crt1-reactor.o",
        ];
        if let Some(part) = parts.iter().find(|part| !Path::new(part).exists()) {
            return Some(Missing::Part(part));
        }
        match answer(Command::new(RUSTC).arg("-vV")) {
            Err(problem) => Some(Missing::Broken(problem)),
            Ok(version) => too_old(&version),
        }
    }

    /// What `rustc -vV` says, if it is of a compiler that is too old.
    pub(super) fn too_old(version: &str) -> Option<Missing> {
        match release(version) {
            Some(release) if release >= OLDEST => None,
            _ => Some(Missing::Old {
                release: field(version, "release")
                    .unwrap_or("of an unknown version")
                    .to_owned(),
            }),
        }
    }

    /// Major and minor of `rustc -vV`.
    pub(super) fn release(version: &str) -> Option<(u32, u32)> {
        let mut parts = field(version, "release")?.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

/// Whether there is a `rustup` on the PATH.
pub(crate) fn has_rustup() -> bool {
    on_path("rustup").is_some()
}

/// Where `program` is on the PATH.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// What a short command prints, without the last line's end.
fn answer(command: &mut Command) -> Result<String, String> {
    let line = crate::process::shell_line(command);
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("`{line}`: no such program on the PATH"),
        _ => format!("`{line}`: {error}"),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{line}` failed: {}", said.trim()));
    }
    String::from_utf8(output.stdout)
        .map(|text| text.trim_end().to_owned())
        .map_err(|_| format!("`{line}` printed something that is not UTF-8"))
}

/// The value of `key: value` in `rustc -vV`.
fn field<'a>(version: &'a str, key: &str) -> Option<&'a str> {
    version
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(name, value)| (name == key).then_some(value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\n\
                           host: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8";

    #[test]
    fn a_version_is_taken_apart() {
        assert_eq!(field(VERSION, "host"), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(field(VERSION, "commit-hash"), None);
        assert_eq!(debian::release(VERSION), Some((1, 96)));
        assert_eq!(debian::release("release: 1.97.0-nightly"), Some((1, 97)));
        assert_eq!(debian::release("release: ?"), None);
    }

    #[test]
    fn a_compiler_that_is_too_old_is_told() {
        assert_eq!(debian::too_old(VERSION), None);
        assert_eq!(debian::too_old("release: 1.95.0"), None);
        let old = debian::too_old("release: 1.85.0").unwrap();
        assert_eq!(
            old.to_string(),
            "/usr/bin/rustc is older than 1.95 (1.85.0); a newer rustc-web is in the release's \
             security updates, if apt's sources name those"
        );
        assert!(debian::too_old("").is_some());
    }

    #[test]
    fn the_active_toolchain_has_a_standard_library_of_its_own() {
        let rust = Rust::active().unwrap();
        assert!(Path::new(&rust.sysroot).is_dir());
        assert!(!rust.host.is_empty());
    }
}
