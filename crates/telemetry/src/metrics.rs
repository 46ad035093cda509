//! Counters for Prometheus.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The media type of what [`Metrics::render`] gives.
pub const EXPOSITION_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the duration histogram, in seconds: from a hello (under a
/// millisecond) to a stream of minutes.
const DURATIONS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0, 600.0,
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    app: String,
    function: String,
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClassLabels {
    app: String,
    function: String,
    route: String,
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProblemLabels {
    kind: &'static str,
    limit: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// All of the node's metrics. Requests count through [`RouteMetrics`], which are
/// resolved once, when routes are set up: a request takes no lock of a map.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<ClassLabels, Counter>,
    aborted: Family<RouteLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<RouteLabels, Gauge>,
    bytes_in: Family<RouteLabels, Counter>,
    bytes_out: Family<RouteLabels, Counter>,
    problems: Family<ProblemLabels, Counter>,
    connections: ConnectionMetrics,
    compilations: CompileMetrics,
}

/// What is counted of connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    /// Connections that are open.
    pub open: Gauge,
    /// Connections that were ever accepted.
    pub accepted: Counter,
    /// Connections that were closed for a time limit, also that of their TLS handshake.
    pub timed_out: Counter,
    /// Connections whose TLS handshake failed; one that took too long timed out.
    pub handshakes_failed: Counter,
}

/// What is counted of artefacts, at start-up and when a Directive changes.
#[derive(Clone, Debug)]
pub struct CompileMetrics {
    /// Components that were compiled.
    pub compiled: Counter,
    /// Components whose artefact was in the cache.
    pub cached: Counter,
    /// Components that could not be compiled.
    pub failed: Counter,
}

/// What the node reads of its engine when somebody asks for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Instances that are alive.
    InstancesLive,
    /// Tasks that are alive on the threads that serve: connections and guests.
    TasksLive,
    /// Bytes of the node's memory budget in use.
    MemoryUsed,
    /// Bytes of the node's memory budget.
    MemoryLimit,
    /// Bytes of compiled code in memory.
    CodeBytes,
    /// The limit of that.
    CodeLimit,
    /// How often a function's code came into memory so far.
    CodeLoads,
    /// Functions whose code is in memory.
    FunctionsLoaded,
    /// Log lines dropped so far.
    LogLinesDropped,
}

/// One route's counters.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    classes: [Counter; 5],
    aborted: Counter,
    duration: Histogram,
    in_flight: Gauge,
    bytes_in: Counter,
    bytes_out: Counter,
}

/// What is counted of one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestSample {
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// From the request's head to the end of its answer.
    pub duration: Duration,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Whether the client did not get the whole answer.
    pub aborted: bool,
}

impl RouteMetrics {
    /// A request has begun; [`RouteMetrics::ended`] must follow.
    pub fn begun(&self) {
        self.in_flight.inc();
    }

    /// A request has ended.
    pub fn ended(&self, sample: &RequestSample) {
        self.in_flight.dec();
        let class = sample.status.map(|status| usize::from(status / 100));
        if let Some(counter) = class.and_then(|class| self.classes.get(class.wrapping_sub(1))) {
            counter.inc();
        }
        if sample.aborted {
            self.aborted.inc();
        }
        self.duration.observe(sample.duration.as_secs_f64());
        if sample.bytes_in > 0 {
            self.bytes_in.inc_by(sample.bytes_in);
        }
        if sample.bytes_out > 0 {
            self.bytes_out.inc_by(sample.bytes_out);
        }
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new(DURATIONS)
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("strand");
        let results = Family::<ResultLabels, Counter>::default();
        let result = |result| results.get_or_create_owned(&ResultLabels { result });
        let metrics = Self {
            requests: Family::default(),
            aborted: Family::default(),
            durations: Family::new_with_constructor(duration_histogram),
            in_flight: Family::default(),
            bytes_in: Family::default(),
            bytes_out: Family::default(),
            problems: Family::default(),
            connections: ConnectionMetrics::default(),
            compilations: CompileMetrics {
                compiled: result("compiled"),
                cached: result("cached"),
                failed: result("failed"),
            },
            registry: Mutex::default(),
        };
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register(
            "requests_aborted",
            "Requests whose client did not get the whole answer",
            metrics.aborted.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from a request's head to the end of its answer",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests that have not ended",
            metrics.in_flight.clone(),
        );
        registry.register_with_unit(
            "request_body",
            "Bytes of requests' bodies",
            Unit::Bytes,
            metrics.bytes_in.clone(),
        );
        registry.register_with_unit(
            "response_body",
            "Bytes of answers' bodies",
            Unit::Bytes,
            metrics.bytes_out.clone(),
        );
        registry.register(
            "problems",
            "Requests that ended in a problem",
            metrics.problems.clone(),
        );
        let connections = &metrics.connections;
        registry.register("connections", "Open connections", connections.open.clone());
        registry.register(
            "connections_accepted",
            "Connections accepted",
            connections.accepted.clone(),
        );
        registry.register(
            "connections_timed_out",
            "Connections closed for a time limit, that of TLS handshakes too",
            connections.timed_out.clone(),
        );
        registry.register(
            "tls_handshakes_failed",
            "Connections whose TLS handshake failed, but for those that timed out",
            connections.handshakes_failed.clone(),
        );
        registry.register("compilations", "Artefacts made or found", results);
        *metrics.lock() = registry;
        metrics
    }

