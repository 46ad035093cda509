//! From a request to its answer.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::{self, Authority, PathAndQuery};
use http::{Request, Response, Uri};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use strand_engine::{Body, Call, CallLimits, CommandLine, FunctionId, Limit, Problem, REQUEST_ID};
use tokio::task::yield_now;

use crate::accept_encoding::accepted;
use crate::answer::{AnswerBody, empty, seal};
use crate::compress;
use crate::cors;
use crate::exchange::Exchange;
use crate::fields;
use crate::link::Link;
use crate::path;
use crate::request_body::{Inbound, RequestBody};
use crate::routing::Target;
use crate::static_files::{self, Root};
use crate::stream::StreamProgress;
use crate::target;

/// Answers one request.
pub(crate) async fn handle(
    link: Arc<Link>,
    progress: Option<Arc<StreamProgress>>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let (parts, incoming) = request.into_parts();
    let id = fields::request_id(&parts.headers);
    let mut exchange = Exchange::begin(&link, &parts, id);
    let response = match answer(&mut exchange, parts, incoming).await {
        Ok(response) => response,
        Err(problem) => {
            if problem.limit_reached() == Some(Limit::Body) {
                // Whoever holds the body may not have dropped it yet.
                exchange.end_connection();
            }
            exchange.failed(problem.clone());
            let mut response = problem.into_response(exchange.id());
            exchange.set_fields(response.headers_mut(), true);
            response
        }
    };
    if !link.http2 && exchange.gave_body_up() {
        // hyper looks whether the rest is there already. If not, it ends the connection
        // after this answer, and says so if it knows before the answer begins.
        yield_now().await;
    }
    Ok(seal(exchange, response, progress))
}

/// What a route does with a request, once nothing borrows from the request.
enum Plan {
    Call(FunctionId, CommandLine),
    Send(Arc<Root>, String),
    /// The answer is known.
    Give(Response<Body>),
}

async fn answer(
    exchange: &mut Exchange,
    parts: Parts,
    incoming: Incoming,
) -> Result<Response<Body>, Problem> {
    let link = Arc::clone(exchange.link());
    let (body, inbound) = if incoming.is_end_stream() {
        (empty(), None)
    } else {
        let (body, inbound) = RequestBody::new(incoming, Arc::clone(&link));
        exchange.receives(Arc::clone(&inbound));
        (body.boxed_unsync(), Some(inbound))
    };
    // First of all: with another coding it is in doubt where the request ends.
    fields::check_coding(&parts.headers).inspect_err(|_| exchange.end_connection())?;
    if link.shared.draining.load(Ordering::Relaxed) {
        return Err(Problem::draining());
    }
    if link.http2 {
        fields::check_size(&parts, &link.shared.config)?;
        fields::check_values(&parts.headers)?;
    }
    // Whoever is not clear about what it wants is not read on: what it sends next may be
    // meant for somebody else.
    let authority = target::check(&parts, link.peer.may_ask_for_https())
        .and_then(|()| fields::authority(&parts, link.local))
        .inspect_err(|_| exchange.end_connection())?;
    let plan = plan(exchange, &parts, &authority)?;
    // Before anything is done for it: an answer that is there is not thrown away.
    exchange.hold()?;
    let compress = exchange.rules().is_some_and(|rules| rules.compress);
    // The function gets the fields.
    let asked = compress.then(|| accepted(&parts.headers));
    let is_of_function = matches!(plan, Plan::Call(..));
    let mut response = match plan {
        Plan::Call(function, command) => {
            let limits = exchange
                .rules()
                .map(|rules| rules.limits)
                .unwrap_or_default();
            let request = Request::from_parts(for_function(parts, authority, exchange), body);
            let call = Call {
                function,
                request,
                command,
                id: exchange.id().clone(),
                deadline: None,
                limits: CallLimits {
                    body: limits.body,
                    wall: limits.wall,
                },
                depth: 0,
            };
            let mut response = dispatch(&link, call, inbound).await?;
            if exchange.rules().is_some_and(|rules| rules.cors.is_some()) {
                cors::strip(response.headers_mut());
            }
            mark_lifetime(exchange, &mut response);
            response
        }
        Plan::Send(root, file) => {
            drop(body);
            let places = &link.shared.files;
            let mut response =
                static_files::answer(places, root, file, asked.as_deref(), &parts).await?;
            mark_lifetime(exchange, &mut response);
            response
        }
        Plan::Give(response) => response,
    };
    // A function's errors are its own and its route's to speak of.
    let is_error = !is_of_function && response.status().is_client_error();
    exchange.set_fields(response.headers_mut(), is_error);
    Ok(match asked {
        Some(codings) => {
            compress::compress(response, &codings, &link.compressors, exchange.budget())
        }
        None => response,
    })
}

