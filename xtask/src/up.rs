//! From a fresh clone to a running app.

use std::ffi::{OsStr, OsString};
use std::process::Command;

use anyhow::Result;
use strand_builder::{Toolchain, forget_outer_cargo};

use crate::session::Session;

const APP: &str = "examples/reads";
const LISTEN: &str = "127.0.0.1:8080";

/// Builds the server, sees to a toolchain for guests, and becomes the server, which builds the
/// app's functions itself.
pub(crate) fn run(session: &Session, arguments: &[OsString]) -> Result<()> {
    session.build_strand()?;
    session.headline("Finding", "a toolchain for guests");
    Toolchain::find(&|line| session.note(line))?;

    let mut strand = Command::new(session.strand());
    forget_outer_cargo(&mut strand);
    strand
        .current_dir(&session.root)
        .env("CARGO_TARGET_DIR", &session.target)
        .args(["up", APP]);
    let listen = listen(arguments);
    if listen.is_none() {
        strand.args(["--listen", LISTEN]);
    }
    strand.args(arguments);
    let address = listen.unwrap_or_else(|| LISTEN.to_owned());
    session.headline("Starting", APP);
    eprintln!(
        "\nOnce it listens, try\n\n    \
         curl 'http://{address}/reads?reference=lambda&n=3&seed=42&mate=1'\n\n\
         or open http://{address}/ in a browser. Ctrl-C ends it.\n"
    );
    session.become_command(&mut strand)
}

/// The address in `--listen ADDRESS` or `--listen=ADDRESS`.
fn listen(arguments: &[OsString]) -> Option<String> {
    let mut arguments = arguments
        .iter()
        .map(OsString::as_os_str)
        .map(OsStr::to_string_lossy);
    while let Some(argument) = arguments.next() {
        if argument == "--listen" {
            return arguments.next().map(Into::into);
        }
        if let Some(address) = argument.strip_prefix("--listen=") {
            return Some(address.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_address_is_the_one_to_copy() {
        let of = |line: &str| listen(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("--admin 1:2"), None);
        assert_eq!(of("--listen 1:2 x"), Some("1:2".to_owned()));
        assert_eq!(of("x --listen=1:2"), Some("1:2".to_owned()));
    }
}
