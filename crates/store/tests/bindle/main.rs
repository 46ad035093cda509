//! Bindle's interface, row by row of its contract, as any HTTP client sees it.

// A test that unwraps the wrong thing fails, which is what it is for.
#![allow(clippy::unwrap_used)]

mod access;
mod client;
mod invoices;
mod parcels;
mod queries;