fn mark_lifetime(exchange: &Exchange, response: &mut Response<Body>) {
    if let Some(rules) = exchange.rules() {
        rules.mark_lifetime(response.status(), response.headers_mut());
    }
}

fn plan(exchange: &mut Exchange, parts: &Parts, authority: &Authority) -> Result<Plan, Problem> {
    let link = Arc::clone(exchange.link());
    let routes = &link.shared.routes;
    let path = path::normal(parts.uri.path())?;
    if let Some(method) = cors::preflight_method(parts)
        && let Ok(found) = routes.find(&method, authority.host(), &path)
        && let Some(rules) = &routes.entry(*found.value).rules
        && let Some(cors) = &rules.cors
    {
        exchange.routed(*found.value, &parts.headers);
        return cors.preflight(&method, parts).map(Plan::Give);
    }
    let found = routes.find(&parts.method, authority.host(), &path)?;
    exchange.routed(*found.value, &parts.headers);
    match &routes.entry(*found.value).target {
        Target::Function { id, arguments } => {
            let command = match arguments {
                Some(arguments) => arguments.of(&found.params, parts.uri.query())?,
                None => CommandLine::default(),
            };
            Ok(Plan::Call(id.clone(), command))
        }
        Target::Static(root) => {
            let file = found.params.iter().last().map_or("", |(_, file)| file);
            Ok(Plan::Send(Arc::clone(root), file.to_owned()))
        }
        Target::Redirect(redirect) => redirect
            .answer(&found.params, parts.uri.query())
            .map(Plan::Give),
    }
}

/// The request's head as functions see it.
fn for_function(mut parts: Parts, authority: Authority, exchange: &Exchange) -> Parts {
    fields::strip_connection(&mut parts.headers);
    let client = exchange.client();
    exchange.link().peer.rewrite(client, &mut parts.headers);
    if exchange.link().http2 {
        fields::join_cookies(&mut parts.headers);
    }
    let host = parts.headers.get(header::HOST);
    if host.is_none_or(|host| host != authority.as_str())
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(header::HOST, host);
    }
    if let Ok(id) = HeaderValue::from_str(exchange.id().as_str()) {
        parts.headers.insert(REQUEST_ID, id);
    }
    parts.extensions.clear();
    let mut whole = uri::Parts::default();
    whole.scheme = Some(client.scheme());
    whole.authority = Some(authority);
    let path = parts.uri.into_parts().path_and_query;
    whole.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
    // All parts are there, which is what `from_parts` asks for.
    parts.uri = Uri::from_parts(whole).unwrap_or_default();
    parts
}

/// Calls the function. Its panic, or one on the way to it, is this request's alone.
async fn dispatch(
    link: &Link,
    call: Call,
    inbound: Option<Arc<Inbound>>,
) -> Result<Response<Body>, Problem> {
    let answer = AssertUnwindSafe(async { link.shared.dispatch.dispatch(call).await });
    let answer = answer.catch_unwind();
    let answer = match inbound {
        None => answer.await,
        Some(inbound) => tokio::select! {
            biased;
            answer = answer => answer,
            // The function may wait for something else: the client is told anyway.
            problem = inbound.failed() => return Err(problem),
        },
    };
    let mut response = answer.unwrap_or_else(|_| {
        tracing::error!("a panic ended a request");
        Err(Problem::host_fault("the host failed during this call"))
    })?;
    if response.status().is_informational() {
        return Err(Problem::guest_fault(format!(
            "the function answered with the status {}, which is not a final one",
            response.status().as_u16()
        )));
    }
    fields::content_length(response.headers())?;
    // The connection is none of its business. Before the route sets fields: what the function
    // names in `Connection` may be one of those.
    fields::strip_connection(response.headers_mut());
    Ok(response)
}
