//! Where objects are kept: a folder, S3 and what speaks its protocol, or any other
//! [`object_store`], each below a prefix. What keeps things for the node itself, and what keeps
//! them for functions, both keep them here.
//!
//! A folder syncs what it writes before it says so, and lets no name and no link lead out of it.
//! S3 is waited for as long as something comes, and no longer.

mod bucket;
mod folder;
mod patience;
mod refusal;
mod s3;

pub use bucket::{Bucket, BucketError, MAX_NAME};
pub use folder::STAGING;
pub use refusal::Refusal;
pub use s3::{S3Credentials, S3Options};
