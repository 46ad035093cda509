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
//! The function that is called has its own limits, grants and instance, but the deadline of its
//! caller. What it could not do it answers with a problem, so look at the status.

use wasip2::http::types::{Method, Scheme};

use crate::http::{CallError, Reply};
use crate::outgoing::{self, Target};

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
    let target = Target {
        scheme: Scheme::Http,
        authority: format!("{function}.strand.internal").into(),
        path: target.into(),
    };
    outgoing::send(method, &target, &[], body)
}
