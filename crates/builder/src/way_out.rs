//! What to tell whoever has no toolchain for guests: what was tried, and what mends it.

use crate::apt;
use crate::decision::Facts;
use crate::rust::{Rust, debian};
use crate::target::Target;
use crate::toolchain::{Reasons, ToolchainError};

/// What decides which commands mend it.
struct System {
    /// Why Debian's packages do not build guests.
    missing: Option<debian::Missing>,
    /// The release, if this is Debian itself.
    codename: Option<String>,
    /// There is an apt-get.
    apt: bool,
    root: bool,
}

impl System {
    fn look() -> System {
        System {
            missing: debian::missing(),
            codename: apt::debian_codename(),
            apt: apt::available(),
            root: apt::is_root(),
        }
    }
}

/// The error that says what was tried, and what is to be run.
pub(crate) fn no_way(
    target: Target,
    facts: &Facts,
    mut tried: Vec<String>,
    rust: &Rust,
) -> ToolchainError {
    let system = System::look();
    tried.insert(
        0,
        format!("the toolchain in {} does not have the target", rust.sysroot),
    );
    if !facts.rustup {
        tried.push(format!("there is no rustup for `{}`", add_line(target)));
    }
    if !facts.linkers {
        tried.push(
            "the toolchain has no rust-lld and wasm-component-ld, as rustup's have, \
             so Debian's packages would not help"
                .to_owned(),
        );
    } else if let Some(missing) = &system.missing {
        tried.push(format!("Debian's packages: {missing}"));
    }
    ToolchainError::None {
        target,
        tried: Reasons(tried),
        commands: commands(target, facts, &system),
    }
}

/// What mends it, as far as that can be told. What was just done in vain does not.
fn commands(target: Target, facts: &Facts, system: &System) -> Vec<String> {
    if facts.linkers && system.apt {
        let old = matches!(system.missing, Some(debian::Missing::Old { .. }));
        if let Some(codename) = system.codename.as_deref().filter(|_| old) {
            return apt::security_lines(codename, &debian::PACKAGES, system.root);
        }
        // What Debian's family can install without another download site comes first there.
        if !system.root {
            return vec![format!("sudo {}", apt::install_line(&debian::PACKAGES))];
        }
    }
    if facts.rustup {
        return vec![add_line(target)];
    }
    vec![format!(
        "curl -sSf https://sh.rustup.rs | sh -s -- -y --target {target}"
    )]
}

fn add_line(target: Target) -> String {
    format!("rustup target add {target}")
}

/// What is to be run, as the last of an error.
pub(crate) fn run_this(commands: &[String]) -> String {
    match commands {
        [command] => format!("run this, then try again: {command}"),
        several => format!(
            "run these lines, then try again:\n  {}",
            several.join("\n  ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Adding;

    #[test]
    fn giving_up_says_what_was_tried_and_one_command() {
        let facts = Facts {
            target_installed: false,
            rustup: true,
            adding: Adding::FailedNow,
            linkers: false,
            debian_packages: false,
            can_install: false,
        };
        let tried = vec!["`rustup target add` failed: no network".to_owned()];
        let rust = Rust::active().unwrap();
        let error = no_way(Target::Wasip2, &facts, tried, &rust).to_string();
        assert_eq!(
            error,
            format!(
                "no toolchain for wasm32-wasip2 guests:\n  \
                 - the toolchain in {} does not have the target\n  \
                 - `rustup target add` failed: no network\n  \
                 - the toolchain has no rust-lld and wasm-component-ld, as rustup's have, \
                 so Debian's packages would not help\n\
                 run this, then try again: rustup target add wasm32-wasip2",
                rust.sysroot
            )
        );
    }

    #[test]
    fn what_is_to_be_run_depends_on_the_system() {
        let facts = Facts {
            target_installed: false,
            rustup: true,
            adding: Adding::FailedNow,
            linkers: true,
            debian_packages: false,
            can_install: false,
        };
        let part = Some(debian::Missing::Part("/usr/bin/cargo"));
        let old = Some(debian::Missing::Old {
            release: "1.85.0".to_owned(),
        });
        let system = |missing: &Option<debian::Missing>, codename: Option<&str>, root| System {
            missing: missing.clone(),
            codename: codename.map(str::to_owned),
            apt: codename.is_some(),
            root,
        };
        let of = |facts: &Facts, system: &System| commands(Target::Wasip2, facts, system);
        let packages = "-o DPkg::Lock::Timeout=600 install -y --no-remove --no-install-recommends \
                        rustc-web cargo-web rust-web-src wasi-libc";

        // Bookworm without its security updates has a compiler that is too old.
        assert_eq!(
            of(&facts, &system(&old, Some("bookworm"), true)),
            [
                "echo 'deb http://deb.debian.org/debian-security bookworm-security main' | \
                 tee /etc/apt/sources.list.d/debian-security.list"
                    .to_owned(),
                "apt-get update".to_owned(),
                format!("apt-get {packages}"),
            ]
        );
        let for_users = of(&facts, &system(&old, Some("bookworm"), false));
        assert!(for_users[0].contains("| sudo tee "), "{for_users:?}");
        assert!(
            for_users[1..].iter().all(|line| line.starts_with("sudo ")),
            "{for_users:?}"
        );
        let nothing_there = of(&facts, &system(&part, Some("bookworm"), false));
        assert_eq!(nothing_there, [format!("sudo apt-get {packages}")]);

        // Elsewhere, or where Debian's packages would not help, it is rustup.
        let add = ["rustup target add wasm32-wasip2".to_owned()];
        assert_eq!(of(&facts, &system(&part, Some("bookworm"), true)), add);
        assert_eq!(of(&facts, &system(&old, None, true)), add);
        let no_linkers = Facts {
            linkers: false,
            ..facts
        };
        assert_eq!(of(&no_linkers, &system(&old, Some("bookworm"), true)), add);
        let without_rustup = Facts {
            rustup: false,
            ..no_linkers
        };
        let install = of(&without_rustup, &system(&part, None, true));
        assert!(
            install[0].ends_with("| sh -s -- -y --target wasm32-wasip2"),
            "{install:?}"
        );
    }

    #[test]
    fn several_lines_stand_below_each_other() {
        let lines =
            |lines: &[&str]| run_this(&lines.iter().map(|&l| l.to_owned()).collect::<Vec<_>>());
        assert_eq!(lines(&["a b"]), "run this, then try again: a b");
        assert_eq!(
            lines(&["a b", "c"]),
            "run these lines, then try again:\n  a b\n  c"
        );
    }
}
