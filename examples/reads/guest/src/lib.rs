//! What the functions of the reads app share: problems, queries, names of references, blocks of gzip,
//! and on Wasm answers. What needs no host is apart, so that its tests run natively.

pub mod bgzf;
pub mod parameters;
pub mod problem;
pub mod query;
pub mod reference;
pub mod work;

#[cfg(target_arch = "wasm32")]
pub mod answer;
#[cfg(target_arch = "wasm32")]
pub mod sink;
