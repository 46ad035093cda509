//! The blob store's interfaces, with the streams of the `wasip2` crate.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    reason = "generated"
)]

wit_bindgen::generate!({
    inline: "
        package reads:guest;

        world blobs {
            import wasi:blobstore/blobstore@0.2.0-draft;
            import wasi:blobstore/container@0.2.0-draft;
            import wasi:blobstore/types@0.2.0-draft;
        }
    ",
    path: [
        "../../../wit/deps/wasi-io-0.2.1",
        "../../../wit/deps/wasi-blobstore-0.2.0-draft",
    ],
    world: "reads:guest/blobs",
    with: {
        "wasi:io/error@0.2.1": wasip2::io::error,
        "wasi:io/poll@0.2.1": wasip2::io::poll,
        "wasi:io/streams@0.2.1": wasip2::io::streams,
    },
    generate_all,
});

pub use wasi::blobstore::{blobstore, container, types};
