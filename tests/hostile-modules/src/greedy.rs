//! Modules that want much when they start or run.

use wasm_encoder::{BlockType, Function, HeapType, RefType, TableType};

use crate::module::{Program, empty, memory};

/// Wants a memory of `pages` pages of 64 KiB from the start; 65536 pages are 4 GiB, the most there
/// can be.
pub fn memory_of(pages: u64) -> Vec<u8> {
    Program {
        memories: vec![memory(pages, None)],
        ..Program::new(vec![empty()])
    }
    .encode()
}

/// Wants a table of `elements` elements from the start. `u32::MAX` is the most that the format
/// allows.
pub fn table_of(elements: u32) -> Vec<u8> {
    Program {
        tables: vec![table(elements)],
        ..Program::new(vec![empty()])
    }
    .encode()
}

/// Has `count` memories of one page. More than 100 are not valid to Wasmtime.
pub fn many_memories(count: usize) -> Vec<u8> {
    Program {
        memories: vec![memory(1, None); count],
        ..Program::new(vec![empty()])
    }
    .encode()
}

/// Grows a table by 1000 elements at a time until that is refused, and traps then.
pub fn grows_table() -> Vec<u8> {
    let mut function = Function::new([]);
    function
        .instructions()
        .loop_(BlockType::Empty)
        .ref_null(HeapType::FUNC)
        .i32_const(1000)
        .table_grow(0)
        .i32_const(-1)
        .i32_ne()
        .br_if(0)
        .end()
        .unreachable()
        .end();
    Program {
        tables: vec![table(0)],
        ..Program::new(vec![function])
    }
    .encode()
}

/// Grows `count` memories in turn, each by 16 pages (1 MiB) at a time, until that is refused, and
/// traps then: no single one of them is ever large.
pub fn grows_memories(count: u32) -> Vec<u8> {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    for index in 0..count {
        code.i32_const(16)
            .memory_grow(index)
            .i32_const(-1)
            .i32_eq()
            .br_if(1);
    }
    code.br(0).end().end().unreachable().end();
    Program {
        memories: vec![memory(1, None); count as usize],
        ..Program::new(vec![function])
    }
    .encode()
}

fn table(minimum: u32) -> TableType {
    TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: u64::from(minimum),
        maximum: None,
        shared: false,
    }
}
