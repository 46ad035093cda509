//! What is mapped: compiled artefacts, and memory that nobody uses any more. The one
//! module with `unsafe` in Strand.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use wasmtime::component::Component;

use crate::artifact::Artifact;

/// Maps an artefact's code and makes a component of it.
///
/// The code goes into anonymous memory that is sealed before it is mapped, so
/// that nobody, this process included, can change it between the check of the
/// artefact's hash and its use, or after.
pub(crate) fn map(engine: &wasmtime::Engine, artifact: &Artifact) -> wasmtime::Result<Component> {
    let file = memfd_create(
        "strand-code",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?;
    let mut file = File::from(file);
    file.write_all(artifact.code())?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the bytes came out of Wasmtime's own compiler, run by this
    // installation: an `Artifact` exists only after its keyed hash was checked.
    // They cannot change under the mapping, because the file is sealed.
    unsafe { Component::deserialize_file(engine, path) }
}

/// Has the allocator give all pages back to the system in which nothing is used any
/// more. The GNU C library does that by itself only at the end of its heaps: it keeps the
/// buffers of many clients for good where small ones lie between them. Other allocators
/// are left as they are. Takes milliseconds for a heap of hundreds of megabytes, during
/// which nobody else can allocate there.
pub fn give_back_free_pages() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it touches what is free, and nothing else, under the allocator's own lock.
    unsafe {
        libc::malloc_trim(0);
    }
}
