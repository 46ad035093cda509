//! The server.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{self, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use strand_telemetry::{EXPOSITION_TYPE, Metrics};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Health, State, Status};
use crate::token::Token;

const CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_BYTES: usize = 16 << 10;
const HEADER_FIELDS: usize = 64;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const LIFETIME: Duration = Duration::from_secs(300);
/// How long a connection may take to end once it has to.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the administration API shows.
pub struct Admin {
    /// Who knows it may ask for everything.
    pub token: Token,
    /// Where the node is in its life.
    pub state: watch::Receiver<State>,
    /// The node's counters.
    pub metrics: Arc<Metrics>,
    /// What the node runs; asked for each time.
    pub status: Box<dyn Fn() -> Status + Send + Sync>,
}

/// Serves until `shutdown`, then lets answers end for at most five seconds.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    admin: Admin,
    listener: std::net::TcpListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let router = router(Arc::new(admin));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let tracker = TaskTracker::new();
    let accept = async {
        // Nobody closes the semaphore.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let served = connection(stream, router.clone(), shutdown.clone());
                    tracker.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "no administration connection can be accepted");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = accept => {}
    }
    drop(listener);
    tracker.close();
    // Connections end themselves in that time.
    tracker.wait().await;
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    let service = service_fn(|request| answer(router.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(HEADER_FIELDS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => farewell(connection).await,
        () = sleep(LIFETIME) => farewell(connection).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an administration connection ended early");
    }
}

async fn farewell<S>(
    mut connection: std::pin::Pin<&mut http1::Connection<TokioIo<TcpStream>, S>>,
) -> hyper::Result<()>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = axum::body::Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    connection.as_mut().graceful_shutdown();
    timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
}

async fn answer(
    router: Router,
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<Response, Infallible> {
    use hyper::service::Service as _;
    let service = hyper_util::service::TowerToHyperService::new(router);
    match timeout(ANSWER_TIMEOUT, service.call(request)).await {
        Ok(answered) => answered,
        Err(_) => Ok(problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "host-fault",
            "The node is too slow",
            "the answer was not ready in time",
        )),
    }
}

fn router(admin: Arc<Admin>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&admin), guard))
        .with_state(Arc::clone(&admin));
    Router::new()
        .route("/healthz", get(health).fallback(method_not_allowed))
        .with_state(admin)
        .merge(guarded)
}

async fn health(extract::State(admin): extract::State<Arc<Admin>>) -> Response {
    let state = *admin.state.borrow();
    let status = match state {
        State::Ready => StatusCode::OK,
        State::Starting | State::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Health { state })).into_response()
}

async fn metrics(extract::State(admin): extract::State<Arc<Admin>>) -> Response {
    match admin.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, EXPOSITION_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "host-fault",
                "The node failed",
                "the metrics could not be written",
            )
        }
    }
}

async fn status(extract::State(admin): extract::State<Arc<Admin>>) -> Json<Status> {
    Json((admin.status)())
}

/// Lets through who knows the token.
async fn guard(
    extract::State(admin): extract::State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    if bearer(request.headers()).is_some_and(|offered| admin.token.matches(offered)) {
        return next.run(request).await;
    }
    let mut response = problem(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "A token is needed",
        "send the node's admin token as `Authorization: Bearer TOKEN`; it is in the node's state folder",
    );
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// What comes after `Bearer`, whose case does not matter (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| rest.trim_ascii())
}

async fn not_found() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "not-found",
        "Not found",
        "the administration API has no such path",
    )
}

async fn method_not_allowed() -> Response {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Method not allowed",
        "this path takes GET, HEAD",
    )
}

/// A problem as RFC 9457 has it.
fn problem(status: StatusCode, name: &str, title: &str, detail: &str) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    let members = json!({
        "type": format!("urn:strand:problem:{name}"),
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "instance": id,
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/problem+json"),
        ("x-request-id", &id),
    ];
    let mut response = (status, headers, members.to_string()).into_response();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
