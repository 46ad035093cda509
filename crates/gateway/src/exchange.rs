//! A request and its answer, as they are counted and logged.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{HeaderMap, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Method, StatusCode, Uri, Version};
use strand_engine::{MemoryBudget, Problem, RequestId};
use strand_telemetry::{AccessLine, RequestSample, RouteMetrics};

use crate::client::Client;
use crate::link::{Link, Shared};
use crate::request_body::Inbound;
use crate::routing::Target;
use crate::rules::Rules;

/// One exchange. Counted and logged when it is dropped: whoever holds it last knows
/// how it ended.
pub(crate) struct Exchange {
    link: Arc<Link>,
    id: RequestId,
    client: Client,
    method: Method,
    uri: Uri,
    version: Version,
    /// Of the page that sends it, if its route wants to know.
    origin: Option<HeaderValue>,
    started: Instant,
    first_byte: Option<Duration>,
    status: Option<StatusCode>,
    route: Option<usize>,
    problem: Option<Problem>,
    inbound: Option<Arc<Inbound>>,
    bytes_out: u64,
    complete: bool,
    ends_connection: bool,
    /// Whether it holds its part of the node's memory.
    holds: bool,
}

impl Exchange {
    pub(crate) fn begin(link: &Arc<Link>, parts: &Parts, id: RequestId) -> Box<Self> {
        link.stream_begins();
        Box::new(Self {
            link: Arc::clone(link),
            id,
            client: link.peer.client(
                &parts.headers,
                parts.uri.scheme(),
                &link.shared.config.trusted_proxies,
            ),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            origin: None,
            started: Instant::now(),
            first_byte: None,
            status: None,
            route: None,
            problem: None,
            inbound: None,
            bytes_out: 0,
            complete: false,
            ends_connection: false,
            holds: false,
        })
    }

    /// Takes its part of the node's memory, until it ends.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn hold(&mut self) -> Result<(), Problem> {
        if let Some(route) = self.route {
            self.link.hold(route)?;
            self.holds = true;
        }
        Ok(())
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(crate) fn id(&self) -> &RequestId {
        &self.id
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    pub(crate) fn client(&self) -> Client {
        self.client
    }

    /// The route was found.
    pub(crate) fn routed(&mut self, route: usize, headers: &HeaderMap) {
        self.route = Some(route);
        self.counters().begun();
        if self.rules().is_some_and(|rules| rules.cors.is_some()) {
            self.origin = headers.get(ORIGIN).cloned();
        }
    }

    /// The budget that it is charged to, once its route was found.
    pub(crate) fn budget(&self) -> Option<&Arc<MemoryBudget>> {
        self.link.shared.budgets.get(self.route?)
    }

    /// What there is to do for its route, once that was found.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.link.shared.routes.entry(self.route?).rules.as_ref()
    }

    /// Sets the fields of its answer that its route says, or of an error of the node's own. What
    /// comes after goes by them: whether the answer is compressed, and its tag then.
    pub(crate) fn set_fields(&self, headers: &mut HeaderMap, is_error: bool) {
        if let Some(rules) = self.rules() {
            rules.set_fields(headers, is_error);
        }
    }

    /// Tells the browser who may see its answer, if its route says that. Comes last: nobody else
    /// has a say in it.
    pub(crate) fn mark_origin(&self, headers: &mut HeaderMap) {
        if let Some(cors) = self.rules().and_then(|rules| rules.cors.as_ref()) {
            cors.mark(self.origin.as_ref(), headers);
        }
    }

    pub(crate) fn receives(&mut self, inbound: Arc<Inbound>) {
        self.inbound = Some(inbound);
    }

    /// Nothing that the client sends after this request is to be read.
    pub(crate) fn end_connection(&mut self) {
        self.ends_connection = true;
        self.link.leave_unread();
    }

