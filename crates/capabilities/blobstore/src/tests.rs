//! The interface as a guest calls it, over every kind of bucket.

mod conformance;
mod flaky;
mod folder;
mod grants;
mod guest;
mod s3;
mod values;
