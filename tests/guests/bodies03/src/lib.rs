//! Takes and gives bodies, over `wasi:http/handler` of WASI 0.3: a `GET` of `/N` is answered with
//! N bytes, anything else with the number of bytes that came with it.

use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use wasip3::wit_bindgen::StreamResult;
use wasip3::{spawn_local, wit_future, wit_stream};

/// Bytes that are read or written at a time at most.
const PIECE: usize = 64 << 10;

struct Bodies;

wasip3::http::service::export!(Bodies);

impl wasip3::exports::http::handler::Guest for Bodies {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        if matches!(request.get_method(), Method::Get) {
            let path = request.get_path_with_query().unwrap_or_default();
            let bytes = path.trim_start_matches('/').parse().unwrap_or_default();
            return answer(bytes, pieces(bytes));
        }
        let text = take(request).await.to_string().into_bytes();
        answer(text.len(), std::iter::once(text))
    }
}

/// The length of the request's body.
async fn take(request: Request) -> u64 {
    let (_, result) = wit_future::new(|| Ok(()));
    let (mut body, _trailers) = Request::consume_body(request, result);
    let mut bytes = 0;
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        let (result, read) = body.read(piece).await;
        bytes += read.len() as u64;
        if !matches!(result, StreamResult::Complete(_)) {
            return bytes;
        }
        piece = read;
        piece.clear();
    }
}

fn pieces(bytes: usize) -> impl Iterator<Item = Vec<u8>> {
    let starts = (0..bytes).step_by(PIECE);
    starts.map(move |start| vec![b'x'; PIECE.min(bytes - start)])
}

/// An answer of these pieces, so many bytes in all.
fn answer(
    bytes: usize,
    pieces: impl Iterator<Item = Vec<u8>> + 'static,
) -> Result<Response, ErrorCode> {
    let headers = Fields::from_list(&[
        ("content-type".into(), b"application/octet-stream".into()),
        ("content-length".into(), bytes.to_string().into_bytes()),
    ])
    .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
    let (mut body, contents) = wit_stream::new();
    // No trailers: a writer that is dropped sends the default.
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(headers, Some(contents), trailers);
    spawn_local(async move {
        for piece in pieces {
            // What is left over belongs to a client that went away.
            if !body.write_all(piece).await.is_empty() {
                return;
            }
        }
    });
    Ok(response)
}
