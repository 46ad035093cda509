//! Packages of a Debian-like system.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process;

/// Time for one `apt-get`: a browser and its libraries over a slow line.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Why packages could not be installed. The text says what to run.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// This system is not one of Debian's family, so the packages' names mean nothing here.
    #[error("no apt-get here: install what Debian calls {packages} in this system's own way")]
    NotDebian {
        /// The packages' names, separated by spaces.
        packages: String,
    },
    /// Only root may install packages.
    #[error("not root, so packages cannot be installed; run: sudo {command}")]
    NotRoot {
        /// The command that installs them.
        command: String,
    },
    /// `apt-get` could not be started.
    #[error("`{command}` could not be started: {source}")]
    Start {
        /// The command that was run.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// `apt-get` failed.
    #[error("`{command}` failed ({how}); its last lines:\n{output}")]
    Failed {
        /// The command that was run.
        command: String,
        /// Its exit status, or that its time was up.
        how: String,
        /// The end of its output.
        output: String,
    },
}

/// Whether this is a system of Debian's family: told by `/etc/os-release` (os-release(5)) and by
/// `apt-get` being there.
pub fn available() -> bool {
    let described = fs::read_to_string("/etc/os-release").unwrap_or_default();
    is_debian_like(&described) && Path::new("/usr/bin/apt-get").exists()
}

/// Whether this process may install packages.
pub fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The command that installs `packages`, for messages.
pub fn install_line(packages: &[&str]) -> String {
    process::shell_line(&install_command(packages))
}

/// Installs `packages` (after `apt-get update`) without asking anything, and without removing
/// anything that is installed. Waits while another apt holds the lock, 20 minutes at most each.
///
/// # Errors
/// When the system has no apt, this is not root, or apt-get fails; the end of its output is in
/// the error.
pub fn install(packages: &[&str], progress: &dyn Fn(&str)) -> Result<(), AptError> {
    if !available() {
        return Err(AptError::NotDebian {
            packages: packages.join(" "),
        });
    }
    if !is_root() {
        return Err(AptError::NotRoot {
            command: install_line(packages),
        });
    }
    let mut update = apt_get();
    update.arg("update");
    for mut command in [update, install_command(packages)] {
        let line = process::shell_line(&command);
        progress(&format!("running `{line}`"));
        let finished = process::run(&mut command, LIMIT).map_err(|source| AptError::Start {
            command: line.clone(),
            source,
        })?;
        if !finished.success {
            return Err(AptError::Failed {
                command: line,
                how: finished.how,
                output: finished.tail,
            });
        }
    }
    Ok(())
}

/// The lines that add the security updates of Debian's release `codename` to apt's sources and
/// install `packages` from there.
pub(crate) fn security_lines(codename: &str, packages: &[&str], root: bool) -> Vec<String> {
    let source = format!("deb http://deb.debian.org/debian-security {codename}-security main");
    let list = "/etc/apt/sources.list.d/debian-security.list";
    let sudo = if root { "" } else { "sudo " };
    vec![
        format!("echo '{source}' | {sudo}tee {list}"),
        format!("{sudo}apt-get update"),
        format!("{sudo}{}", install_line(packages)),
    ]
}

/// The name of Debian's release, if this is Debian itself: its relatives have other archives.
pub(crate) fn debian_codename() -> Option<String> {
    codename(&fs::read_to_string("/etc/os-release").ok()?)
}

fn codename(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        let mut fields = os_release.lines().filter_map(|line| line.split_once('='));
        let (_, value) = fields.find(|(name, _)| *name == key)?;
        Some(value.trim_matches(['"', '\'']))
    };
    // Part of a command that is to be pasted: a plain word or nothing.
    let plain = |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
    (value("ID")? == "debian")
        .then(|| value("VERSION_CODENAME"))?
        .filter(plain)
        .map(str::to_owned)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8")
        .args(["-o", "DPkg::Lock::Timeout=600"]);
    command
}

fn install_command(packages: &[&str]) -> Command {
    let mut command = apt_get();
    command
        .args(["install", "-y", "--no-remove", "--no-install-recommends"])
        .args(packages);
    command
}

fn is_debian_like(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .flat_map(|(_, value)| value.trim_matches(['"', '\'']).split_whitespace())
        .any(|id| id == "debian")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_is_told_by_id_or_likeness() {
        assert!(is_debian_like("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(is_debian_like("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian_like("ID=mint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian_like(
            "ID=fedora\nID_LIKE=\"rhel\"\nNAME=debian\n"
        ));
        assert!(!is_debian_like(""));
    }

    #[test]
    fn only_debian_has_debians_release() {
        let of = |text| codename(text);
        let bookworm = Some("bookworm".to_owned());
        assert_eq!(of("ID=debian\nVERSION_CODENAME=bookworm\n"), bookworm);
        assert_eq!(of("VERSION_CODENAME=\"bookworm\"\nID='debian'"), bookworm);
        assert_eq!(
            of("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble"),
            None
        );
        assert_eq!(of("ID=debian\n"), None);
        assert_eq!(of("ID=debian\nVERSION_CODENAME='x; rm'"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn installing_asks_nothing_and_removes_nothing() {
        assert_eq!(
            install_line(&["samtools"]),
            "apt-get -o DPkg::Lock::Timeout=600 install -y --no-remove --no-install-recommends samtools"
        );
    }
}
