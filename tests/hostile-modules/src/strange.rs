//! Valid WebAssembly that no host knows what to do with.

use wasm_encoder::{
    CodeSection, Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
    ComponentTypeRef, ComponentTypeSection, ComponentValType, EntityType, ExportKind,
    ExportSection, FunctionSection, ImportSection, InstanceType, MemorySection, Module,
    TypeSection,
};

use crate::module::{empty, memory};

/// The interface that [`imports_unknown_interface`] imports.
const UNKNOWN: &str = "example:unknown/thing@1.0.0";

/// A module whose only export is a function `unheard-of`.
pub fn exports_nothing() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("unheard-of", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    code.function(&empty());
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&exports)
        .section(&code);
    module.finish()
}

/// A program that imports the function `thing` from `unknown`.
pub fn imports_unknown_function() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    imports.import("unknown", "thing", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    memories.memory(memory(1, None));
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    // Its own one; function 0 is the import.
    exports.export("_start", ExportKind::Func, 1);
    let mut code = CodeSection::new();
    code.function(&empty());
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code);
    module.finish()
}

/// A component that is a command by its export (`wasi:cli/run@0.2.0`) and takes that very instance
/// from an import that nobody has, `example:unknown/thing@1.0.0`. It has no `_start`.
pub fn imports_unknown_interface() -> Vec<u8> {
    let mut instance = InstanceType::new();
    instance.ty().defined_type().result(None, None);
    instance
        .ty()
        .function()
        .params(None::<(&str, ComponentValType)>)
        .result(Some(ComponentValType::Type(0)));
    instance.export("run", ComponentTypeRef::Func(1));
    let mut types = ComponentTypeSection::new();
    types.ty().instance(&instance);
    let mut imports = ComponentImportSection::new();
    imports.import(UNKNOWN, ComponentTypeRef::Instance(0));
    let mut exports = ComponentExportSection::new();
    exports.export("wasi:cli/run@0.2.0", ComponentExportKind::Instance, 0, None);
    let mut component = Component::new();
    component
        .section(&types)
        .section(&imports)
        .section(&exports);
    component.finish()
}
