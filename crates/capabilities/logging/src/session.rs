//! The lines of one instance: what they carry, how many there may be, how many
//! were lost.
//!
//! Requests of an instance share what one may write. It is whole again when the
//! instance takes a request that it has not seen before, and only then: the ids of
//! requests that it serves at once come in turns.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// What `wasi:logging` says as where a line came from.
const LOG: &str = "log";

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdio {
    Stdout,
    Stderr,
}

impl Stdio {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
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

/// Requests of an instance that are told apart; as many as it may serve at once.
const REQUESTS: usize = 1024;

/// One instance's lines. Most instances write none, so that making one costs no
/// more than itself.
#[derive(Debug)]
pub(crate) struct Session {
    function: FunctionId,
    /// The request for which the instance was made.
    made_for: RequestId,
    line: usize,
    bytes: u64,
    rate: Arc<Rate>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    share: Share,
    stdout: Partial,
    stderr: Partial,
}

/// What may still be written, and what was lost.
#[derive(Debug)]
struct Share {
    left: u64,
    lost: u64,
    /// When lost lines were told last; at first when the first line came.
    reported: Option<Instant>,
    /// The request that the share was given for last; the first one when there is
    /// none.
    request: Option<RequestId>,
    seen: Seen,
}

/// The requests that had their share, the last [`REQUESTS`] of them, as hashes.
#[derive(Debug, Default)]
struct Seen {
    hashes: VecDeque<u64>,
    // Ids are clients' to choose: none may pass for another's.
    hasher: Option<RandomState>,
}

impl Seen {
    /// Whether it was not there before.
    fn is_new(&mut self, first: &RequestId, request: &RequestId) -> bool {
        let hasher = self.hasher.get_or_insert_default();
        if self.hashes.is_empty() {
            self.hashes.push_back(hasher.hash_one(first.as_str()));
        }
        let hash = hasher.hash_one(request.as_str());
        if self.hashes.contains(&hash) {
            return false;
        }
        if self.hashes.len() == REQUESTS {
            self.hashes.pop_front();
        }
        self.hashes.push_back(hash);
        true
    }
}

/// The line of a standard stream that has begun.
#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    /// There was more of it than is kept.
    cut: bool,
}

impl State {
    fn partial(&mut self, stream: Stdio) -> &mut Partial {
        match stream {
            Stdio::Stdout => &mut self.stdout,
            Stdio::Stderr => &mut self.stderr,
        }
    }
}

impl Session {
    pub(crate) fn new(config: &Config, rate: &Arc<Rate>, call: &CallInfo) -> Arc<Self> {
        Arc::new(Self {
            function: call.function.clone(),
            made_for: call.id.clone(),
            line: config.line,
            bytes: config.request,
            rate: Arc::clone(rate),
            state: Mutex::new(State {
                share: Share {
                    left: config.request,
                    lost: 0,
                    reported: None,
                    request: None,
                    seen: Seen::default(),
                },
                stdout: Partial::default(),
                stderr: Partial::default(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a guest writes to a standard stream.
    pub(crate) fn write(&self, stream: Stdio, mut bytes: &[u8]) {
        let mut state = self.state();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            self.extend(state.partial(stream), line);
            self.end_line(&mut state, stream);
        }
        self.extend(state.partial(stream), bytes);
    }

    fn extend(&self, partial: &mut Partial, bytes: &[u8]) {
        let room = self.line.saturating_sub(partial.bytes.len());
        partial.cut |= bytes.len() > room;
        let kept = &bytes[..bytes.len().min(room)];
        partial.bytes.extend_from_slice(kept);
    }

    fn end_line(&self, state: &mut State, stream: Stdio) {
        let Partial { bytes, cut } = std::mem::take(state.partial(stream));
        let line = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
        if self.admit(&mut state.share, None, line.len()) {
            let line = escape_bytes(line, self.line, cut);
            self.emit(&self.made_for, stream.as_str(), Level::Info, "", &line);
        }
        // Its buffer serves the next line.
        let partial = state.partial(stream);
        partial.bytes = bytes;
        partial.bytes.clear();
    }

    /// A message of `wasi:logging`, for the request that the instance works on.
    pub(crate) fn log(&self, request: &RequestId, level: Level, context: &str, message: &str) {
        let kept = message.len().min(self.line) + context.len().min(CONTEXT);
        let admitted = self.admit(&mut self.state().share, Some(request), kept);
        if admitted {
            let message = escape(message, self.line);
            let context = escape(context, CONTEXT);
            self.emit(request, LOG, level, &context, &message);
        }
    }

    /// Takes a line's share, or counts it as lost.
    fn admit(&self, share: &mut Share, request: Option<&RequestId>, bytes: usize) -> bool {
        let cost = bytes as u64 + EVENT;
        if let Some(request) = request
            && request != share.request.as_ref().unwrap_or(&self.made_for)
            && share.seen.is_new(&self.made_for, request)
        {
            self.report(share);
            share.request = Some(request.clone());
            share.left = self.bytes;
        }
        let admitted = share.left >= cost && self.rate.take();
        if admitted {
            share.left -= cost;
        } else {
            share.lost += 1;
        }
        let reported = share.reported.get_or_insert_with(Instant::now);
        if share.lost > 0 && reported.elapsed() >= REPORT {
            self.report(share);
        }
        admitted
    }

    fn report(&self, share: &mut Share) {
        let lost = std::mem::take(&mut share.lost);
        if lost == 0 {
            return;
        }
        share.reported = Some(Instant::now());
        tracing::warn!(
            target: crate::TARGET,
            app = %self.function.app,
            function = %self.function.function,
            request = %share.request.as_ref().unwrap_or(&self.made_for),
            stream = LOG,
            level = "warn",
            context = "",
            lost,
            "{lost} lines were dropped: more than this node takes from one request or function",
        );
    }

    fn emit(&self, request: &RequestId, stream: &str, level: Level, context: &str, line: &str) {
        // The macro wants its level as a constant.
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(
                    target: crate::TARGET,
                    tracing::Level::$level,
                    app = %self.function.app,
                    function = %self.function.function,
                    request = %request,
                    stream,
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
        let mut state = self.state();
        for stream in [Stdio::Stdout, Stdio::Stderr] {
            if !state.partial(stream).bytes.is_empty() {
                self.end_line(&mut state, stream);
            }
        }
        self.report(&mut state.share);
    }
}
