//! Answers every request with a greeting, over `wasi:http/handler` of WASI 0.3.

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{spawn_local, wit_future, wit_stream};

const GREETING: &[u8] = b"Hello from WASI 0.3!\n";

struct Hello;

wasip3::http::service::export!(Hello);

impl wasip3::exports::http::handler::Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let headers = Fields::from_list(&[
            ("content-type".into(), b"text/plain".into()),
            (
                "content-length".into(),
                GREETING.len().to_string().into_bytes(),
            ),
        ])
        .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;

        let (mut body, contents) = wit_stream::new();
        // No trailers: a writer that is dropped sends the default.
        let (_, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(headers, Some(contents), trailers);
        // The host takes the body only once it has the answer's head, so the task outlives
        // this function.
        spawn_local(async move {
            // What is left over belongs to a client that went away.
            body.write_all(GREETING.into()).await;
        });
        Ok(response)
    }
}
