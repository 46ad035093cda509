//! Greets whoever the first argument names, as a `wasi:cli/run` of WASI 0.3.

use wasip3::cli::{environment, stdout};
use wasip3::{spawn_local, wit_stream};

struct Hello;

wasip3::cli::command::export!(Hello);

impl wasip3::exports::cli::run::Guest for Hello {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        // The first one is the program's own name.
        let name = arguments.get(1).map_or("world", String::as_str);
        let greeting = format!("Hello, {name}, from a WASI 0.3 command!\n");

        let (mut output, contents) = wit_stream::new();
        let written = stdout::write_via_stream(contents);
        spawn_local(async move {
            // What is left over, nobody wanted; `written` says why.
            output.write_all(greeting.into_bytes()).await;
        });
        written.await.map_err(|_code| ())
    }
}
