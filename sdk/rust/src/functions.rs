//! Calls to other functions of the app (`grants: { functions: … }`), in process.
//!
//! ```no_run
//! use strand_sdk::functions;
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let index = functions::get("index", "/?reference=lambda")?.read(64 * 1024)?;
//! let shouted = functions::post("shout", "/", b"hello")?.read(64 * 1024)?;
//! # Ok(())
//! # }
//! ```
//!
//! Many calls at once, whose answers come in order:
//!
//! ```no_run
//! use strand_sdk::functions::{self, Ahead};
//!
//! # fn example(mut out: impl std::io::Write) -> Result<(), Box<dyn std::error::Error>> {
//! let parts = (0..100).map(|part| format!("/?part={part}"));
//! let mut calls = functions::in_order("worker", parts, Ahead { calls: 4, bytes: 1 << 20 });
//! while let Some(mut reply) = calls.next()? {
//!     while let Some(piece) = reply.piece()? {
//!         out.write_all(&piece)?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The function that is called has its own limits, grants and instance, but the deadline of its
//! caller. What it could not do it answers with a problem, so look at the status.

mod in_order;

use wasip2::http::types::{Method, Scheme};

use crate::http::{CallError, Reply};
use crate::outgoing::{self, Target};

pub use in_order::{Ahead, InOrder, Turn, in_order};

/// Calls a function with GET. `target` is a path with its query: `/?a=b`.
///
/// # Errors
/// [`CallError`]; an answer with any status is none.
pub fn get(function: &str, target: &str) -> Result<Reply, CallError> {
    call(Method::Get, function, target, b"")
}

/// Calls a function with POST: how a task gets its input. The body is sent whole before the answer
/// is read, so a function that answers while it reads has to take all of it first.
///
/// # Errors
/// [`CallError`]; an answer with any status is none.
pub fn post(function: &str, target: &str, body: &[u8]) -> Result<Reply, CallError> {
    call(Method::Post, function, target, body)
}

fn call(method: Method, function: &str, target: &str, body: &[u8]) -> Result<Reply, CallError> {
    outgoing::send(method, &to(function, target), &[], body)
}

fn to<'a>(function: &str, target: &'a str) -> Target<'a> {
    Target {
        scheme: Scheme::Http,
        authority: format!("{function}.strand.internal").into(),
        path: target.into(),
    }
}
