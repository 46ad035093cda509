//! Bindings of the interfaces beyond WASI that test guests use, and what the probes of both
//! versions do with them.

pub mod blobs;
mod settings;

pub use settings::{config, log};

#[allow(
    unsafe_code,
    missing_docs,
    reason = "wit-bindgen generates this module; raw memory is how components exchange values"
)]
mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../../wit/deps/wasi-io-0.2.1",
            "../../../wit/deps/wasi-blobstore-0.2.0-draft",
            "../../../wit/deps/wasi-config-0.2.0-rc.1",
            "../../../wit/deps/wasi-logging-0.1.0-draft",
        ],
        inline: "
            package strand:guests;
            world capabilities {
                import wasi:blobstore/types@0.2.0-draft;
                import wasi:blobstore/container@0.2.0-draft;
                import wasi:blobstore/blobstore@0.2.0-draft;
                import wasi:config/store@0.2.0-rc.1;
                import wasi:logging/logging@0.1.0-draft;
            }
        ",
        world: "strand:guests/capabilities",
        // The streams are those of all other interfaces.
        with: {
            "wasi:io/error@0.2.1": wasip2::io::error,
            "wasi:io/poll@0.2.1": wasip2::io::poll,
            "wasi:io/streams@0.2.1": wasip2::io::streams,
        },
        generate_all,
    });
}
