//! The administration API: its server, a client for the command line, and the token
//! between the two.
//!
//! `/healthz` is open: 200 once every function can serve, 503 before and while
//! draining, and the [`Health`] either way. Everything else needs the token as
//! `Authorization: Bearer TOKEN`: `/metrics` is for Prometheus, `/v1/status` gives
//! the [`Status`]. Without the token every path is a 401, so that nobody learns
//! which there are. What is refused is `application/problem+json`.
//!
//! A listener of its own, so that no load on the apps and no route of theirs comes
//! in between. It takes 64 connections at once, headers of 16 KiB and 64 fields
//! within 10 seconds, which is also how long a connection may idle, and no body; an
//! answer may take 30 seconds, a connection lives for five minutes.

// A test that unwraps the wrong thing fails, which is what it is for.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
mod client;
mod server;
mod token;

pub use api::{AppStatus, FunctionLimits, FunctionStatus, Health, MemoryStatus, State, Status};
pub use client::{AdminClient, ClientError};
pub use server::{Admin, serve};
pub use token::{TOKEN_FILE, Token, TokenError, token};
