//! Takes and gives bodies, over `wasi:http/incoming-handler` of WASI 0.2: a `GET` of `/N` is
//! answered with N bytes, anything else with the number of bytes that came with it.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::{OutputStream, StreamError};

/// Bytes that are read or written at a time at most.
const PIECE: usize = 64 << 10;

struct Bodies;

wasip2::http::proxy::export!(Bodies);

impl Guest for Bodies {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let served = match request.method() {
            Method::Get => give(out, wanted(&request)),
            _ => take(&request).and_then(|bytes| send(out, bytes.to_string().as_bytes())),
        };
        if let Err(error) = served {
            eprintln!("bodies02: {error}");
        }
    }
}

fn wanted(request: &IncomingRequest) -> usize {
    let path = request.path_with_query().unwrap_or_default();
    path.trim_start_matches('/').parse().unwrap_or_default()
}

/// The length of the request's body.
fn take(request: &IncomingRequest) -> Result<u64, StreamError> {
    let Ok(body) = request.consume() else {
        return Ok(0);
    };
    let mut bytes = 0;
    if let Ok(stream) = body.stream() {
        loop {
            match stream.blocking_read(PIECE as u64) {
                Ok(piece) => bytes += piece.len() as u64,
                Err(StreamError::Closed) => break,
                Err(error) => return Err(error),
            }
        }
    }
    drop(IncomingBody::finish(body));
    Ok(bytes)
}

fn give(out: ResponseOutparam, bytes: usize) -> Result<(), StreamError> {
    answer(out, bytes, |stream| {
        let piece = vec![b'x'; PIECE.min(bytes)];
        let mut left = bytes;
        while left > 0 {
            let next = left.min(PIECE);
            write(stream, &piece[..next])?;
            left -= next;
        }
        Ok(())
    })
}

fn send(out: ResponseOutparam, text: &[u8]) -> Result<(), StreamError> {
    answer(out, text.len(), |stream| write(stream, text))
}

fn answer(
    out: ResponseOutparam,
    bytes: usize,
    write: impl FnOnce(&OutputStream) -> Result<(), StreamError>,
) -> Result<(), StreamError> {
    let fields = Fields::new();
    // Fields of the simplest kind, which no host refuses.
    let _ = fields.append("content-type", b"application/octet-stream");
    let _ = fields.append("content-length", bytes.to_string().as_bytes());
    let response = OutgoingResponse::new(fields);
    let Ok(body) = response.body() else {
        return Ok(());
    };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(stream) = body.write() {
        write(&stream)?;
        stream.flush()?;
    }
    // An answer that is not whole the host tells the client.
    let _ = OutgoingBody::finish(body, None);
    Ok(())
}

/// Writes as much at a time as there is room for.
fn write(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(PIECE);
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    Ok(())
}
