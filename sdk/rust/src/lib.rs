#![doc = include_str!("../README.md")]

pub mod blobs;
pub mod config;
pub mod functions;
pub mod http;
pub mod log;
pub mod task;

/// For the macros.
#[doc(hidden)]
pub mod bindings;
mod outgoing;
mod query;
mod streams;

/// For the macros.
#[doc(hidden)]
pub use wasip2;
