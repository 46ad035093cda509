//! Compresses answers on their way, for clients that take it.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::buf::Writer;
use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use strand_engine::{Body, BodyError, MemoryBudget, Reservation};

use crate::accept_encoding::Coding;
use crate::announced::Announced;
use crate::config::Config;
use crate::fields;
use crate::rules::vary;

/// Bytes below which a body is not worth it: it fits a packet as it is.
const WORTH_IT: u64 = 1 << 10;

/// zlib's level: beyond this a text gets little smaller and takes much longer.
const LEVEL: u32 = 4;

/// Bytes of the answer that are compressed before others on the thread have their turn: about a
/// millisecond.
const TURN: usize = 128 << 10;

/// Compresses an answer if it is a text, the client takes gzip and the budget has room for it.
pub(crate) fn compress(
    response: Response<Body>,
    accepted: &[Coding],
    budget: Option<&Arc<MemoryBudget>>,
) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if !is_eligible(parts.status, &parts.headers) {
        return Response::from_parts(parts, body);
    }
    vary(&mut parts.headers, "accept-encoding");
    // Broken lengths were found before.
    let length = fields::content_length(&parts.headers).unwrap_or_default();
    let small = |length: u64| length < WORTH_IT;
    if length.or(body.size_hint().exact()).is_some_and(small) || !accepted.contains(&Coding::Gzip) {
        return Response::from_parts(parts, body);
    }
    let mut reservation = budget.map(MemoryBudget::empty_reservation);
    let has_room = |held: &mut Reservation| held.grow(Config::COMPRESSING);
    if !reservation.as_mut().is_none_or(has_room) {
        return Response::from_parts(parts, body);
    }
    let headers = &mut parts.headers;
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    weaken(headers);
    let body = Gzip {
        inner: body,
        encoder: Some(GzEncoder::new(
            BytesMut::new().writer(),
            Compression::new(LEVEL),
        )),
        announced: Announced::new(length),
        unflushed: false,
        trailers: None,
        _reservation: reservation,
    };
    Response::from_parts(parts, body.boxed_unsync())
}

/// Whether compressing an answer is allowed, and would make it smaller.
fn is_eligible(status: StatusCode, headers: &HeaderMap) -> bool {
    let bodiless = matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    );
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let transformable = headers
        .get_all(CACHE_CONTROL)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .all(|token| !token.trim().eq_ignore_ascii_case("no-transform"));
    !bodiless
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && transformable
        && text(CONTENT_TYPE).is_some_and(is_text)
}

/// Whether bodies of a media type are text of some kind. Streams of events are left alone: each
/// is to arrive as it is sent, and most are smaller than what would be saved.
pub(crate) fn is_text(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("text", subtype)) => subtype != "event-stream",
        Some(("application", subtype)) => {
            matches!(
                subtype,
                "json" | "javascript" | "xml" | "yaml" | "wasm" | "x-ndjson" | "x-yaml"
            ) || subtype.ends_with("+json")
                || subtype.ends_with("+xml")
        }
        Some(("image", subtype)) => matches!(subtype, "svg+xml" | "bmp" | "x-icon"),
        Some(("font", subtype)) => matches!(subtype, "ttf" | "otf"),
        _ => false,
    }
}

/// The bytes are not those that a strong tag stands for (RFC 9110, section 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let weak = headers
        .get(ETAG)
        .map(HeaderValue::as_bytes)
        .filter(|tag| tag.starts_with(b"\""))
        .and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag].concat()).ok());
    if let Some(weak) = weak {
        headers.insert(ETAG, weak);
    }
}

/// A body on its way through zlib. What came is sent on when nothing more has come: a client sees
/// an answer as far as it was written.
struct Gzip {
    inner: Body,
    /// There until the end was written.
    encoder: Option<GzEncoder<Writer<BytesMut>>>,
    /// Of the body as it comes.
    announced: Announced,
    unflushed: bool,
    trailers: Option<Frame<Bytes>>,
    _reservation: Option<Reservation>,
}

/// Writing to memory does not fail.
fn never(error: std::io::Error) -> BodyError {
    BodyError::Connection(Box::new(error))
}

impl Gzip {
    fn take(&mut self, data: &[u8]) -> Result<(), BodyError> {
        self.announced.came(data.len())?;
        if let Some(encoder) = &mut self.encoder {
            encoder.write_all(data).map_err(never)?;
            self.unflushed = true;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<Bytes, BodyError> {
        self.unflushed = false;
        let Some(encoder) = &mut self.encoder else {
            return Ok(Bytes::new());
        };
        encoder.flush().map_err(never)?;
        Ok(encoder.get_mut().get_mut().split().freeze())
    }

    /// What is ready, once it is worth a frame.
    fn ready(&mut self) -> Option<Bytes> {
        let out = self.encoder.as_mut()?.get_mut().get_mut();
        (out.len() >= 16 << 10).then(|| out.split().freeze())
    }

    fn finish(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(encoder) = self.encoder.take() else {
            return Ok(None);
        };
        self.announced.ended()?;
        let out = encoder.finish().map_err(never)?;
        Ok(Some(out.into_inner().freeze()))
    }
}

type Piece = Option<Result<Frame<Bytes>, BodyError>>;

impl http_body::Body for Gzip {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        let this = &mut *self;
        let data = |bytes: Bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        let mut turn = 0;
        while this.encoder.is_some() {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Pending if this.unflushed => {
                    return Poll::Ready(Some(this.flush().map(Frame::data)));
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => {
                        turn += bytes.len();
                        if let Err(error) = this.take(&bytes) {
                            return Poll::Ready(Some(Err(error)));
                        }
                        if let Some(ready) = this.ready() {
                            return data(ready);
                        }
                        if turn >= TURN {
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                    }
                    Err(trailers) => {
                        this.trailers = Some(trailers);
                        break;
                    }
                },
                Poll::Ready(None) => break,
            }
        }
        match this.finish() {
            Ok(Some(last)) => data(last),
            Ok(None) => Poll::Ready(this.trailers.take().map(Ok)),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }
}

#[cfg(test)]
mod tests;