    /// The counters of a route. An empty `function` is a static route's; of routes
    /// with the same names the counters are the same.
    pub fn route(&self, app: &str, function: &str, route: &str) -> RouteMetrics {
        let labels = RouteLabels {
            app: app.to_owned(),
            function: function.to_owned(),
            route: route.to_owned(),
        };
        let class = |class| {
            self.requests.get_or_create_owned(&ClassLabels {
                app: app.to_owned(),
                function: function.to_owned(),
                route: route.to_owned(),
                class,
            })
        };
        RouteMetrics {
            classes: CLASSES.map(class),
            aborted: self.aborted.get_or_create_owned(&labels),
            duration: self.durations.get_or_create_owned(&labels),
            in_flight: self.in_flight.get_or_create_owned(&labels),
            bytes_in: self.bytes_in.get_or_create_owned(&labels),
            bytes_out: self.bytes_out.get_or_create_owned(&labels),
        }
    }

    /// Counts a problem, by its kind and the limit that was reached.
    pub fn problem(&self, kind: &'static str, limit: Option<&'static str>) {
        let limit = limit.unwrap_or_default();
        self.problems
            .get_or_create(&ProblemLabels { kind, limit })
            .inc();
    }

    /// The counters of connections.
    pub fn connections(&self) -> &ConnectionMetrics {
        &self.connections
    }

    /// The counters of compilations.
    pub fn compilations(&self) -> &CompileMetrics {
        &self.compilations
    }

    /// Shows a value that is read whenever somebody asks for the metrics.
    pub fn watch(&self, reading: Reading, read: impl Fn() -> u64 + Send + Sync + 'static) {
        let read = Box::new(read);
        self.lock()
            .register_collector(Box::new(Watched { reading, read }));
    }

    /// Shows when certificates end, in seconds since 1970 by their names, which are read whenever
    /// somebody asks for the metrics.
    pub fn watch_certificates(
        &self,
        read: impl Fn() -> BTreeMap<String, i64> + Send + Sync + 'static,
    ) {
        let read = Box::new(read);
        self.lock()
            .register_collector(Box::new(WatchedCertificates { read }));
    }

    /// All metrics as [`EXPOSITION_TYPE`].
    ///
    /// # Errors
    /// Only if a metric cannot be written, which is a fault of ours.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        encode(&mut out, &self.lock())?;
        Ok(out)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

struct Watched {
    reading: Reading,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.reading).finish()
    }
}

impl Collector for Watched {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let value = (self.read)();
        let (name, help, unit) = match self.reading {
            Reading::InstancesLive => ("instances", "Instances that are alive", None),
            Reading::TasksLive => (
                "tasks",
                "Tasks that are alive on the threads that serve",
                None,
            ),
            Reading::MemoryUsed => (
                "memory_used",
                "Bytes of the memory budget in use",
                Some(Unit::Bytes),
            ),
            Reading::MemoryLimit => (
                "memory_budget",
                "Bytes of the memory budget",
                Some(Unit::Bytes),
            ),
            Reading::CodeBytes => (
                "code",
                "Bytes of compiled code in memory",
                Some(Unit::Bytes),
            ),
            Reading::CodeLimit => (
                "code_limit",
                "Bytes of compiled code beyond which what is not used goes",
                Some(Unit::Bytes),
            ),
            Reading::FunctionsLoaded => (
                "functions_loaded",
                "Functions whose code is in memory",
                None,
            ),
            Reading::CodeLoads => {
                let help = "How often a function's code came into memory";
                return counter(encoder, "code_loads", help, value);
            }
            Reading::LogLinesDropped => {
                let help = "Log lines dropped because their reader is too slow";
                return counter(encoder, "log_lines_dropped", help, value);
            }
        };
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        let metric = encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?;
        gauge.encode(metric)
    }
}

