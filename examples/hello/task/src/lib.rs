//! Greets whoever the input names, in the words of the configuration, as a
//! `strand:function/task`.

use bindings::exports::strand::function::task::{Failure, Guest};
use bindings::wasi::config::store;

#[allow(
    unsafe_code,
    missing_docs,
    reason = "wit-bindgen generates this module; raw memory is how components exchange values"
)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit/deps/wasi-config-0.2.0-rc.1", "../../../wit/strand-function"],
        inline: "
            package strand:hello;
            world hello {
                import wasi:config/store@0.2.0-rc.1;
                include strand:function/task-function@0.1.0;
            }
        ",
        world: "strand:hello/hello",
        generate_all,
    });
    export!(Hello with_types_in self);
    use super::Hello;
}

struct Hello;

impl Guest for Hello {
    fn run(input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let name = String::from_utf8(input).map_err(|error| Failure {
            code: 400,
            message: format!("the input is to be a name in UTF-8: {error}"),
        })?;
        let greeting = store::get("greeting").map_err(|error| Failure {
            code: 500,
            message: format!("the configuration cannot be read: {error}"),
        })?;
        let greeting = greeting.as_deref().unwrap_or("Hello");
        let name = match name.trim() {
            "" => "world",
            name => name,
        };
        Ok(format!("{greeting}, {name}, from a task!\n").into_bytes())
    }
}
