//! What is mapped: compiled artefacts, and by the allocator, which gives back what nobody
//! uses any more. The one module with `unsafe` in Strand.

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

/// The allocator that a process with an engine is to have. A request allocates and frees a few
/// dozen times, which with the C library's is a tenth of what the request costs.
pub use mimalloc::MiMalloc as Allocator;

/// Has [`Allocator`] give pages back to the system that no thread holds any more, which are nearly
/// all in which nothing is used. By itself it does so seconds later, and only while somebody
/// allocates. What little each thread keeps for its next allocations stays with it. For a process
/// with another allocator nothing happens.
pub fn give_back_free_pages() {
    // SAFETY: it touches what is free, and nothing else.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}
