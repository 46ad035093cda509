//! `GET /?…`: simulates a unit of windowed mode, as [`reads_guest::work::Work`] describes it.
//!
//! Called by `simulate` only; no route leads here.

#[cfg(target_arch = "wasm32")]
mod serve;
