//! Greets whoever the first argument names and says how much came in, as any Rust program would:
//! compiled for `wasm32-wasip2` it is a `wasi:cli/run` of WASI 0.2.

use std::env;
use std::io::{self, Write};

fn main() -> io::Result<()> {
    let name = env::args().nth(1).unwrap_or_else(|| "world".to_owned());
    let greeting = env::var("GREETING").unwrap_or_else(|_| "Hello".to_owned());
    let mut output = io::stdout().lock();
    writeln!(output, "{greeting}, {name}, from a command!")?;
    let bytes = io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    if bytes > 0 {
        writeln!(output, "You sent {bytes} bytes.")?;
    }
    output.flush()
}
