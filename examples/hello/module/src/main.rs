//! Greets whoever the first argument names. Compiled for `wasm32-wasip1` it is a core module over
//! preview 1 of WASI, as existing C, Go and Swift programs are.

use std::env;
use std::io::{self, Write};

fn main() -> io::Result<()> {
    let name = env::args().nth(1).unwrap_or_else(|| "world".to_owned());
    writeln!(io::stdout(), "Hello, {name}, from a module!")
}
