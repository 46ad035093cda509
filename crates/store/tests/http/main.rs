//! The interfaces of Bindle and of an OCI registry, row by row of their contracts, as any HTTP
//! client sees them.

// A test that unwraps the wrong thing fails, which is what it is for.
#![allow(clippy::unwrap_used)]

mod access;
mod client;
mod invoices;
mod oci;
mod parcels;
mod queries;
