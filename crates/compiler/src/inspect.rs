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

/// What all WebAssembly begins with.
const MAGIC: &[u8] = b"\0asm";

/// The bytes are not WebAssembly, or broken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotWasm {
    /// There are none.
    #[error("not WebAssembly: it is empty")]
    Empty,
    /// Something else.
    #[error("not WebAssembly: it begins with `{begins}`")]
    Foreign {
        /// Its first bytes, those that cannot be shown as escapes.
        begins: String,
        /// What to do about it, if it is known what it is.
        help: Option<&'static str>,
    },
    /// Something in it ends before its length, or all of it does.
    #[error("not whole WebAssembly: something in it is cut short (at offset {0:#x})")]
    CutShort(usize),
    /// Anything else.
    #[error("not valid WebAssembly: {0}")]
    Broken(String),
}

impl NotWasm {
    /// What to do about it, where that can be told.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Empty | Self::CutShort(_) => Some("build it again, or copy all of it"),
            Self::Foreign { help, .. } => *help,
            Self::Broken(_) => None,
        }
    }

    /// Bytes that do not begin as they should.
    fn foreign(bytes: &[u8]) -> Self {
        let text = bytes.trim_ascii_start();
        let help = if text.starts_with(b"(module") || text.starts_with(b"(component") {
            Some("this is the text format: convert it with `wasm-tools parse`")
        } else if bytes.starts_with(b"\x7fELF") {
            Some("this is a native program: build it for `wasm32-wasip2`")
        } else {
            None
        };
        let begins = &bytes[..bytes.len().min(MAGIC.len())];
        Self::Foreign {
            begins: begins.escape_ascii().to_string(),
            help,
        }
    }
}

impl From<wasmparser::BinaryReaderError> for NotWasm {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        let offset = error.offset();
        match error.message() {
            "unexpected end-of-file" => Self::CutShort(offset),
            message => {
                // What follows are bytes, on a line each.
                let message = message.split(" - ").next().unwrap_or_default();
                let words: Vec<&str> = message.split_whitespace().collect();
                Self::Broken(format!("{} (at offset {offset:#x})", words.join(" ")))
            }
        }
    }
}

/// Reads the imports and exports of a component or module.
///
/// # Errors
/// When the bytes are neither. They are not validated beyond the sections read.
pub fn inspect(wasm: &[u8]) -> Result<Inspection, NotWasm> {
    if wasm.is_empty() {
        return Err(NotWasm::Empty);
    }
    // The beginning of a beginning is cut short, which the parser tells.
    if !wasm.starts_with(MAGIC) && !MAGIC.starts_with(wasm) {
        return Err(NotWasm::foreign(wasm));
    }
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
        shape: shape.ok_or(NotWasm::Empty)?,
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
    fn what_is_no_wasm_is_told_in_a_line() {
        let cut = "build it again, or copy all of it";
        let text = "this is the text format: convert it with `wasm-tools parse`";
        let native = "this is a native program: build it for `wasm32-wasip2`";
        for (bytes, said, help) in [
            (&b""[..], "not WebAssembly: it is empty", Some(cut)),
            (b"hello", "not WebAssembly: it begins with `hell`", None),
            (b"hi", "not WebAssembly: it begins with `hi`", None),
            (
                b"(module)",
                "not WebAssembly: it begins with `(mod`",
                Some(text),
            ),
            (
                b"\n (component",
                "not WebAssembly: it begins with `\\n (c`",
                Some(text),
            ),
            (
                b"\x7fELF\x02\x01",
                "not WebAssembly: it begins with `\\x7fELF`",
                Some(native),
            ),
            (
                b"\0as",
                "not whole WebAssembly: something in it is cut short (at offset 0x0)",
                Some(cut),
            ),
            (
                b"\0asm\x01",
                "not whole WebAssembly: something in it is cut short (at offset 0x4)",
                Some(cut),
            ),
            (
                b"\0asm\x07\0\0\0",
                "not valid WebAssembly: unknown binary version: 0x7 (at offset 0x4)",
                None,
            ),
        ] {
            let error = inspect(bytes).expect_err(said);
            assert_eq!((error.to_string().as_str(), error.help()), (said, help));
        }
    }

    #[test]
    fn no_beginning_of_a_file_is_foreign() {
        let whole = wat::parse_str(
            r#"(component
                (core module (import "a" "b" (func)) (func (export "c")))
                (instance $i)
                (export "wasi:cli/run@0.2.0" (instance $i)))"#,
        )
        .expect("valid text");
        for length in 0..whole.len() {
            // Where a section ends, so may the file.
            if let Err(error) = inspect(&whole[..length]) {
                assert_eq!(error.to_string().lines().count(), 1, "{error}");
                let foreign = matches!(error, NotWasm::Foreign { .. });
                assert!(!foreign, "{length}: {error}");
            }
        }
    }

    /// Where a module in a component does not begin as one, the parser shows its bytes.
    #[test]
    fn what_is_inside_is_told_in_a_line_too() {
        let mut bytes = wat::parse_str("(component (core module))").expect("valid text");
        let inner = bytes.windows(4).rposition(|four| four == MAGIC);
        let inner = inner.expect("a module");
        bytes[inner + 1] = b'x';
        let said = inspect(&bytes).expect_err("refuses").to_string();
        assert_eq!(
            said,
            format!(
                "not valid WebAssembly: magic header not detected: bad magic number (at offset {inner:#x})"
            )
        );
    }
}
