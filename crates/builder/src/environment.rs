//! What a child cargo must not inherit.
//!
//! These verbs usually run below another cargo (`cargo xtask`), and people set variables for their
//! own builds of the host. Both would reach the guests' cargo and break it or rebuild everything.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that cargo sets for what it runs. Build scripts watch some of them, so a nested cargo
/// that inherits them rebuilds what a cargo from the shell has built, and the other way round.
const OF_OUTER_CARGO: [&str; 5] = [
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_",
];

/// Variables (or beginnings, if they end in `_`) that are meant for code of the host.
const OF_HOST: [&str; 15] = [
    "CARGO_BUILD_",
    "CARGO_CFG_",
    "CARGO_ENCODED_",
    "CARGO_FEATURE_",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_WASM32_",
    "CARGO_UNSTABLE_",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

/// Keeps the variables that an outer cargo set for this process from `command`, another cargo.
pub fn forget_outer_cargo(command: &mut Command) {
    remove(command, std::env::vars_os(), |name| {
        matches_any(name, &OF_OUTER_CARGO)
    });
}

/// Keeps everything from `command`, a cargo that builds guests, that was meant for the host.
/// `RUSTUP_TOOLCHAIN` stays: guests are built by the toolchain that the user chose.
pub(crate) fn for_guests(command: &mut Command) {
    remove(command, std::env::vars_os(), is_not_for_guests);
}

/// The target directory that the user's environment asks for, absolute: a relative one is meant
/// from here, not from the folder where the child runs.
pub(crate) fn target_dir() -> Option<PathBuf> {
    let asked = std::env::var_os("CARGO_TARGET_DIR")
        .or_else(|| std::env::var_os("CARGO_BUILD_TARGET_DIR"))
        .filter(|dir| !dir.is_empty())?;
    Some(std::path::absolute(&asked).unwrap_or_else(|_| Path::new(&asked).to_path_buf()))
}

fn is_not_for_guests(name: &str) -> bool {
    name != "CARGO_BUILD_JOBS"
        && (matches_any(name, &OF_OUTER_CARGO) || matches_any(name, &OF_HOST))
}

fn matches_any(name: &str, patterns: &[&str]) -> bool {
    patterns
        .iter()
        .any(|pattern| name == *pattern || (pattern.ends_with('_') && name.starts_with(pattern)))
}

fn remove(
    command: &mut Command,
    variables: impl Iterator<Item = (OsString, OsString)>,
    unwanted: impl Fn(&str) -> bool,
) {
    for (name, _) in variables {
        if name.to_str().is_some_and(&unwanted) {
            command.env_remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_compilers_of_the_host_stay_out() {
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_WASM32_WASIP2_LINKER",
            "RUSTC",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_PKG_NAME",
            "CARGO_MANIFEST_DIR",
        ] {
            assert!(is_not_for_guests(name), "{name}");
        }
    }

    #[test]
    fn the_users_choices_of_cargo_come_along() {
        for name in [
            "PATH",
            "HOME",
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_HTTP_PROXY",
            "CARGO_BUILD_JOBS",
            "CARGO_TERM_COLOR",
            "RUSTUP_TOOLCHAIN",
            "RUSTUP_HOME",
        ] {
            assert!(!is_not_for_guests(name), "{name}");
        }
    }

    #[test]
    fn what_is_set_is_taken_out_of_the_command() {
        let mut command = Command::new("cargo");
        let set = [("RUSTFLAGS", "-x"), ("HOME", "/h")].map(|(k, v)| (k.into(), v.into()));
        remove(&mut command, set.into_iter(), is_not_for_guests);
        let removed: Vec<_> = command.get_envs().collect();
        assert_eq!(removed, [("RUSTFLAGS".as_ref(), None)]);
    }
}
