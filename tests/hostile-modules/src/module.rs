//! What most of the modules have in common.

use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, MemorySection, MemoryType,
    Module, TableSection, TableType, TypeSection,
};

/// A memory of so many pages of 64 KiB, with or without a limit of its own.
pub(crate) fn memory(minimum: u64, maximum: Option<u64>) -> MemoryType {
    MemoryType {
        minimum,
        maximum,
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}

/// The parts of a module of functions without parameters and results; the first is `_start`.
pub(crate) struct Program {
    pub(crate) tables: Vec<TableType>,
    /// The first one is exported as `memory`.
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) functions: Vec<Function>,
}

impl Program {
    /// One page of memory and nothing else.
    pub(crate) fn new(functions: Vec<Function>) -> Self {
        Program {
            tables: Vec::new(),
            memories: vec![memory(1, None)],
            functions,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);

        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for function in &self.functions {
            functions.function(0);
            code.function(function);
        }
        let mut tables = TableSection::new();
        for table in &self.tables {
            tables.table(*table);
        }
        let mut memories = MemorySection::new();
        for memory in &self.memories {
            memories.memory(*memory);
        }
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("_start", ExportKind::Func, 0);

        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&tables)
            .section(&memories)
            .section(&exports)
            .section(&code);
        module.finish()
    }
}

/// A function that does nothing.
pub(crate) fn empty() -> Function {
    let mut function = Function::new([]);
    function.instructions().end();
    function
}
