use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures::FutureExt;
use http_body_util::{Full, StreamBody};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::problem::Kind;

/// What a function does meanwhile: it ends when it is told to.
fn function() -> (JoinHandle<()>, oneshot::Sender<()>) {
    let (end, told) = oneshot::channel();
    let task = tokio::spawn(async move {
        let _ = told.await;
    });
    (task, end)
}

/// Whether a function lived until it was told to end.
async fn lived(task: JoinHandle<()>, end: oneshot::Sender<()>) -> bool {
    // Whoever ended it did so before; it notices when it has its turn.
    tokio::task::yield_now().await;
    let _ = end.send(());
    task.await.is_ok()
}

/// A body that ends only when it is asked for more.
fn streamed(pieces: &[&'static str]) -> WasiBody {
    let frames: Vec<_> = pieces
        .iter()
        .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))
        .collect();
    StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
}

/// A body that knows when it is at its end.
fn whole(text: &'static str) -> WasiBody {
    let body = Full::new(Bytes::from_static(text.as_bytes()));
    body.map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

struct Running {
    body: Body,
    outcome: Arc<Outcome>,
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

fn running(response: Response<WasiBody>, is_head: bool) -> Running {
    let (task, end) = function();
    let outcome = Outcome::new();
    let abort = AbortOnDrop(Some(task.abort_handle()));
    let response = AnswerBody::around(response, is_head, Arc::clone(&outcome), abort, ());
    Running {
        body: response.into_body(),
        outcome,
        task,
        end,
    }
}

impl Running {
    async fn next(&mut self) -> Option<Result<Bytes, String>> {
        let frame = self.body.frame().await?;
        Some(
            frame
                .map_err(|error| error.to_string())
                .map(|frame| frame.into_data().expect("data")),
        )
    }

    async fn function_lives_on(self) -> bool {
        drop(self.body);
        lived(self.task, self.end).await
    }
}

fn with_length(length: u64, body: WasiBody) -> Response<WasiBody> {
    let response = Response::builder().header("content-length", length);
    response.body(body).expect("a response")
}

#[test]
fn a_panic_is_a_fault_of_the_host() {
    let outcome = Outcome::new();
    drop(PanicGuard(&outcome));
    assert!(outcome.problem().is_none());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = PanicGuard(&outcome);
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(panicked.is_err());
    let problem = outcome.problem().expect("a problem");
    assert_eq!(*problem.kind(), Kind::HostFault);
}

#[tokio::test]
async fn a_function_ends_when_nobody_wants_the_rest_of_its_answer() {
    let answer = || Response::new(streamed(&["abc", "def"]));
    assert!(!running(answer(), false).function_lives_on().await);
    let mut half = running(answer(), false);
    assert_eq!(half.next().await, Some(Ok("abc".into())));
    assert!(!half.function_lives_on().await);
    let mut half = running(with_length(6, streamed(&["abc", "def"])), false);
    assert_eq!(half.next().await, Some(Ok("abc".into())));
    assert!(!half.function_lives_on().await);
}

#[tokio::test]
async fn a_function_lives_on_when_its_answer_is_out() {
    let mut read = running(Response::new(streamed(&["abc", "def"])), false);
    while read.next().await.is_some() {}
    assert!(read.function_lives_on().await);
    // Nobody asks for more than was announced, or than there is.
    let mut read = running(with_length(6, streamed(&["abc", "def"])), false);
    assert_eq!(read.next().await, Some(Ok("abc".into())));
    assert_eq!(read.next().await, Some(Ok("def".into())));
    assert!(read.function_lives_on().await);
    let mut read = running(Response::new(whole("abc")), false);
    assert_eq!(read.next().await, Some(Ok("abc".into())));
    assert!(read.function_lives_on().await);
    // Nor for the body of these.
    let head = running(Response::new(streamed(&["abc"])), true);
    assert!(head.function_lives_on().await);
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
        let mut response = Response::new(streamed(&[]));
        *response.status_mut() = status;
        assert!(
            running(response, false).function_lives_on().await,
            "{status}"
        );
    }
    assert!(
        running(with_length(0, streamed(&[])), false)
            .function_lives_on()
            .await
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_tells_what_became_of_its_call() {
    let problem = || Problem::guest_fault("it fell over");
    let expected = Some(Err(problem().to_string()));
    // Where it would end, where it waits, and where it broke off by itself.
    let mut answer = running(Response::new(streamed(&["abc"])), false);
    answer.outcome.fail(problem());
    assert_eq!(answer.next().await, Some(Ok("abc".into())));
    assert_eq!(answer.next().await, expected);

    let (sender, receiver) = mpsc::unbounded_channel::<Result<Frame<Bytes>, _>>();
    let frames = tokio_stream(receiver);
    let mut answer = running(Response::new(StreamBody::new(frames).boxed_unsync()), false);
    assert!(answer.next().now_or_never().is_none());
    let outcome = Arc::clone(&answer.outcome);
    let fails = async move { outcome.fail(problem()) };
    let both = async { tokio::join!(answer.next(), fails).0 };
    let found = timeout(Duration::from_secs(1), both).await.expect("woken");
    assert_eq!(found, expected);
    drop(sender);

    let broken = || {
        let frames = [Err(wasmtime_wasi_http::Error::ConnectionTerminated)];
        StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
    };
    let mut answer = running(Response::new(broken()), false);
    let error = answer
        .next()
        .await
        .expect("an error")
        .expect_err("an error");
    assert!(error.contains("the answer broke off"), "{error}");
    let mut answer = running(Response::new(broken()), false);
    answer.outcome.fail(problem());
    assert_eq!(answer.next().await, expected);
}

fn tokio_stream<T>(receiver: mpsc::UnboundedReceiver<T>) -> impl futures::Stream<Item = T> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|next| (next, receiver))
    })
}

