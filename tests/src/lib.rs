//! What the end-to-end tests share: the real binary in a temporary folder.
//!
//! `cargo xtask test` builds the binary and the guests and says where they are
//! (`STRAND_BIN`, `STRAND_GUESTS`).

#![allow(clippy::unwrap_used, missing_docs)]

mod app;
mod server;

pub use app::TestApp;
pub use server::{Reply, Server, client, read, run};

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

fn located(variable: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: run these tests through `cargo xtask test`"),
    }
}
