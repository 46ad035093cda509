//! One request and its answer, within their times.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, timeout_at};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::Config;
use crate::connect::{Sender, closed_before_answer, hyper_error};
use crate::pool::{Connection, Pool};
use crate::request::{Progress, Protocol, RequestBody, Target, spare};
use crate::rule::Reach;

/// How long a request may take for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
    deadline: Instant,
}

impl Times {
    /// What the guest asks for, else what the node says, never past the deadline.
    pub(crate) fn new(
        config: &Config,
        options: Option<RequestOptions>,
        deadline: std::time::Instant,
    ) -> Self {
        let options = options.unwrap_or_default();
        Self {
            connect: options.connect_timeout.unwrap_or(config.connect),
            first_byte: options.first_byte_timeout.unwrap_or(config.first_byte),
            between_bytes: options
                .between_bytes_timeout
                .unwrap_or(config.between_bytes),
            deadline: deadline.into(),
        }
    }

    fn until(&self, from: Instant, patience: Duration) -> Instant {
        // A guest may ask for more time than there is.
        from.checked_add(patience)
            .map_or(self.deadline, |until| until.min(self.deadline))
    }
}

/// Why a request got no answer.
struct Unanswered {
    error: Error,
    /// The request, if none of it was sent.
    unsent: Option<Request<RequestBody>>,
    /// The other side closed the connection before it answered.
    closed: bool,
}

impl Unanswered {
    fn new(error: hyper::Error, unsent: Option<Request<RequestBody>>) -> Self {
        Self {
            closed: closed_before_answer(&error),
            error: hyper_error(error),
            unsent,
        }
    }
}

/// Sends a request and waits for the head of its answer. On a kept connection
/// that turns out to be closed, it is sent once more on a new one: when none of
/// it was sent, or when it has no body and may be done twice.
pub(crate) async fn exchange(
    pool: &Arc<Pool>,
    target: &Target,
    reach: Reach,
    request: Request<WasiBody>,
    times: Times,
) -> Result<Response<WasiBody>, Error> {
    // A wait that is over at its beginning still looks once: that would be a try.
    if Instant::now() >= times.deadline {
        return Err(Error::ConnectionTimeout);
    }
    let progress = Progress::new();
    let mut request = request.map(|body| RequestBody::new(body, &progress));
    let connect_by = times.until(Instant::now(), times.connect);
    let Connection { sender, reused } = pool.get(&target.to, reach, connect_by).await?;
    let copy = if reused {
        spare(&request, &progress)
    } else {
        None
    };
    match send(pool, target, sender, request, &progress, times).await {
        Ok(response) => return Ok(response),
        Err(failed) => {
            let again = failed.unsent.or(if failed.closed { copy } else { None });
            match again {
                Some(again) if reused => request = again,
                _ => return Err(failed.error),
            }
        }
    }
    tracing::debug!(
        host = target.to.host,
        "a kept connection was closed, trying a new one"
    );
    let connect_by = times.until(Instant::now(), times.connect);
    let Connection { sender, .. } = pool.get_new(&target.to, reach, connect_by).await?;
    send(pool, target, sender, request, &progress, times)
        .await
        .map_err(|failed| failed.error)
}

async fn send(
    pool: &Arc<Pool>,
    target: &Target,
    sender: Sender,
    mut request: Request<RequestBody>,
    progress: &Progress,
    times: Times,
) -> Result<Response<WasiBody>, Unanswered> {
    progress.touch();
    let response = match sender {
        Sender::Http1(mut sender) => {
            if let Err(error) = sender.ready().await {
                return Err(Unanswered::new(error, Some(request)));
            }
            target.address(&mut request, Protocol::Http1);
            let response = in_time(sender.try_send_request(request), progress, times).await?;
            let (pool, to) = (Arc::downgrade(pool), target.to.clone());
            // Ready again when both bodies are at their end; an error if one of
            // them was dropped before. Either comes when the guest is gone.
            tokio::spawn(async move {
                if sender.ready().await.is_ok()
                    && let Some(pool) = pool.upgrade()
                {
                    pool.keep_http1(to, sender);
                }
            });
            response
        }
        Sender::Http2(mut sender) => {
            target.address(&mut request, Protocol::Http2);
            pool.share_http2(&target.to, &sender);
            let response = in_time(sender.try_send_request(request), progress, times).await;
            if let Err(failed) = &response
                && (failed.closed || matches!(failed.error, Error::ConnectionReadTimeout))
            {
                pool.forget_http2(&target.to);
            }
            response?
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Unanswered {
            error: Error::HttpUpgradeFailed,
            unsent: None,
            closed: false,
        });
    }
    Ok(response.map(|body| {
        AnswerBody {
            inner: body,
            waiting: None,
            times,
        }
        .boxed_unsync()
    }))
}

type TrySendError = hyper::client::conn::TrySendError<Request<RequestBody>>;

/// Waits for the head of an answer: so long after the guest's body moved last.
async fn in_time(
    answer: impl Future<Output = Result<Response<Incoming>, TrySendError>>,
    progress: &Progress,
    times: Times,
) -> Result<Response<Incoming>, Unanswered> {
    let mut answer = pin!(answer);
    loop {
        let until = times.until(progress.last(), times.first_byte);
        match timeout_at(until, &mut answer).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut failed)) => {
                let unsent = failed.take_message();
                return Err(Unanswered::new(failed.into_error(), unsent));
            }
            Err(_elapsed) if times.until(progress.last(), times.first_byte) > until => {}
            Err(_elapsed) => {
                return Err(Unanswered {
                    error: Error::ConnectionReadTimeout,
                    unsent: None,
                    closed: false,
                });
            }
        }
    }
}

/// An answer's body: an error when its next bytes do not come in time. Time in
/// which the guest does not read is not counted.
struct AnswerBody {
    inner: Incoming,
    waiting: Option<Pin<Box<Sleep>>>,
    times: Times,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(hyper_error)));
        }
        let times = this.times;
        let waiting = this.waiting.get_or_insert_with(|| {
            let until = times.until(Instant::now(), times.between_bytes);
            Box::pin(tokio::time::sleep_until(until))
        });
        match waiting.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Some(Err(Error::ConnectionReadTimeout))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
