//! `/blob/…`. The interface is one of WASI 0.2: its calls block all of the instance.

use guest_behaviour::Blob;
use guest_capabilities::blobs::{Found, Writing, run};
use wasip2::io::streams::{InputStream, StreamError};
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{spawn_local, wit_future};

use crate::answer;

/// Bytes read at a time at most.
const PIECE: u64 = 64 << 10;

pub(crate) async fn serve(request: Request, operation: Blob) -> Result<Response, ErrorCode> {
    let outcome = match &operation {
        Blob::Write {
            container,
            object,
            abandon,
        } => write(request, container, object, *abandon).await,
        operation => run(operation),
    };
    match outcome {
        Err(error) => answer::text(502, &format!("{error}\n")),
        Ok(Found::Json(value)) => answer::json(&value),
        Ok(Found::Bytes(bytes)) => answer::whole(200, Fields::new(), bytes),
        Ok(Found::Stream(stream)) => send(stream),
    }
}

fn send(stream: InputStream) -> Result<Response, ErrorCode> {
    let (response, mut body) = answer::begin(200, Fields::new())?;
    spawn_local(async move {
        let end = loop {
            match stream.blocking_read(PIECE) {
                Ok(bytes) => {
                    if !body.stream.write_all(bytes).await.is_empty() {
                        return;
                    }
                }
                Err(StreamError::Closed) => break Ok(None),
                Err(error) => break Err(answer::internal(&error.to_string())),
            }
        };
        body.finish(end).await;
    });
    Ok(response)
}

async fn write(
    request: Request,
    container: &str,
    object: &str,
    abandon: bool,
) -> Result<Found, String> {
    let mut writing = Writing::begin(container, object)?;
    let (received, result) = wit_future::new(|| Ok(()));
    drop(received);
    let (mut body, trailers) = Request::consume_body(request, result);
    while let Some(piece) = answer::next(&mut body).await {
        writing.write(&piece)?;
    }
    // Only this tells an end from a connection that broke.
    trailers.await.map_err(|code| code.to_string())?;
    if !abandon {
        writing.finish()?;
    }
    Ok(Found::Json(serde_json::Value::Null))
}