    /// Whether the connection must not go on after the answer. hyper may know of more
    /// reasons.
    pub(crate) fn ends_connection(&self) -> bool {
        let inbound = self.inbound.as_ref();
        self.ends_connection || inbound.is_some_and(|inbound| inbound.has_failed())
    }

    /// Whether nobody will read the rest of the request's body.
    pub(crate) fn gave_body_up(&self) -> bool {
        let inbound = self.inbound.as_ref();
        inbound.is_some_and(|inbound| inbound.is_given_up())
    }

    /// The answer's head goes out.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.first_byte = Some(self.started.elapsed());
    }

    pub(crate) fn sends(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }

    /// It ended in a problem.
    pub(crate) fn failed(&mut self, problem: Problem) {
        self.problem = Some(problem);
    }

    /// The client got everything.
    pub(crate) fn complete(mut self: Box<Self>) {
        self.complete = true;
    }

    fn counters(&self) -> &RouteMetrics {
        let routes = &self.link.shared.routes;
        match self.route {
            Some(route) => &routes.entry(route).metrics,
            None => routes.unmatched(),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.link.stream_ends();
        if let (true, Some(route)) = (self.holds, self.route) {
            self.link.release(route);
        }
        let shared = &self.link.shared;
        let aborted = !self.complete;
        let duration = self.started.elapsed();
        let bytes_in = self.inbound.as_ref().map_or(0, |inbound| inbound.bytes());
        if self.route.is_none() {
            self.counters().begun();
        }
        self.counters().ended(&RequestSample {
            status: self.status.map(|status| status.as_u16()),
            duration,
            bytes_in,
            bytes_out: self.bytes_out,
            aborted,
        });
        if let Some(problem) = &self.problem {
            count_problem(shared, problem);
        }
        let entry = self.route.map(|route| shared.routes.entry(route));
        let function = match entry.map(|entry| &entry.target) {
            Some(Target::Function { id, .. }) => &*id.function,
            _ => "",
        };
        shared.access.write(&AccessLine {
            id: self.id.as_str(),
            client: self.client.address,
            method: self.method.as_str(),
            path: self.uri.path(),
            protocol: protocol(self.version),
            route: entry.map_or("", |entry| &entry.path),
            app: entry.map_or("", |entry| &entry.app),
            function,
            status: self.status.map(|status| status.as_u16()),
            bytes_in,
            bytes_out: self.bytes_out,
            duration,
            first_byte: self.first_byte,
            problem: self.problem.as_ref().map(Problem::name),
            limit: limit(self.problem.as_ref()),
            detail: self.problem.as_ref().map(Problem::detail),
            aborted,
        });
    }
}

/// Counts and logs a request of this peer's that could not be read.
pub(crate) fn refused(
    shared: &Shared,
    peer: IpAddr,
    id: &RequestId,
    problem: &Problem,
    bytes_out: usize,
) {
    let unmatched = shared.routes.unmatched();
    let status = problem.status().as_u16();
    unmatched.begun();
    unmatched.ended(&RequestSample {
        status: Some(status),
        duration: Duration::ZERO,
        bytes_in: 0,
        bytes_out: bytes_out as u64,
        aborted: false,
    });
    count_problem(shared, problem);
    shared.access.write(&AccessLine {
        id: id.as_str(),
        client: peer,
        method: "-",
        path: "-",
        protocol: "HTTP/1.1",
        route: "",
        app: "",
        function: "",
        status: Some(status),
        bytes_in: 0,
        bytes_out: bytes_out as u64,
        duration: Duration::ZERO,
        first_byte: None,
        problem: Some(problem.name()),
        limit: limit(Some(problem)),
        detail: Some(problem.detail()),
        aborted: false,
    });
}

fn count_problem(shared: &Shared, problem: &Problem) {
    let limit = limit(Some(problem));
    shared.metrics.problem(problem.name(), limit);
}

fn limit(problem: Option<&Problem>) -> Option<&'static str> {
    Some(problem?.limit_reached()?.as_str())
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
