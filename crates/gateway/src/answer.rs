//! An answer on its way to the client.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use strand_engine::{Body, BodyError, Problem, REQUEST_ID};

use crate::announced::Announced;
use crate::exchange::Exchange;
use crate::fields;
use crate::stream::StreamProgress;

/// Bytes of an answer that an HTTP/2 stream is given at once: progress is measured
/// in such pieces. A part of `Config::IN_FLIGHT`.
pub(crate) const PIECE: usize = 128 << 10;

/// An answer's body, which ends its exchange.
pub(crate) struct AnswerBody {
    inner: Body,
    /// There until the body is dropped.
    exchange: Option<Box<Exchange>>,
    progress: Option<Arc<StreamProgress>>,
    /// What is left of a piece that was too long.
    rest: Bytes,
    announced: Announced,
    ended: bool,
    broken: bool,
    /// What it broke off with, while what came before is being written.
    error: Option<BodyError>,
}

/// Makes an answer ready to be sent.
pub(crate) fn seal(
    mut exchange: Box<Exchange>,
    response: Response<Body>,
    progress: Option<Arc<StreamProgress>>,
) -> Response<AnswerBody> {
    let (mut parts, mut body) = response.into_parts();
    // Functions may say what hyper would panic at, or take for orders of ours.
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    exchange.mark_origin(&mut parts.headers);
    if let Ok(id) = HeaderValue::from_str(exchange.id().as_str()) {
        parts.headers.insert(REQUEST_ID, id);
    }
    let link = exchange.link();
    // hyper may not have been told yet, if this request came at the same time.
    let draining = link.shared.draining.load(Ordering::Relaxed);
    if !link.http2 && (draining || exchange.ends_connection()) {
        let close = HeaderValue::from_static("close");
        parts.headers.insert(header::CONNECTION, close);
    }
    let bodiless = matches!(
        parts.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if bodiless || exchange.is_head() {
        if parts.status == StatusCode::NO_CONTENT {
            parts.headers.remove(header::CONTENT_LENGTH);
        } else if !bodiless
            && let Some(length) = body.size_hint().exact()
            // The function knows that there is no body to a `HEAD`, and may have
            // written none: what a `GET` would have got is not known then.
            && length > 0
        {
            parts
                .headers
                .entry(header::CONTENT_LENGTH)
                .or_insert_with(|| HeaderValue::from(length));
        }
        // Nobody will read it: what still runs for it ends here.
        body = empty();
    }
    let announced = Announced::new(if body.is_end_stream() {
        None
    } else {
        // Broken lengths were found before.
        fields::content_length(&parts.headers).unwrap_or_default()
    });
    exchange.answered(parts.status);
    let body = AnswerBody {
        inner: body,
        exchange: Some(exchange),
        progress,
        rest: Bytes::new(),
        announced,
        ended: false,
        broken: false,
        error: None,
    };
    Response::from_parts(parts, body)
}

/// A body without bytes.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

type Piece = Option<Result<Frame<Bytes>, BodyError>>;

impl AnswerBody {
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        // A panic of what makes the answer must not take the other requests of the
        // connection with it.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            Pin::new(&mut self.inner).poll_frame(cx)
        }));
        let polled = polled.unwrap_or_else(|_| {
            let problem = Problem::host_fault("the host failed during this call");
            Poll::Ready(Some(Err(problem.into())))
        });
        let Poll::Ready(piece) = polled else {
            return Poll::Pending;
        };
        let checked = match &piece {
            None => self.announced.ended(),
            Some(Ok(frame)) => self.announced.came(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(_)) => Ok(()),
        };
        Poll::Ready(match checked {
            Ok(()) => piece,
            Err(problem) => Some(Err(problem.into())),
        })
    }

    /// Cuts a piece that is too long for one step of an HTTP/2 stream.
    fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if self.progress.is_none() {
            return frame;
        }
        match frame.into_data() {
            Ok(mut data) if data.len() > PIECE => {
                self.rest = data.split_off(PIECE);
                Frame::data(data)
            }
            Ok(data) => Frame::data(data),
            Err(frame) => frame,
        }
    }

    /// hyper throws away what it has not written when a body fails. Waiting for one
    /// turn lets it write that first, so that the client sees how far it came.
    fn fail(&mut self, error: BodyError, cx: &mut Context<'_>) -> Poll<Piece> {
        self.broken = true;
        if let Some(exchange) = &mut self.exchange {
            exchange.failed(match &error {
                BodyError::Problem(problem) => problem.clone(),
                BodyError::Connection(_) => Problem::host_fault("the answer broke off"),
            });
        }
        self.error = Some(error);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        let this = &mut *self;
        if let Some(progress) = &this.progress {
            progress.asked();
        }
        if let Some(error) = this.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let piece = if this.rest.is_empty() {
            match this.next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(piece) => piece,
            }
        } else {
            Some(Ok(Frame::data(std::mem::take(&mut this.rest))))
        };
        match piece {
            None => {
                this.ended = true;
                Poll::Ready(None)
            }
            Some(Err(error)) => this.fail(error, cx),
            Some(Ok(frame)) => {
                let frame = this.cut(frame);
                if let Some(progress) = &this.progress {
                    progress.given();
                }
                if let Some(exchange) = &mut this.exchange {
                    exchange.sends(frame.data_ref().map_or(0, Bytes::len));
                }
                // Nothing can follow trailers.
                this.ended |= frame.is_trailers();
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.broken && self.rest.is_empty() && (self.ended || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.inner.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        // hyper does not ask beyond the announced length.
        let announced = self.announced.is_complete() && self.rest.is_empty() && !self.broken;
        let complete = announced || self.is_end_stream();
        if !complete {
            drop(exchange);
        } else if exchange.link().http2 {
            exchange.complete();
        } else {
            let link = Arc::clone(exchange.link());
            link.end(exchange);
        }
    }
}
