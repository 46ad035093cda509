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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::accept_encoding::Coding;
use crate::announced::Announced;
use crate::config::Config;
use crate::fields;
use crate::rules::vary;

/// Bytes below which a body is not worth it: it fits a packet as it is.
const WORTH_IT: u64 = 1 << 10;

/// zlib's level: beyond this a text gets little smaller and takes much longer.
const LEVEL: u32 = 2;

/// Bytes of an answer that are compressed before others on the thread have their turn: about a
/// tenth of a millisecond.
const TURN: usize = 16 << 10;

/// Answers that are compressed at once, for each thread. All others on the thread wait for a turn
/// of each of them.
const AT_ONCE: usize = 8;

/// Places for answers that are compressed: those of one thread, which all its connections share.
/// A place goes back to where it came from, whoever drops it.
#[derive(Clone, Debug)]
pub(crate) struct Compressors(Arc<Semaphore>);

impl Default for Compressors {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Compressors {
    /// A place and the memory that it takes, as long as there are enough of both: of the budget no
    /// more than half, as calls need the rest.
    fn take(&self, budget: Option<&Arc<MemoryBudget>>) -> Option<Held> {
        let place = Arc::clone(&self.0).try_acquire_owned().ok()?;
        let memory = match budget {
            Some(budget) if budget.used() > budget.limit() / 2 => return None,
            Some(budget) => {
                let mut memory = budget.empty_reservation();
                memory.grow(Config::COMPRESSING).then_some(())?;
                Some(memory)
            }
            None => None,
        };
        Some((place, memory))
    }
}

type Held = (OwnedSemaphorePermit, Option<Reservation>);

/// What a 304 leaves out of the head of the answer that it stands for. It goes along with the 304
/// to where that head would decide.
#[derive(Clone, Debug)]
pub(crate) struct LeftOut {
    pub(crate) content_type: HeaderValue,
    pub(crate) length: u64,
}

/// Compresses an answer if it is a text, the client takes gzip and there is room for it. A 304
/// that stands for such an answer gets its tag.
pub(crate) fn compress(
    response: Response<Body>,
    accepted: &[Coding],
    compressors: &Compressors,
    budget: Option<&Arc<MemoryBudget>>,
) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let left_out = parts.extensions.remove::<LeftOut>();
    if !is_eligible(parts.status, &parts.headers, left_out.as_ref()) {
        return Response::from_parts(parts, body);
    }
    vary(&mut parts.headers, "accept-encoding");
    // Broken lengths were found before.
    let length = fields::content_length(&parts.headers).unwrap_or_default();
    let whole = left_out.as_ref().map(|left_out| left_out.length);
    let whole = whole.or(length).or(body.size_hint().exact());
    let small = |length: u64| length < WORTH_IT;
    if whole.is_some_and(small) || !accepted.contains(&Coding::Gzip) {
        return Response::from_parts(parts, body);
    }
    if left_out.is_some() {
        mark_changed(&mut parts.headers);
        return Response::from_parts(parts, body);
    }
    let Some(held) = compressors.take(budget) else {
        return Response::from_parts(parts, body);
    };
    let headers = &mut parts.headers;
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.remove(CONTENT_LENGTH);
    mark_changed(headers);
    let body = Gzip {
        inner: body,
        encoder: Some(GzEncoder::new(
            BytesMut::new().writer(),
            Compression::new(LEVEL),
        )),
        announced: Announced::new(length),
        input: Bytes::new(),
        turn: 0,
        unflushed: false,
        last: None,
        _held: held,
    };
    Response::from_parts(parts, body.boxed_unsync())
}

/// Whether compressing an answer is allowed, and would make it smaller.
fn is_eligible(status: StatusCode, headers: &HeaderMap, left_out: Option<&LeftOut>) -> bool {
    let bodiless = match status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT => true,
        StatusCode::NOT_MODIFIED => left_out.is_none(),
        _ => false,
    };
    let content_type = headers
        .get(CONTENT_TYPE)
        .or(left_out.map(|left_out| &left_out.content_type))
        .and_then(|value| value.to_str().ok());
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
        && content_type.is_some_and(is_text)
}

/// Whether bodies of a media type are text of some kind. Streams of events are left alone: each
/// is to arrive as it is sent, and most are smaller than what would be saved.
fn is_text(media_type: &str) -> bool {
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

/// The bytes are not those that a strong tag stands for (RFC 9110, section 8.8.1), and nobody
/// knows where a range of them would be.
fn mark_changed(headers: &mut HeaderMap) {
    headers.remove(ACCEPT_RANGES);
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
    /// What came and has not been compressed yet.
    input: Bytes,
    /// Bytes that were compressed since others had their turn.
    turn: usize,
    unflushed: bool,
    /// What comes after all that is compressed: trailers, or how it broke off.
    last: Option<Result<Frame<Bytes>, BodyError>>,
    _held: Held,
}

/// Writing to memory does not fail.
fn never(error: std::io::Error) -> BodyError {
    BodyError::Connection(Box::new(error))
}

impl Gzip {
    /// Compresses some of what came.
    fn work(&mut self) -> Result<(), BodyError> {
        let length = self.input.len().min(TURN - self.turn);
        let some = self.input.split_to(length);
        if let Some(encoder) = &mut self.encoder {
            encoder.write_all(&some).map_err(never)?;
            self.unflushed = true;
        }
        self.turn += length;
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

    /// It broke off: what was compressed goes out, and then the error, in place of the end.
    fn fail(&mut self, error: BodyError) -> Piece {
        let rest = self.flush();
        self.encoder = None;
        match rest {
            Ok(rest) if !rest.is_empty() => {
                self.last = Some(Err(error));
                Some(Ok(Frame::data(rest)))
            }
            _ => Some(Err(error)),
        }
    }
}

type Piece = Option<Result<Frame<Bytes>, BodyError>>;

impl http_body::Body for Gzip {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        let this = &mut *self;
        let data = |bytes: Bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        while this.encoder.is_some() {
            if this.turn == TURN {
                this.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !this.input.is_empty() {
                if let Err(error) = this.work() {
                    return Poll::Ready(this.fail(error));
                }
                if let Some(ready) = this.ready() {
                    return data(ready);
                }
                continue;
            }
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Pending if this.unflushed => {
                    return Poll::Ready(Some(this.flush().map(Frame::data)));
                }
                Poll::Pending => {
                    this.turn = 0;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(this.fail(error)),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => {
                        if let Err(problem) = this.announced.came(bytes.len()) {
                            return Poll::Ready(this.fail(problem.into()));
                        }
                        this.input = bytes;
                    }
                    Err(trailers) => {
                        this.last = Some(Ok(trailers));
                        break;
                    }
                },
                Poll::Ready(None) => break,
            }
        }
        match this.finish() {
            Ok(Some(end)) => data(end),
            Ok(None) => Poll::Ready(this.last.take()),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.last.is_none()
    }
}

#[cfg(test)]
mod tests;
