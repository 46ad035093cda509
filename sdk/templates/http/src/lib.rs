//! Greets whoever the query names: `GET /?name=Ada`.

use strand_sdk::http::{Broken, Request, Responder};

strand_sdk::http!(hello);

fn hello(request: Request, responder: Responder) -> Result<(), Broken> {
    let name = request.parameter("name").unwrap_or_else(|| "world".into());
    responder.text(&format!("Hello, {name}!\n"))
}
