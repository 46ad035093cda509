//! An S3 server for tests: a real one (`s3s` over a folder, with signatures) that
//! writes down what was asked of it, can break off an answer, and can be stopped
//! and started on the same port.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::RANGE;
use http::{Extensions, HeaderMap, Method, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::{PutObjectInput, StreamingBlob};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::io::ReaderStream;

/// The key that the server knows.
pub const ACCESS_KEY: &str = "test-access-key";
/// Its secret.
pub const SECRET_KEY: &str = "test-secret-key";

/// Why the server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be used.
    #[error("the server cannot keep its objects: {0}")]
    Storage(String),
    /// The port or the folder cannot be opened.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The bucket and the key, as in the path: `bucket/a/b`.
    pub key: String,
    /// The query, which tells the operations on one key apart.
    pub query: String,
    /// The value of the `Range` field.
    pub range: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of the answer's body that were handed to the connection.
    pub sent: u64,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Record>,
    /// What happens to the next answer to a GET.
    interruption: Option<Interruption>,
}

/// What an answer does after so many bytes.
#[derive(Debug)]
struct Interruption {
    /// Of this object only.
    key: Option<String>,
    left: u64,
    then: Then,
}

#[derive(Debug)]
enum Then {
    /// It breaks off.
    BreakOff,
    /// It stands still, for ever, and says so once.
    Hold(Option<oneshot::Sender<()>>),
}

type Shared = Arc<Mutex<State>>;
/// A request whose answer may be under way.
type Record = Arc<Mutex<Request>>;

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server on this machine. Stops when dropped.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    service: S3Service,
    state: Shared,
    serving: Option<JoinHandle<()>>,
}

impl S3Server {
    /// Puts a file into a bucket of such a folder as a client would, so that its tag is
    /// kept with it. Of a file that was only laid there the server reads all for each
    /// request, to make its tag.
    ///
    /// # Errors
    /// When the file cannot be read, or the folder not be used.
    pub async fn put_file(root: &Path, bucket: &str, key: &str, file: &Path) -> Result<(), Error> {
        let storage_error = |error: String| Error::Storage(error);
        let storage = FileSystem::new(root).map_err(|error| storage_error(format!("{error:?}")))?;
        let file = tokio::fs::File::open(file).await?;
        let length = file.metadata().await?.len();
        let request = S3Request {
            input: PutObjectInput {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                content_length: i64::try_from(length).ok(),
                body: Some(StreamingBlob::wrap(ReaderStream::with_capacity(
                    file,
                    1 << 20,
                ))),
                ..PutObjectInput::default()
            },
            method: Method::PUT,
            uri: Uri::default(),
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        };
        let put = storage.put_object(request).await;
        put.map(drop)
            .map_err(|error| storage_error(error.to_string()))
    }

    /// Starts a server on a free port. Its buckets are the folders in `root`;
    /// objects are files there.
    ///
    /// # Errors
    /// When the folder or a port cannot be opened.
    pub async fn start(root: &Path) -> Result<Self, Error> {
        let storage =
            FileSystem::new(root).map_err(|error| Error::Storage(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(storage);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut server = Self {
            address: listener.local_addr()?,
            service: builder.build(),
            state: Shared::default(),
            serving: None,
        };
        server.serve(listener);
        Ok(server)
    }

    /// `http://ADDRESS:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was answered so far, in the order in which it was asked.
    pub fn requests(&self) -> Vec<Request> {
        let records = lock(&self.state).requests.clone();
        records.iter().map(|record| lock(record).clone()).collect()
    }

    /// The same, and forgets it.
    pub fn take_requests(&self) -> Vec<Request> {
        let records = std::mem::take(&mut lock(&self.state).requests);
        records.iter().map(|record| lock(record).clone()).collect()
    }

    /// Breaks off the next answer to a GET after so many bytes.
    pub fn cut_next_answer(&self, after: u64) {
        lock(&self.state).interruption = Some(Interruption {
            key: None,
            left: after,
            then: Then::BreakOff,
        });
    }

    /// Has the next answer to a GET of a key (`bucket/a/b`) stand still after so many
    /// bytes, until the server stops. What it gives resolves when that has happened.
    pub fn hold_answer_of(&self, key: &str, after: u64) -> impl Future<Output = ()> + use<> {
        let (reached, held) = oneshot::channel();
        lock(&self.state).interruption = Some(Interruption {
            key: Some(key.to_owned()),
            left: after,
            then: Then::Hold(Some(reached)),
        });
        async move {
            // A server that is dropped holds nothing any more.
            let _ = held.await;
        }
    }

    /// Closes the port and all connections at once, in whatever they are.
    pub async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // Only an abort can end it.
            let _ = serving.await;
        }
    }

    /// Serves again, on the same port.
    ///
    /// # Errors
    /// When somebody else has the port.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await?;
        self.serve(listener);
        Ok(())
    }

    fn serve(&mut self, listener: TcpListener) {
        let service = self.service.clone();
        let state = Arc::clone(&self.state);
        self.serving = Some(tokio::spawn(async move {
            // Goes with this task, and with it every connection.
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let service = Recorder {
                    inner: service.clone(),
                    state: Arc::clone(&state),
                };
                connections.spawn(async move {
                    // How a connection ends is the client's to find out.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        }));
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Writes down what passes.
struct Recorder {
    inner: S3Service,
    state: Shared,
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, s3s::HttpError>> + Send>>;

impl hyper::service::Service<http::Request<Incoming>> for Recorder {
    type Response = http::Response<Counted>;
    type Error = s3s::HttpError;
    type Future = Answer<Self::Response>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let state = Arc::clone(&self.state);
        let is_get = request.method() == http::Method::GET;
        let range = request.headers().get(RANGE);
        let record = Request {
            method: request.method().to_string(),
            key: request.uri().path().trim_start_matches('/').to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            range: range.and_then(|range| Some(range.to_str().ok()?.to_owned())),
            status: 0,
            sent: 0,
        };
        let answer = hyper::service::Service::call(&self.inner, request);
        Box::pin(async move {
            let record = Arc::new(Mutex::new(record));
            lock(&state).requests.push(Arc::clone(&record));
            let response = answer.await?;
            lock(&record).status = response.status().as_u16();
            let interruption = if is_get && response.status().is_success() {
                let meant = |it: &mut Interruption| {
                    let key = it.key.as_ref();
                    key.is_none_or(|key| *key == lock(&record).key)
                };
                lock(&state).interruption.take_if(meant)
            } else {
                None
            };
            Ok(response.map(|inner| Counted {
                inner,
                record,
                interruption,
            }))
        })
    }
}

/// An answer's body that counts its bytes.
pub struct Counted {
    inner: s3s::Body,
    record: Record,
    interruption: Option<Interruption>,
}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl Body for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(Interruption { left: 0, then, .. }) = &mut self.interruption {
            return match then {
                Then::BreakOff => Poll::Ready(Some(Err("broken off, as it was told to".into()))),
                Then::Hold(reached) => {
                    if let Some(reached) = reached.take() {
                        // Nobody need be waiting for it.
                        let _ = reached.send(());
                    }
                    // Only the end of the connection's task ends this.
                    Poll::Pending
                }
            };
        }
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        let Ok(mut data) = frame.into_data() else {
            return Poll::Ready(None);
        };
        if let Some(Interruption { left, .. }) = &mut self.interruption {
            data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= data.len() as u64;
        }
        lock(&self.record).sent += data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
