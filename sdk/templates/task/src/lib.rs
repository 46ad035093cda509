//! Gives the text that comes in back in capitals.

use strand_sdk::task::Failure;

strand_sdk::task!(shout);

fn shout(input: Vec<u8>) -> Result<String, Failure> {
    let text = String::from_utf8(input)
        .map_err(|error| Failure::new(400, format!("the input is to be UTF-8: {error}")))?;
    Ok(text.to_uppercase())
}
