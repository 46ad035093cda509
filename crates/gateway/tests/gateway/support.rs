//! A gateway to test, and functions for it.

use std::future::Future;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::Value;
use strand_directive::{Command, Route, RouteTarget, Rules, Template};
use strand_engine::{Answer, Body, BodyError, Call, Dispatch, MemoryBudget, Problem};
use strand_gateway::{AppRoutes, Config, Drained, Gateway, RoutingTable};
use strand_telemetry::{AccessLog, LogWriter, Metrics};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) type Answered = Result<Response<Body>, Problem>;

/// A function for every name.
pub(crate) struct Functions<F>(pub(crate) F);

impl<F, A> Dispatch for Functions<F>
where
    F: Fn(Call) -> A + Send + Sync,
    A: Future<Output = Answered> + Send + 'static,
{
    fn dispatch(&self, call: Call) -> Answer<'_> {
        Box::pin((self.0)(call))
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A running gateway with two threads.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shutdown: CancellationToken,
    serving: Option<JoinHandle<Drained>>,
    workers: Vec<Handle>,
    sink: Sink,
    // Ends the threads when dropped.
    _stop: Vec<oneshot::Sender<()>>,
    _log: strand_telemetry::LogGuard,
}

pub(crate) fn function(path: &str, methods: &str, name: &str) -> Route {
    Route {
        path: path.to_owned(),
        methods: (methods != "*").then(|| methods.split(',').map(str::to_owned).collect()),
        target: RouteTarget::Function {
            name: name.to_owned(),
            command: None,
        },
        rules: Rules::default(),
    }
}

pub(crate) fn command(path: &str, args: &[&str]) -> Route {
    Route {
        path: path.to_owned(),
        methods: None,
        target: RouteTarget::Function {
            name: "command".to_owned(),
            command: Some(Command {
                args: args
                    .iter()
                    .map(|text| Template::parse(text).unwrap())
                    .collect(),
                content_type: "text/x-test".to_owned(),
            }),
        },
        rules: Rules::default(),
    }
}

pub(crate) fn folder(path: &str, folder: &str) -> Route {
    Route {
        path: path.to_owned(),
        methods: None,
        target: RouteTarget::Static(folder.to_owned()),
        rules: Rules::default(),
    }
}

impl Server {
    /// Every path is one function.
    pub(crate) fn of<F, A>(config: Config, answer: F) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        let routes = [function("/", "*", "any"), function("/{*rest}", "*", "any")];
        Self::start(config, Path::new("."), &routes, answer)
    }

    pub(crate) fn start<F, A>(config: Config, folder: &Path, routes: &[Route], answer: F) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        Self::launch(config, None, folder, routes, answer)
    }

    /// With a memory budget.
    pub(crate) fn launch<F, A>(
        config: Config,
        budget: Option<&Arc<MemoryBudget>>,
        folder: &Path,
        routes: &[Route],
        answer: F,
    ) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        Self::prepared(config, folder, routes, answer, |gateway| match budget {
            Some(budget) => gateway.charged_to(budget),
            None => gateway,
        })
    }

    /// With a gateway to which this was done.
    pub(crate) fn prepared<F, A>(
        config: Config,
        folder: &Path,
        routes: &[Route],
        answer: F,
        prepare: impl FnOnce(Gateway) -> Gateway,
    ) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        let metrics = Arc::new(Metrics::new());
        let app = AppRoutes {
            hosts: &[],
            app: "app",
            folder,
            routes,
        };
        let table = RoutingTable::new([app], &metrics).unwrap();
        let sink = Sink::default();
        let (writer, log) =
            LogWriter::start(sink.clone(), 1 << 20, |dropped| format!("{dropped}\n")).unwrap();
        let gateway = prepare(Gateway::new(
            config,
            Arc::new(table),
            Arc::new(Functions(answer)),
            Arc::clone(&metrics),
            AccessLog::new(writer, true),
        ));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let (workers, stop): (Vec<Handle>, Vec<_>) = (0..2).map(|_| worker()).unzip();
        let serving = gateway.serve(listener, workers.clone(), shutdown.clone());
        Self {
            addr,
            metrics,
            shutdown,
            serving: Some(tokio::spawn(async { serving.await.unwrap() })),
            workers,
            sink,
            _stop: stop,
            _log: log,
        }
    }

    /// Waits until the threads have seen what clients had sent before, on connections that were
    /// accepted: a thread looks for that before it looks for timers that are due.
    pub(crate) async fn has_seen_it(&self) {
        for worker in &self.workers {
            let turn = async {
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            worker.spawn(turn).await.unwrap();
        }
    }

    /// Shuts down, and waits for the end.
    pub(crate) async fn drain(&mut self) -> Drained {
        self.shutdown.cancel();
        self.serving.take().unwrap().await.unwrap()
    }

    /// The first so many access lines, once they are there.
    pub(crate) async fn lines(&self, count: usize) -> Vec<Value> {
        let lines = || -> Vec<Value> {
            let bytes = self.sink.0.lock().unwrap().clone();
            let text = String::from_utf8(bytes).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        };
        eventually("access lines", || lines().len() >= count).await;
        lines()
    }

    /// The sum of the metrics whose lines begin so.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.render().unwrap();
        let values: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with(name))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(!values.is_empty(), "{name} is not in\n{text}");
        values.iter().sum()
    }
}

