//! WebAssembly that compilers and loaders should survive, made to measure.
//!
//! Each function returns the bytes of one module or component. Unless it says otherwise, what it
//! returns is valid and exports a `_start` that takes and returns nothing, so that a host takes it
//! for a program and goes on to the part that hurts.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test's panic is its report

mod broken;
mod costly;
mod greedy;
mod module;
mod random;
mod strange;

pub use broken::{corrupted, not_wasm, truncated};
pub use costly::{deep_nesting, enormous_br_tables, enormous_function, many_functions};
pub use greedy::{grows_memories, grows_table, many_memories, memory_of, table_of};
pub use strange::{exports_nothing, imports_unknown_function, imports_unknown_interface};

#[cfg(test)]
mod tests;