#[tokio::test]
async fn a_function_that_failed_is_ended_with_its_answer() {
    let mut answer = running(with_length(3, streamed(&["abc"])), false);
    answer.outcome.fail(Problem::guest_fault("it fell over"));
    assert_eq!(answer.next().await, Some(Ok("abc".into())));
    assert!(!answer.function_lives_on().await);
}

#[tokio::test]
async fn a_body_says_where_its_end_is_unless_there_is_a_problem_to_tell() {
    let answer = running(Response::new(whole("abc")), false);
    assert_eq!(answer.body.size_hint().exact(), Some(3));
    assert!(!answer.body.is_end_stream());
    let answer = running(Response::new(whole("")), false);
    assert!(answer.body.is_end_stream());
    answer.outcome.fail(Problem::guest_fault("it fell over"));
    assert!(!answer.body.is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn the_first_problem_is_the_one_that_waits() {
    let outcome = Outcome::new();
    let failed = outcome.failed();
    outcome.fail(Problem::guest_fault("first"));
    outcome.fail(Problem::guest_fault("second"));
    let told = timeout(Duration::from_secs(1), failed).await.expect("told");
    assert!(told.to_string().contains("first"));
}

/// A request's body in pieces, without a length.
fn request(pieces: &[&'static str]) -> Body {
    streamed(pieces)
        .map_err(|error| BodyError::Connection(Box::new(error)))
        .boxed_unsync()
}

fn sized(text: &'static str) -> Body {
    whole(text)
        .map_err(|error| BodyError::Connection(Box::new(error)))
        .boxed_unsync()
}

#[tokio::test]
async fn a_request_that_says_it_is_too_long_is_refused() {
    let outcome = Outcome::new();
    let problem = limit_body(sized("abcd"), 3, &outcome).expect_err("too long");
    let (limit, value) = (Limit::Body, "3".to_owned());
    assert_eq!(*problem.kind(), Kind::Limit { limit, value });
    let body = limit_body(sized("abc"), 3, &outcome).expect("as long as allowed");
    assert_eq!(body.size_hint().exact(), Some(3));
    assert_eq!(body.collect().await.expect("a body").to_bytes(), "abc");
}

#[tokio::test]
async fn a_request_that_does_not_say_its_length_is_cut_beyond_the_limit() {
    let outcome = Outcome::new();
    let body = limit_body(request(&["ab", "c"]), 3, &outcome).expect("nobody knows yet");
    assert!(!body.is_end_stream());
    assert_eq!(body.size_hint().upper(), None);
    assert_eq!(body.collect().await.expect("a body").to_bytes(), "abc");
    assert!(outcome.problem().is_none());

    let mut body = limit_body(request(&["ab", "cd"]), 3, &outcome).expect("nobody knows yet");
    let first = body
        .frame()
        .await
        .expect("a frame")
        .expect("within the limit");
    assert_eq!(first.into_data().expect("data"), "ab");
    let error = body
        .frame()
        .await
        .expect("a frame")
        .expect_err("beyond the limit");
    let BodyError::Problem(problem) = error else {
        panic!("{error}");
    };
    assert_eq!(problem.limit_reached(), Some(Limit::Body));
    assert_eq!(
        outcome.problem().and_then(|it| it.limit_reached()),
        Some(Limit::Body)
    );
}

/// A body whose length is known to be below some number, and that it is at its end.
struct AtEnd<B>(B);
impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for AtEnd<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_upper(7);
        hint
    }
}

#[tokio::test]
async fn a_bounded_body_knows_as_much_of_itself_as_before_and_is_bounded() {
    let outcome = Outcome::new();
    let inner = AtEnd(request(&["abcd"])).boxed_unsync();
    let mut body = limit_body(inner, 3, &outcome).expect("may be short");
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().upper(), Some(7));
    body.frame()
        .await
        .expect("a frame")
        .expect_err("beyond the limit");
}