/// A current-thread runtime on a thread of its own.
fn worker() -> (Handle, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || {
        let _ = runtime.block_on(stopped);
    });
    (handle, stop)
}

/// Waits until something holds, for at most ten seconds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{what} did not come about"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs the cases of a table, some at once, and tells of all that are wrong.
pub(crate) async fn check_all<F>(cases: impl ExactSizeIterator<Item = F>)
where
    F: Future<Output = Option<String>>,
{
    let count = cases.len();
    let mut running = futures::stream::iter(cases).buffer_unordered(8);
    let mut faults = Vec::new();
    while let Some(fault) = running.next().await {
        faults.extend(fault);
    }
    assert!(
        faults.is_empty(),
        "{} of {count} cases:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

pub(crate) fn text(text: impl Into<String>) -> Response<Body> {
    Response::new(full(text.into()))
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body of these steps, one after the other.
pub(crate) fn steps(steps: Vec<Result<Frame<Bytes>, BodyError>>) -> Body {
    StreamBody::new(futures::stream::iter(steps)).boxed_unsync()
}

pub(crate) fn data(bytes: &'static str) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(Bytes::from_static(bytes.as_bytes())))
}

/// Says what a function was given.
pub(crate) async fn reflect(call: Call) -> Answered {
    let (parts, body) = call.request.into_parts();
    let body = body.collect().await.map_err(|error| match error {
        BodyError::Problem(problem) => problem,
        BodyError::Connection(_) => Problem::host_fault("the connection failed"),
    })?;
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
        .collect();
    let trailers = body.trailers().map(|trailers| format!("{trailers:?}"));
    let said = serde_json::json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body.to_bytes()),
        "trailers": trailers,
        "id": call.id.as_str(),
        "function": call.function.to_string(),
        "args": call.command.args,
        "contentType": call.command.content_type.to_str().unwrap(),
    });
    Ok(text(said.to_string()))
}

/// Counts how often it was dropped.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

pub(crate) struct Dropped(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn guard(&self) -> Dropped {
        Dropped(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A body without end, which counts what was taken of it.
pub(crate) struct Endless {
    pub(crate) taken: Arc<AtomicUsize>,
    pub(crate) piece: usize,
    pub(crate) _guard: Dropped,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.taken.fetch_add(self.piece, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; self.piece].into()))))
    }
}

/// Holds calls until it is opened, and counts those that have come.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    came: Arc<AtomicUsize>,
    opened: CancellationToken,
}

impl Gate {
    pub(crate) async fn pass(&self) {
        self.came.fetch_add(1, Ordering::SeqCst);
        self.opened.cancelled().await;
    }

    pub(crate) fn open(&self) {
        self.opened.cancel();
    }

    pub(crate) fn count(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    /// Waits until so many calls have come.
    pub(crate) async fn came(&self, count: usize) {
        eventually("the calls", || self.count() == count).await;
    }
}

pub(crate) fn never() -> BoxFuture<'static, Answered> {
    Box::pin(std::future::pending())
}

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("strand-gateway-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(full("")).unwrap()
}
