//! Wasm in, sealed artefact out.
//!
//! Compiling untrusted code can take memory and time without bound, so it never
//! happens in the serving process: [`Compiler`] starts a child that sets limits
//! on itself ([`child_main`]), compiles, and hands the code back through a pipe.
//! The parent seals it and keeps it in a cache that only this installation's key
//! opens.

mod cache;
mod child;
mod compiler;
mod inspect;
mod key;

pub use child::{ChildLimits, child_main};
pub use compiler::{CompileError, Compiler, CompilerConfig, Digest, Loaded, Origin, digest};
pub use inspect::{Inspection, NotWasm, Shape, inspect};
pub use key::{KeyError, load_or_create_key};
