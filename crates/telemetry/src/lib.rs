//! What the node says about itself: logs, one access line a request, metrics.
//!
//! Nothing here ever waits for whoever reads the logs: lines go into a bounded
//! buffer that a thread of its own empties, and what does not fit is dropped and
//! counted. Metrics have few labels, all of them names from a Directive, so that
//! no client can make their number grow.

// A test that unwraps the wrong thing fails, which is what it is for.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
mod clock;
mod logging;
mod metrics;
mod writer;

pub use access::{AccessLine, AccessLog};
pub use logging::{Format, InitError, Telemetry, init};
pub use metrics::{
    CompileMetrics, ConnectionMetrics, EXPOSITION_TYPE, Metrics, Reading, RequestSample,
    RouteMetrics,
};
pub use writer::{LogGuard, LogWriter, Notice};
