//! What a Wasm file is, without compiling it.

use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload};

/// Module or component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A component.
    Component,
    /// A core module.
    Module,
}

/// What a Wasm file needs and offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Module or component.
    pub shape: Shape,
    /// A component's imported interfaces (`wasi:http/types@0.2.6`), a module's
    /// imported modules; sorted, each once.
    pub imports: Vec<String>,
    /// A component's exported interfaces, a module's exported names.
    pub exports: Vec<String>,
}

/// The bytes are not WebAssembly, or broken.
#[derive(Debug, thiserror::Error)]
#[error("not a WebAssembly component or module: {0}")]
pub struct NotWasm(String);

impl From<wasmparser::BinaryReaderError> for NotWasm {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self(error.to_string())
    }
}

/// Reads the imports and exports of a component or module.
///
/// # Errors
/// When the bytes are neither. They are not validated beyond the sections read.
pub fn inspect(wasm: &[u8]) -> Result<Inspection, NotWasm> {
    let mut shape = None;
    let mut depth = 0u32;
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding, .. } => match shape {
                Some(_) => depth += 1,
                None => {
                    shape = Some(match encoding {
                        Encoding::Component => Shape::Component,
                        Encoding::Module => Shape::Module,
                    });
                }
            },
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import?;
                    // A type needs nobody to provide it.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            Payload::ImportSection(section) if depth == 0 => {
                for import in section.into_imports() {
                    imports.push(import?.module.to_owned());
                }
            }
            Payload::ExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export?.name.to_owned());
                }
            }
            _ => {}
        }
    }
    imports.sort_unstable();
    imports.dedup();
    Ok(Inspection {
        shape: shape.ok_or_else(|| NotWasm("it has no header".into()))?,
        imports,
        exports,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Inspection {
        inspect(&wat::parse_str(text).expect("valid text")).expect("is Wasm")
    }

    #[test]
    fn a_modules_imports_and_exports() {
        let found = of(r#"(module
            (import "b" "x" (func)) (import "a" "y" (func)) (import "a" "z" (func))
            (func (export "_start")))"#);
        assert_eq!(found.shape, Shape::Module);
        assert_eq!(found.imports, ["a", "b"]);
        assert_eq!(found.exports, ["_start"]);
    }

    #[test]
    fn a_component_s_own_and_not_those_of_what_it_holds() {
        let found = of(r#"(component
            (import "wasi:io/poll@0.2.0" (instance))
            (core module (import "inner" "x" (func)) (func (export "hidden")))
            (component (import "nested:a/b" (instance)))
            (instance $i)
            (export "wasi:cli/run@0.2.0" (instance $i)))"#);
        assert_eq!(found.shape, Shape::Component);
        assert_eq!(found.imports, ["wasi:io/poll@0.2.0"]);
        assert_eq!(found.exports, ["wasi:cli/run@0.2.0"]);
    }

    #[test]
    fn what_is_no_wasm_is_refused() {
        for bytes in [&b""[..], b"hello", b"\0asm", b"\0asm\x01\0\0\0\xff"] {
            assert!(inspect(bytes).is_err(), "{bytes:?}");
        }
    }
}
