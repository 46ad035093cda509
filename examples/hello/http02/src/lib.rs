//! Answers every request with a greeting, over `wasi:http/incoming-handler` of WASI 0.2.

use strand_sdk::http::{Broken, Request, Responder};

strand_sdk::http!(hello);

fn hello(_request: Request, responder: Responder) -> Result<(), Broken> {
    responder.text("Hello from WASI 0.2!\n")
}
