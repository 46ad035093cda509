//! Answers every request with a greeting, over `wasi:http/incoming-handler` of WASI 0.2.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

const GREETING: &[u8] = b"Hello from WASI 0.2!\n";

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(_request: IncomingRequest, answer: ResponseOutparam) {
        let (response, body) = match head() {
            Ok(head) => head,
            Err(code) => return ResponseOutparam::set(answer, Err(code)),
        };
        // The head goes first: then the client may have it while the body is written.
        ResponseOutparam::set(answer, Ok(response));
        let written = body
            .write()
            .is_ok_and(|stream| stream.blocking_write_and_flush(GREETING).is_ok());
        // A body that is dropped unfinished tells the host that the answer is not whole.
        if written && let Err(code) = OutgoingBody::finish(body, None) {
            eprintln!("the answer could not be finished: {code}");
        }
    }
}

fn head() -> Result<(OutgoingResponse, OutgoingBody), ErrorCode> {
    let headers = Fields::from_list(&[
        ("content-type".into(), b"text/plain".into()),
        (
            "content-length".into(),
            GREETING.len().to_string().into_bytes(),
        ),
    ])
    .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
    let response = OutgoingResponse::new(headers);
    let body = response
        .body()
        .map_err(|()| ErrorCode::InternalError(Some("the body is taken".into())))?;
    Ok((response, body))
}
