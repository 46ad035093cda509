//! Streams of HTTP/2: each is a task, which ends when its client takes nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::TaskTracker;

use crate::link::Link;

/// How far an answer's stream has come.
#[derive(Debug, Default)]
pub(crate) struct StreamProgress {
    /// Even while the answer is waited for, odd while a piece of it waits for the
    /// client.
    steps: AtomicU32,
}

impl StreamProgress {
    /// The connection asks for a piece.
    pub(crate) fn asked(&self) {
        if self.waiting().is_some() {
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The connection has a piece.
    pub(crate) fn given(&self) {
        if self.waiting().is_none() {
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The piece that waits for the client, if one does.
    fn waiting(&self) -> Option<u32> {
        let steps = self.steps.load(Ordering::Relaxed);
        (steps % 2 == 1).then_some(steps)
    }
}

/// Runs hyper's streams.
#[derive(Clone)]
pub(crate) struct StreamExecutor {
    pub(crate) link: Arc<Link>,
    pub(crate) tracker: TaskTracker,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        // hyper hands a stream over right after it has called the service for it,
        // within the same poll.
        let task = StreamTask {
            future: Some(Box::pin(future)),
            progress: self.link.take_stream(),
            timeout: self.link.shared.config.write_timeout,
            waiting: None,
            timer: None,
            link: Arc::clone(&self.link),
        };
        tokio::spawn(self.tracker.track_future(task));
    }
}

struct StreamTask<F> {
    /// Dropping it resets the stream.
    future: Option<Pin<Box<F>>>,
    progress: Option<Arc<StreamProgress>>,
    timeout: Duration,
    waiting: Option<u32>,
    timer: Option<Pin<Box<Sleep>>>,
    link: Arc<Link>,
}

impl<F: Future<Output = ()>> Future for StreamTask<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(future) = &mut this.future else {
            return Poll::Ready(());
        };
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let waiting = this.progress.as_ref().and_then(|it| it.waiting());
        if waiting.is_none() {
            this.waiting = None;
            return Poll::Pending;
        }
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + this.timeout)));
        if this.waiting != waiting {
            this.waiting = waiting;
            timer.as_mut().reset(Instant::now() + this.timeout);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.link.shared.metrics.connections().timed_out.inc();
        this.future = None;
        Poll::Ready(())
    }
}
