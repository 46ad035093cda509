//! `wasi:logging@0.1.0-draft`, and what guests write to standard output and
//! standard error, as events of `tracing`.
//!
//! Each line is one event with the target [`TARGET`] and the fields `app`,
//! `function`, `request`, `stream` (`stdout`, `stderr` or `log`), `level` (as the
//! guest said it; `info` for the streams, which say none) and `context` (of
//! `wasi:logging`, else empty). The message is the line.
//!
//! # Guarantees
//! - It never fails a guest and never makes it wait: what is beyond a limit of
//!   [`Config`] is dropped. How many lines were lost is told in one further event,
//!   at most once a second while a request runs and at its end.
//! - A line is cut at [`Config::line`] and marked; a last line without its newline
//!   is written when the instance ends.
//! - Control characters, line separators and changes of direction come out as
//!   `\u{…}`, so that a guest cannot forge other lines nor move a terminal's
//!   cursor.
//!
//! # Instances that serve several requests
//! `wasi:logging` says the request that the instance took last. A stream knows none:
//! its lines carry the request for which the instance was made.
//!
//! [`Config::request`] is the instance's, whichever request a line is for. It is
//! whole again with the first message of a request whose id is none of the last
//! 1024 that the instance had, and never otherwise: requests at once share it, and
//! a client that repeats an id gets no more for it.

mod escape;
mod lines;
mod rate;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use strand_engine::{Capability, Ctx, CtxBuilder, RequestId};
use wasmtime::component::{HasData, Linker};

use crate::lines::Output;
use crate::rate::Rate;
use crate::session::{Level, Session, Stdio};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit/deps/wasi-logging-0.1.0-draft",
        world: "wasi:logging/imports",
    });
}

use bindings::wasi::logging::logging;

/// The target of guests' events.
pub const TARGET: &str = "guest";

/// What the node takes from guests.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of a line; what follows is cut. 8 KiB by default.
    pub line: usize,
    /// Bytes of one request, all streams together. 1 MiB by default. Requests that
    /// an instance serves at once share them.
    pub request: u64,
    /// Lines per second of one function. 1000 by default.
    pub rate: u32,
    /// Lines of one function that may come at once. 1000 by default.
    pub burst: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            line: 8 << 10,
            request: 1 << 20,
            rate: 1000,
            burst: 1000,
        }
    }
}

/// Takes the lines of one function. It needs no grant: a function that may say
/// nothing cannot be mended.
#[derive(Debug)]
pub struct Logging {
    config: Config,
    rate: Arc<Rate>,
}

impl Logging {
    /// Logging for one function.
    pub fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            rate: Arc::new(Rate::new(config.rate, config.burst)),
        }
    }
}

/// What the interface works on.
struct View {
    session: Arc<Session>,
    request: RequestId,
}

struct HasView;

impl HasData for HasView {
    type Data<'a> = View;
}

impl Capability for Logging {
    fn add_to_linker(&self, linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
        logging::add_to_linker::<Ctx, HasView>(linker, |ctx| {
            let request = ctx.call().id.clone();
            // `attach` fills the slot of every store that this linker serves.
            let (session, _) = ctx.slot::<Arc<Session>>().expect("attached to the store");
            let session = Arc::clone(session);
            View { session, request }
        })
    }

    fn attach(&self, builder: &mut CtxBuilder) {
        let session = Session::new(&self.config, &self.rate, builder.call());
        builder
            .wasi
            .stdout(Output::new(Stdio::Stdout, &session))
            .stderr(Output::new(Stdio::Stderr, &session));
        builder.insert(session);
    }
}

impl logging::Host for View {
    fn log(&mut self, level: logging::Level, context: String, message: String) {
        let level = match level {
            logging::Level::Trace => Level::Trace,
            logging::Level::Debug => Level::Debug,
            logging::Level::Info => Level::Info,
            logging::Level::Warn => Level::Warn,
            logging::Level::Error => Level::Error,
            logging::Level::Critical => Level::Critical,
        };
        self.session.log(&self.request, level, &context, &message);
    }
}
