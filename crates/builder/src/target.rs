//! The WebAssembly targets of guests.

use std::fmt;

/// What a guest is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// `wasm32-wasip2`: a component. What a crate gets if it says nothing.
    Wasip2,
    /// `wasm32-wasip1`: a core module over preview 1 of WASI.
    Wasip1,
    /// `wasm32-unknown-unknown`: no system at all, as in a browser.
    Unknown,
}

impl Target {
    /// The target's name for `rustc --target`.
    pub fn triple(self) -> &'static str {
        match self {
            Target::Wasip2 => "wasm32-wasip2",
            Target::Wasip1 => "wasm32-wasip1",
            Target::Unknown => "wasm32-unknown-unknown",
        }
    }

    /// The target that a crate's `package.metadata.strand.target` names, if functions can have it.
    pub(crate) fn of_function(name: &str) -> Option<Target> {
        [Target::Wasip2, Target::Wasip1]
            .into_iter()
            .find(|target| target.triple() == name)
    }

    /// The first eight bytes of what this target's linker writes: the magic number, the version
    /// and the layer (core specification 5.5.16, component model `Binary.md`).
    pub(crate) fn preamble(self) -> [u8; 8] {
        match self {
            Target::Wasip2 => *b"\0asm\x0d\0\x01\0",
            Target::Wasip1 | Target::Unknown => *b"\0asm\x01\0\0\0",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.triple())
    }
}
