//! Source to component: the toolchains that turn a function's crate into WebAssembly.
//!
//! [`Toolchain::find`] settles once how guests are compiled on this machine, [`Toolchain::build`]
//! compiles one crate and [`build_app`] all of an app's. A node never does any of this: only the
//! developer's verbs (`strand build`, `strand up`, `cargo xtask`) do.
//!
//! A crate says what it is by its targets: a `cdylib` is a reactor (HTTP handlers, tasks), a binary
//! is a command. It becomes a component, unless it asks for a core module:
//!
//! ```toml
//! [package.metadata.strand]
//! target = "wasm32-wasip1"
//! ```
//!
//! Guests are built in release, below `strand-guests` in the workspace's target directory, so that
//! neither the flags nor the locks of an ordinary `cargo build` are disturbed. Flags for guests
//! belong in `.cargo/config.toml` (`[target.wasm32-wasip2] rustflags`): those of the environment
//! are meant for the host and are not passed on.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test's panic is its report

mod app;
pub mod apt;
mod build;
mod decision;
mod environment;
mod package;
mod process;
mod rust;
mod stamp;
mod target;
mod toolchain;
mod way_out;

pub use app::{AppError, Built, build_app};
pub use build::BuildError;
pub use environment::forget_outer_cargo;
pub use package::{Member, MetadataError, Workspace, workspace};
pub use process::{Finished, run as run_within, shell_line};
pub use target::Target;
pub use toolchain::{Route, Toolchain, ToolchainError};
