//! The lines of one instance: what they carry, how many there may be, how many
//! were lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use strand_engine::{CallInfo, FunctionId, RequestId};

use crate::Config;
use crate::escape::{escape, escape_bytes};
use crate::rate::Rate;

/// Bytes kept of the context of `wasi:logging`.
const CONTEXT: usize = 256;
/// What an event costs besides its text, so that empty lines are not free.
const EVENT: u64 = 32;
/// How often lost lines are told while a request runs.
const REPORT: Duration = Duration::from_secs(1);

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    Log,
}

impl Stream {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Log => "log",
        }
    }
}

/// The levels of `wasi:logging`; `tracing` has no `critical`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// One instance's lines.
#[derive(Debug)]
pub(crate) struct Session {
    function: FunctionId,
    /// The request for which the instance was made.
    made_for: RequestId,
    line: usize,
    bytes: u64,
    rate: Arc<Rate>,
    share: Mutex<Share>,
}

/// What the request may still write, and what it lost.
#[derive(Debug)]
struct Share {
    request: RequestId,
    left: u64,
    lost: u64,
    reported: Instant,
}

impl Session {
    pub(crate) fn new(config: &Config, rate: &Arc<Rate>, call: &CallInfo) -> Arc<Self> {
        Arc::new(Self {
            function: call.function.clone(),
            made_for: call.id.clone(),
            line: config.line,
            bytes: config.request,
            rate: Arc::clone(rate),
            share: Mutex::new(Share {
                request: call.id.clone(),
                left: config.request,
                lost: 0,
                reported: Instant::now(),
            }),
        })
    }

    /// Bytes of a line that are kept.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// A line of a standard stream; `cut` says that there was more of it.
    pub(crate) fn write(&self, stream: Stream, line: &[u8], cut: bool) {
        if self.admit(None, line.len()) {
            let line = escape_bytes(line, self.line, cut);
            self.emit(&self.made_for, stream, Level::Info, "", &line);
        }
    }

    /// A message of `wasi:logging`, for the request that the instance works on.
    pub(crate) fn log(&self, request: &RequestId, level: Level, context: &str, message: &str) {
        let kept = message.len().min(self.line) + context.len().min(CONTEXT);
        if self.admit(Some(request), kept) {
            let message = escape(message, self.line);
            let context = escape(context, CONTEXT);
            self.emit(request, Stream::Log, level, &context, &message);
        }
    }

    /// Takes a line's share, or counts it as lost.
    fn admit(&self, request: Option<&RequestId>, bytes: usize) -> bool {
        let cost = bytes as u64 + EVENT;
        let mut share = self.share.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = request
            && *request != share.request
        {
            self.report(&mut share);
            share.request = request.clone();
            share.left = self.bytes;
        }
        let admitted = share.left >= cost && self.rate.take();
        if admitted {
            share.left -= cost;
        } else {
            share.lost += 1;
        }
        if share.reported.elapsed() >= REPORT {
            self.report(&mut share);
        }
        admitted
    }

    fn report(&self, share: &mut Share) {
        share.reported = Instant::now();
        let lost = std::mem::take(&mut share.lost);
        if lost == 0 {
            return;
        }
        tracing::warn!(
            target: crate::TARGET,
            app = %self.function.app,
            function = %self.function.function,
            request = %share.request,
            stream = "log",
            level = "warn",
            context = "",
            lost,
            "{lost} lines were dropped: more than this node takes from one request or function",
        );
    }

    fn emit(&self, request: &RequestId, stream: Stream, level: Level, context: &str, line: &str) {
        // The macro wants its level as a constant.
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(
                    target: crate::TARGET,
                    tracing::Level::$level,
                    app = %self.function.app,
                    function = %self.function.function,
                    request = %request,
                    stream = stream.as_str(),
                    level = level.as_str(),
                    context,
                    "{line}",
                )
            };
        }
        match level {
            Level::Trace => emit!(TRACE),
            Level::Debug => emit!(DEBUG),
            Level::Info => emit!(INFO),
            Level::Warn => emit!(WARN),
            Level::Error | Level::Critical => emit!(ERROR),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut share = self.share.lock().unwrap_or_else(PoisonError::into_inner);
        self.report(&mut share);
    }
}