struct WatchedCertificates {
    read: Box<dyn Fn() -> BTreeMap<String, i64> + Send + Sync>,
}

impl fmt::Debug for WatchedCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedCertificates")
            .finish_non_exhaustive()
    }
}

impl Collector for WatchedCertificates {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "tls_certificate_expiry_timestamp",
            "When certificates end, in seconds since 1970",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (certificate, end) in (self.read)() {
            let labels = [("certificate", certificate)];
            ConstGauge::new(end).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn counter(
    mut encoder: DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), fmt::Error> {
    let counter = ConstCounter::new(value);
    let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
    counter.encode(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(status: Option<u16>) -> RequestSample {
        RequestSample {
            status,
            duration: Duration::from_millis(2),
            bytes_in: 10,
            bytes_out: 20,
            aborted: status.is_none(),
        }
    }

    #[test]
    fn requests_are_counted_by_route() {
        let metrics = Metrics::new();
        let reads = metrics.route("app", "simulate", "/reads");
        for status in [Some(200), Some(204), Some(503), None, Some(999)] {
            reads.begun();
            reads.ended(&sample(status));
        }
        reads.begun();
        metrics.problem("limit", Some("wall"));
        metrics.problem("not-found", None);
        metrics.connections().open.inc();
        metrics.compilations().cached.inc();
        metrics.watch(Reading::MemoryUsed, || 7);
        metrics.watch(Reading::LogLinesDropped, || 8);
        metrics.watch(Reading::CodeBytes, || 9);
        metrics.watch(Reading::CodeLoads, || 10);
        metrics.watch_certificates(|| [("a.pem".to_owned(), 11), ("b.pem".to_owned(), -12)].into());
        let text = metrics.render().unwrap();
        let labels = r#"app="app",function="simulate",route="/reads""#;
        for line in [
            format!("strand_requests_total{{{labels},class=\"2xx\"}} 2"),
            format!("strand_requests_total{{{labels},class=\"5xx\"}} 1"),
            format!("strand_requests_total{{{labels},class=\"4xx\"}} 0"),
            format!("strand_requests_aborted_total{{{labels}}} 1"),
            format!("strand_requests_in_flight{{{labels}}} 1"),
            format!("strand_request_duration_seconds_count{{{labels}}} 5"),
            format!("strand_request_duration_seconds_bucket{{le=\"0.001\",{labels}}} 0"),
            format!("strand_request_duration_seconds_bucket{{le=\"0.0025\",{labels}}} 5"),
            format!("strand_request_body_bytes_total{{{labels}}} 50"),
            format!("strand_response_body_bytes_total{{{labels}}} 100"),
            r#"strand_problems_total{kind="limit",limit="wall"} 1"#.to_owned(),
            r#"strand_problems_total{kind="not-found",limit=""} 1"#.to_owned(),
            "strand_connections 1".to_owned(),
            r#"strand_compilations_total{result="cached"} 1"#.to_owned(),
            "strand_memory_used_bytes 7".to_owned(),
            "strand_log_lines_dropped_total 8".to_owned(),
            "strand_code_bytes 9".to_owned(),
            "strand_code_loads_total 10".to_owned(),
            r#"strand_tls_certificate_expiry_timestamp_seconds{certificate="a.pem"} 11"#.to_owned(),
            r#"strand_tls_certificate_expiry_timestamp_seconds{certificate="b.pem"} -12"#
                .to_owned(),
        ] {
            assert!(
                text.lines().any(|each| each == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_same_names_share_their_counters() {
        let metrics = Metrics::new();
        metrics.route("a", "f", "/").begun();
        metrics.route("a", "f", "/").begun();
        let text = metrics.render().unwrap();
        assert!(
            text.contains(r#"strand_requests_in_flight{app="a",function="f",route="/"} 2"#),
            "{text}"
        );
    }
}
