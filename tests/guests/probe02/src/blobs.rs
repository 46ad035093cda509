//! `/blob/…`.

use guest_behaviour::Blob;
use guest_capabilities::blobs::{Found, Writing, run};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use wasip2::io::streams::{InputStream, StreamError};

use crate::answer::{self, Broken};
use crate::relay::Relay;

/// Bytes read at a time at most.
const PIECE: u64 = 64 << 10;

pub(crate) fn serve(
    request: &IncomingRequest,
    operation: &Blob,
    out: ResponseOutparam,
) -> Result<(), Broken> {
    let outcome = match operation {
        Blob::Write {
            container,
            object,
            abandon,
        } => write(request, container, object, *abandon)?,
        operation => run(operation),
    };
    match outcome {
        Err(error) => answer::text(out, 502, &format!("{error}\n")),
        Ok(Found::Json(value)) => answer::json(out, &value),
        Ok(Found::Bytes(bytes)) => {
            let body = answer::begin(out, 200, &[])?;
            body.write(&bytes)?;
            body.finish(None)
        }
        Ok(Found::Stream(stream)) => send(out, &stream),
    }
}

fn send(out: ResponseOutparam, stream: &InputStream) -> Result<(), Broken> {
    let body = answer::begin(out, 200, &[])?;
    loop {
        match stream.blocking_read(PIECE) {
            Ok(bytes) => body.write(&bytes)?,
            Err(StreamError::Closed) => return body.finish(None),
            // The body is dropped unfinished: the answer is not whole, and its client can tell.
            Err(error) => return Err(error.into()),
        }
    }
}

fn write(
    request: &IncomingRequest,
    container: &str,
    object: &str,
    abandon: bool,
) -> Result<Result<Found, String>, Broken> {
    let writing = match Writing::begin(container, object) {
        Ok(writing) => writing,
        Err(error) => return Ok(Err(error)),
    };
    let body = request.consume();
    let body = Relay::new(body.map_err(|()| Broken::new("the body is taken"))?)?;
    if let Err(broken) = body.run(writing.stream()) {
        return Ok(Err(broken.to_string()));
    }
    let outcome = if abandon { Ok(()) } else { writing.finish() };
    Ok(outcome.map(|()| Found::Json(serde_json::Value::Null)))
}
