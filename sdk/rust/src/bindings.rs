//! The interfaces beyond WASI, with the streams of the `wasip2` crate.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    reason = "generated"
)]

wit_bindgen::generate!({
    inline: "
        package strand:sdk;

        world sdk {
            import wasi:blobstore/blobstore@0.2.0-draft;
            import wasi:blobstore/container@0.2.0-draft;
            import wasi:blobstore/types@0.2.0-draft;
            import wasi:config/store@0.2.0-rc.1;
            import wasi:logging/logging@0.1.0-draft;
            include strand:function/task-function@0.1.0;
        }
    ",
    path: [
        "../../wit/deps/wasi-io-0.2.1",
        "../../wit/deps/wasi-blobstore-0.2.0-draft",
        "../../wit/deps/wasi-config-0.2.0-rc.1",
        "../../wit/deps/wasi-logging-0.1.0-draft",
        "../../wit/strand-function",
    ],
    world: "strand:sdk/sdk",
    with: {
        "wasi:io/error@0.2.1": wasip2::io::error,
        "wasi:io/poll@0.2.1": wasip2::io::poll,
        "wasi:io/streams@0.2.1": wasip2::io::streams,
    },
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_task",
    default_bindings_module: "$crate::bindings",
});
