//! Calls to other functions of the app.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

/// The longest answer of another function that is taken, in bytes.
const LONGEST: usize = 64 * 1024;

/// Calls a function with GET, and gives the status and the body of its answer.
///
/// # Errors
/// What went wrong, in words: no grant, no answer, or one that is too long.
pub fn get(function: &str, target: &str) -> Result<(u16, Vec<u8>), String> {
    let request = OutgoingRequest::new(Fields::new());
    let authority = format!("{function}.strand.internal");
    let refused = |()| format!("{authority}{target} is no valid address");
    request.set_scheme(Some(&Scheme::Http)).map_err(refused)?;
    request.set_authority(Some(&authority)).map_err(refused)?;
    request.set_path_with_query(Some(target)).map_err(refused)?;
    let future = handle(request, None).map_err(|error| format!("{error:?}"))?;
    let response = loop {
        match future.get() {
            Some(Ok(Ok(response))) => break response,
            Some(Ok(Err(error))) => return Err(format!("{error:?}")),
            Some(Err(())) => return Err("its answer was taken before".into()),
            None => future.subscribe().block(),
        }
    };
    let status = response.status();
    let body = response
        .consume()
        .map_err(|()| "its body was taken before".to_owned())?;
    let stream = body
        .stream()
        .map_err(|()| "its body was taken before".to_owned())?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(LONGEST as u64) {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(StreamError::Closed) => return Ok((status, bytes)),
            Err(error) => return Err(error.to_string()),
        }
        if bytes.len() > LONGEST {
            return Err(format!("its answer is longer than {LONGEST} bytes"));
        }
    }
}
