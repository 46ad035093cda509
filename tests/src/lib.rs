//! What the end-to-end tests share: the real binary in a temporary folder.
//!
//! `cargo xtask test` builds the binary and the guests and says where they are
//! (`STRAND_BIN`, `STRAND_GUESTS`).

#![allow(clippy::unwrap_used, missing_docs)]

mod app;
mod browser;
mod check;
pub mod fastq;
mod genome;
pub mod hostile;
mod reads;
mod server;
mod watch;

pub use app::TestApp;
pub use browser::Browser;
pub use check::{check_json, fields};
pub use genome::{Draws, STRETCH, UNKNOWN, write_genome};
pub use reads::{ecoli, reads_app, reads_example, serve_from_s3, unpacked, windows_app};
pub use server::{Reply, Server, Signal, client, client_http2, read, run};
pub use watch::Watch;

use std::env;
use std::path::PathBuf;

/// The release binary.
pub fn binary() -> PathBuf {
    located("STRAND_BIN")
}

/// A guest's file.
pub fn guest(name: &str) -> PathBuf {
    let path = located("STRAND_GUESTS").join(format!("{name}.wasm"));
    assert!(
        path.exists(),
        "{} is not built: run `cargo xtask guests`",
        path.display()
    );
    path
}

/// Whether `cargo xtask test` was told to go on without a peer.
pub fn allowed_to_miss(name: &str) -> bool {
    env::var("STRAND_ALLOW_MISSING").is_ok_and(|all| all.split(',').any(|one| one == name))
}

fn located(variable: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: run these tests through `cargo xtask test`"),
    }
}
