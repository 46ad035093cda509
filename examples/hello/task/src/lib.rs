//! Greets whoever the input names, in the words of the configuration, as a
//! `strand:function/task`.

use strand_sdk::config;
use strand_sdk::task::Failure;

strand_sdk::task!(hello);

fn hello(input: Vec<u8>) -> Result<String, Failure> {
    let name = String::from_utf8(input)
        .map_err(|error| Failure::new(400, format!("the input is to be a name: {error}")))?;
    let name = match name.trim() {
        "" => "world",
        name => name,
    };
    let greeting = config::get("greeting").map_err(|error| Failure::new(500, error))?;
    let greeting = greeting.as_deref().unwrap_or("Hello");
    Ok(format!("{greeting}, {name}, from a task!\n"))
}
