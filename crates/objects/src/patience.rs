//! How long a server of S3 is waited for.
//!
//! The HTTP client's own time-outs do not fit. One counts all of a request, and so
//! the time in which a guest does not read its answer. The other one is for silence,
//! but it begins with the request and does not look at what is sent: a part that
//! takes its time on a slow line would be cut while it moves. So each request gets
//! the time that its body takes at the least rate, and the time for silence besides;
//! the answer's body gets the latter for each piece, and only while somebody waits
//! for one.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use tokio::time::{Sleep, sleep, timeout};

/// Makes clients that do not wait for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long nothing may come.
    pub(crate) silence: Duration,
    /// Bytes a second that are sent at least; not zero.
    pub(crate) rate: u64,
}

/// Nothing came for so long.
#[derive(Debug, thiserror::Error)]
#[error("the server was silent for {0:?}")]
struct Silent(Duration);

impl Silent {
    fn error(time: Duration) -> HttpError {
        HttpError::new(HttpErrorKind::Timeout, Self(time))
    }
}

impl HttpConnector for Patience {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Patient {
            inner: ReqwestConnector::default().connect(options)?,
            patience: *self,
        }))
    }
}

impl Patience {
    /// The time to the head of the answer to a request with so many bytes.
    fn for_answer(&self, bytes: usize) -> Duration {
        let sending = Duration::from_secs(bytes as u64 / self.rate);
        self.silence.saturating_add(sending)
    }
}

#[derive(Debug)]
struct Patient {
    inner: HttpClient,
    patience: Patience,
}

#[async_trait]
impl HttpService for Patient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let time = self.patience.for_answer(request.body().content_length());
        let answer = timeout(time, self.inner.execute(request))
            .await
            .map_err(|_elapsed| Silent::error(time))??;
        let silence = self.patience.silence;
        Ok(answer.map(|inner| {
            HttpResponseBody::new(Heard {
                inner,
                silence,
                timer: None,
            })
        }))
    }
}

/// An answer's body that must keep coming.
struct Heard {
    inner: HttpResponseBody,
    silence: Duration,
    /// Runs while somebody waits for a piece.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Body for Heard {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.timer = None;
            return Poll::Ready(frame);
        }
        let silence = this.silence;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(silence)));
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(Silent::error(silence))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_has_time_for_it() {
        let patience = Patience {
            silence: Duration::from_secs(10),
            rate: 64 << 10,
        };
        for (bytes, seconds) in [(0, 10), (1000, 10), (64 << 10, 11), (8 << 20, 138)] {
            assert_eq!(patience.for_answer(bytes), Duration::from_secs(seconds));
        }
    }
}
