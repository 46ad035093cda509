//! What the functions of the reads app share: problems, queries, names of references, and on Wasm
//! the way to objects and answers. What needs no host is apart, so that its tests run natively.

pub mod problem;
pub mod query;
pub mod reference;

#[cfg(target_arch = "wasm32")]
pub mod answer;
#[cfg(target_arch = "wasm32")]
mod bindings;
#[cfg(target_arch = "wasm32")]
pub mod call;
#[cfg(target_arch = "wasm32")]
pub mod objects;
