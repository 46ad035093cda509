//! The store over folders, S3 and memory.

mod backends;
mod bindles;
mod blobs;
mod clock;
mod model;
mod stepped;
