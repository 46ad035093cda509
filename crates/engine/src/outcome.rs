//! How a call ends: the one place where its problem is kept, and the body that
//! tells the client when the end is not a good one.

use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http::{HeaderMap, Response, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use wasmtime_wasi_http::WasiBody;

use crate::call::{Body, BodyError};
use crate::limits::format_bytes;
use crate::problem::{Limit, Problem};

/// A call's end. The first problem stays.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    problem: OnceLock<Problem>,
    failed: Notify,
    /// Whoever sends the answer's body on.
    sender: AtomicWaker,
}

impl Outcome {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn fail(&self, problem: Problem) {
        if self.problem.set(problem).is_ok() {
            self.failed.notify_one();
            self.sender.wake();
        }
    }

    pub(crate) fn problem(&self) -> Option<Problem> {
        self.problem.get().cloned()
    }

    /// Waits for a problem; for the one task that waits for the answer's head.
    pub(crate) async fn failed(&self) -> Problem {
        loop {
            if let Some(problem) = self.problem() {
                return problem;
            }
            self.failed.notified().await;
        }
    }
}

/// Turns a panic while it is alive into a host fault. Declared after the store,
/// it is dropped before it, so that the answer's body finds the problem when the
/// store's end of the channel goes.
pub(crate) struct PanicGuard<'a>(pub(crate) &'a Outcome);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .fail(Problem::host_fault("the host failed during this call"));
        }
    }
}

/// Ends a task when the last one who wants its result is gone.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(pub(crate) Option<AbortHandle>);

impl AbortOnDrop {
    pub(crate) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// An answer's body as its function writes it. Ends in the call's problem if
/// there is one; dropped before its end, it ends the call.
pub(crate) struct AnswerBody<H> {
    inner: WasiBody,
    outcome: Arc<Outcome>,
    task: AbortOnDrop,
    /// Bytes left of the announced length. Who sends them on looks for no end beyond.
    left: Option<u64>,
    /// Given back when the body is gone.
    _held: H,
}

impl<H: Send + Unpin + 'static> AnswerBody<H> {
    /// The answer with this around its body. `task` writes it.
    pub(crate) fn around(
        response: Response<WasiBody>,
        is_head: bool,
        outcome: Arc<Outcome>,
        mut task: AbortOnDrop,
        held: H,
    ) -> Response<Body> {
        let left = match response.status() {
            // Nobody will ask for the body, and its function has answered all the same.
            _ if is_head => Some(0),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Some(0),
            _ => announced(response.headers()),
        };
        if left == Some(0) {
            task.disarm();
        }
        response.map(|inner| {
            Self {
                inner,
                outcome,
                task,
                left,
                _held: held,
            }
            .boxed_unsync()
        })
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

impl<H> AnswerBody<H> {
    fn end(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        self.task.disarm();
        self.outcome.problem().map(|problem| Err(problem.into()))
    }
}

impl<H: Unpin> http_body::Body for AnswerBody<H> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => {
                self.outcome.sender.register(cx.waker());
                match self.outcome.problem() {
                    // What was written before it was given before it.
                    Some(_) => Poll::Ready(self.end()),
                    None => Poll::Pending,
                }
            }
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.left = self.left.map(|left| left.saturating_sub(length));
                let ended = self.left == Some(0) || self.inner.is_end_stream();
                if ended && self.outcome.problem().is_none() {
                    self.task.disarm();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(self.end().or_else(|| {
                let problem = Problem::guest_fault(format!("the answer broke off: {error}"));
                Some(Err(problem.into()))
            })),
            Poll::Ready(None) => Poll::Ready(self.end()),
        }
    }

    fn is_end_stream(&self) -> bool {
        // Only if there is nothing to tell any more.
        self.inner.is_end_stream() && self.outcome.problem().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Bounds a request's body.
struct LimitedBody {
    inner: Body,
    left: u64,
    limit: u64,
    /// Weak: a guest may keep its request's body longer than anybody waits for
    /// the answer.
    outcome: Weak<Outcome>,
}

fn body_problem(limit: u64) -> Problem {
    let value = format_bytes(limit);
    let detail = format!("a request to this function may have a body of {value}");
    Problem::limit(Limit::Body, value, detail)
}

/// Refuses a body that says it is too long, and bounds one that does not say.
pub(crate) fn limit_body(body: Body, limit: u64, outcome: &Arc<Outcome>) -> Result<Body, Problem> {
    let size = body.size_hint();
    if size.lower() > limit {
        return Err(body_problem(limit));
    }
    if size.upper().is_some_and(|upper| upper <= limit) {
        return Ok(body);
    }
    Ok(LimitedBody {
        inner: body,
        left: limit,
        limit,
        outcome: Arc::downgrade(outcome),
    }
    .boxed_unsync())
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            other => return other,
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(length) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                let problem = body_problem(self.limit);
                if let Some(outcome) = self.outcome.upgrade() {
                    outcome.fail(problem.clone());
                }
                Poll::Ready(Some(Err(problem.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
