//! `GET /reads`, `/variants` and `/references`: simulated reads of a reference, the truth about them,
//! and what references there are.
//!
//! What needs no host (requests, plans, codings, patience, the list of references) is apart from what
//! does, so that its tests run natively.

pub mod coding;
pub mod member;
pub mod patience;
pub mod plan;
pub mod references;
pub mod request;

#[cfg(target_arch = "wasm32")]
mod serve;
#[cfg(target_arch = "wasm32")]
mod store;
#[cfg(target_arch = "wasm32")]
mod stream;
#[cfg(target_arch = "wasm32")]
mod windowed;
