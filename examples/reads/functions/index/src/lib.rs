//! `GET /?reference=NAME`: builds the index of a reference that has none, once, into the cache.
//!
//! Called by `simulate` only; no route leads here.

#[cfg(target_arch = "wasm32")]
mod serve;
