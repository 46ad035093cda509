//! Valid WebAssembly that no host knows what to do with.

use wasm_encoder::{
    Alias, CanonicalFunctionSection, CodeSection, Component, ComponentAliasSection,
    ComponentExportKind, ComponentExportSection, ComponentImportSection, ComponentInstanceSection,
    ComponentTypeRef, ComponentTypeSection, ComponentValType, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, ImportSection, InstanceSection, InstanceType,
    MemorySection, Module, ModuleArg, ModuleSection, TypeSection, ValType,
};

use crate::module::{empty, memory};

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

/// A component that is a command of WASI 0.2 and wants an instance that nobody has,
/// `example:unknown/thing@1.0.0`.
pub fn imports_unknown_interface() -> Vec<u8> {
    let mut unknown = InstanceType::new();
    unknown.ty().function().params(NO_PARAMS).result(None);
    unknown.export("touch", ComponentTypeRef::Func(0));
    let mut types = ComponentTypeSection::new();
    types.ty().instance(&unknown);
    types.defined_type().result(None, None);
    let result = Some(ComponentValType::Type(1));
    types.function().params(NO_PARAMS).result(result);

    let mut imports = ComponentImportSection::new();
    imports.import("example:unknown/thing@1.0.0", ComponentTypeRef::Instance(0));

    // What follows is `run`: a core function that returns 0, for success, lifted.
    let core = returns_zero();
    let mut instances = InstanceSection::new();
    instances.instantiate(0, NO_ARGUMENTS);
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::CoreInstanceExport {
        instance: 0,
        kind: ExportKind::Func,
        name: "run",
    });
    let mut lifted = CanonicalFunctionSection::new();
    lifted.lift(0, 2, []);
    let mut run = ComponentInstanceSection::new();
    run.export_items([("run", ComponentExportKind::Func, 0)]);
    let mut exports = ComponentExportSection::new();
    // Instance 0 is the import.
    exports.export("wasi:cli/run@0.2.0", ComponentExportKind::Instance, 1, None);

    let mut component = Component::new();
    component
        .section(&types)
        .section(&imports)
        .section(&ModuleSection(&core))
        .section(&instances)
        .section(&aliases)
        .section(&lifted)
        .section(&run)
        .section(&exports);
    component.finish()
}

const NO_PARAMS: [(&str, ComponentValType); 0] = [];
const NO_ARGUMENTS: [(&str, ModuleArg); 0] = [];

/// A core module with a function `run` that returns 0.
fn returns_zero() -> Module {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    let mut function = Function::new([]);
    function.instructions().i32_const(0).end();
    let mut code = CodeSection::new();
    code.function(&function);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&exports)
        .section(&code);
    module
}
