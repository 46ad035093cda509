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

#[cfg(test)]
mod tests {
    use futures::poll;
    use tokio::time::advance;

    use super::*;
    use crate::config::Config;
    use crate::link::tests::link;

    #[test]
    fn each_piece_waits_by_itself() {
        let progress = StreamProgress::default();
        // The function has the time that it takes.
        progress.asked();
        assert_eq!(progress.waiting(), None);
        progress.given();
        let first = progress.waiting();
        assert!(first.is_some());
        progress.given();
        assert_eq!(progress.waiting(), first);
        for _ in 0..2 {
            progress.asked();
            assert_eq!(progress.waiting(), None);
        }
        progress.given();
        let second = progress.waiting();
        assert!(second.is_some() && second != first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_client_takes_nothing() {
        let second = Duration::from_secs(1);
        let link = link(Config::default(), true);
        let progress = Arc::new(StreamProgress::default());
        let held = Arc::new(());
        let future = {
            let held = Arc::clone(&held);
            async move {
                std::future::pending::<()>().await;
                drop(held);
            }
        };
        let mut task = StreamTask {
            future: Some(Box::pin(future)),
            progress: Some(Arc::clone(&progress)),
            timeout: 10 * second,
            waiting: None,
            timer: None,
            link: Arc::clone(&link),
        };
        // What is waited for is no fault of the client's, also after a piece.
        for _ in 0..2 {
            progress.given();
            assert!(poll!(&mut task).is_pending());
            advance(9 * second).await;
            assert!(poll!(&mut task).is_pending());
            progress.asked();
            assert!(poll!(&mut task).is_pending());
            advance(60 * second).await;
            assert!(poll!(&mut task).is_pending());
        }
        // Each piece has all of the time, also if nobody looked in between.
        for _ in 0..3 {
            progress.asked();
            progress.given();
            assert!(poll!(&mut task).is_pending());
            advance(9 * second).await;
            assert!(poll!(&mut task).is_pending());
        }
        let timed_out = || link.shared.metrics.connections().timed_out.get();
        assert_eq!((Arc::strong_count(&held), timed_out()), (2, 0));
        advance(2 * second).await;
        assert!(poll!(&mut task).is_ready());
        assert_eq!((Arc::strong_count(&held), timed_out()), (1, 1));
    }
}
