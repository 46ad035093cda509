//! The gateway over real sockets, with functions that are closures.

// A test that unwraps the wrong thing fails, which is what it is for.
#![allow(clippy::unwrap_used)]

mod access;
mod client;
mod drain;
mod faults;
mod frames;
mod http2;
mod limits;
mod memory;
mod requests;
mod rules;
mod slow;
mod smuggling;
mod static_files;
mod streams;
mod support;
