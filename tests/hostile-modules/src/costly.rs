//! Modules that are dear to compile.

use wasm_encoder::{BlockType, Function, MemArg, ValType};

use crate::module::Program;
use crate::random::Random;

/// Values that are alive all through the enormous function: far more than any machine has
/// registers.
const VALUES: u32 = 2000;

/// One function with `steps` steps of arithmetic, each on values that all others may need, in and
/// out of branches, inside of a loop: nothing can be folded, forgotten or put into registers for
/// good. A step takes about 16 bytes; a function of more than 7,654,321 bytes is not valid to most
/// hosts.
pub fn enormous_function(steps: u32) -> Vec<u8> {
    let mut random = Random::new(u64::from(steps));
    let mut any = || random.below(u64::from(VALUES)) as u32;
    let at = |offset| MemArg {
        offset,
        align: 3,
        memory_index: 0,
    };
    let mut function = Function::new([(VALUES, ValType::I64)]);
    let mut code = function.instructions();
    // Out of memory, for the compiler knows the zeros that locals begin with.
    for value in 0..VALUES {
        code.i32_const(0)
            .i64_load(at(8 * u64::from(value)))
            .local_set(value);
    }
    code.loop_(BlockType::Empty);
    for step in 0..steps {
        if step % 4 == 0 {
            code.block(BlockType::Empty)
                .local_get(any())
                .i32_wrap_i64()
                .br_if(0);
        }
        code.local_get(any())
            .local_get(any())
            .i64_mul()
            .local_get(any())
            .i64_rotl()
            .local_set(any());
        if step % 4 == 3 || step + 1 == steps {
            code.end();
        }
    }
    code.local_get(any()).i32_wrap_i64().br_if(0).end();
    // All of them count in the end.
    for value in 0..VALUES {
        code.i32_const(0)
            .local_get(value)
            .i64_store(at(8 * u64::from(value)));
    }
    code.end();
    Program::new(vec![function]).encode()
}

/// `count` functions, all alike and small. More than a million are not valid to most hosts.
pub fn many_functions(count: u32) -> Vec<u8> {
    let mut function = Function::new([]);
    function.instructions().i32_const(1).drop().end();
    Program::new(vec![function; count as usize]).encode()
}

/// A function of `depth` blocks, one inside the other; three bytes each.
pub fn deep_nesting(depth: u32) -> Vec<u8> {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    for _ in 0..depth {
        code.block(BlockType::Empty);
    }
    for _ in 0..depth {
        code.end();
    }
    code.end();
    Program::new(vec![function]).encode()
}

/// A function with so many `tables`, each of which branches to one of `targets` places, told apart
/// by a number that is known only when it runs. A target takes one byte or two. Wasmtime refuses to
/// compile more than 65520 targets of one table.
pub fn enormous_br_tables(tables: u32, targets: u32) -> Vec<u8> {
    const BLOCKS: u32 = 256;
    let memory = |align| MemArg {
        offset: 0,
        align,
        memory_index: 0,
    };
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    for _ in 0..tables {
        for _ in 0..BLOCKS {
            code.block(BlockType::Empty);
        }
        let table: Vec<u32> = (0..targets).map(|target| target % BLOCKS).collect();
        code.local_get(0)
            .i32_load8_u(memory(0))
            .br_table(table, BLOCKS - 1);
        // Behind each block another sum, so that no two targets are the same.
        for block in 0..BLOCKS {
            code.end()
                .local_get(0)
                .i32_const(block as i32)
                .i32_add()
                .local_set(0);
        }
    }
    code.i32_const(8).local_get(0).i32_store(memory(2)).end();
    Program::new(vec![function]).encode()
}
