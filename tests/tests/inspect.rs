//! What `strand inspect` says of a file.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use strand_hostile_modules as hostile;
use strand_tests::{binary, guest, run};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn inspect(file: &Path) -> Output {
    run(["inspect".as_ref(), "--json".as_ref(), file.as_os_str()])
}

#[test]
fn inspect_tells_each_world_and_its_needs() {
    let blobs = json!({
        "kind": "blobs",
        "imports": [
            "wasi:blobstore/blobstore@0.2.0-draft",
            "wasi:blobstore/container@0.2.0-draft",
            "wasi:blobstore/types@0.2.0-draft",
        ],
        "required": true,
        "lines": "grants:\n  blobs: { RESOURCE: [read, write] }\n",
    });
    let no_needs = json!([]);
    for (name, world, shape, import) in [
        (
            "hello-http02",
            "http@0.2",
            "component",
            "wasi:http/types@0.2.",
        ),
        (
            "hello-http03",
            "http@0.3",
            "component",
            "wasi:http/types@0.3.",
        ),
        (
            "hello-task",
            "task",
            "component",
            "wasi:config/store@0.2.0-rc.1",
        ),
        (
            "hello-command",
            "command@0.2",
            "component",
            "wasi:cli/stdout@0.2.",
        ),
        (
            "hello-command03",
            "command@0.3",
            "component",
            "wasi:cli/stdout@0.3.",
        ),
        ("hello-module", "module", "module", "wasi_snapshot_preview1"),
        (
            "probe02",
            "http@0.2",
            "component",
            "wasi:http/outgoing-handler@0.2.",
        ),
    ] {
        let output = inspect(&guest(name));
        assert!(output.status.success(), "{}", text(&output.stderr));
        let about: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(about["world"], world, "{name}");
        assert_eq!(about["shape"], shape, "{name}");
        assert!(about["size"].as_u64().unwrap() > 0);
        assert!(about["compiledSize"].as_u64().unwrap() > 0);
        let imports: Vec<_> = about["imports"].as_array().unwrap().iter().collect();
        let found = |it: &&Value| it.as_str().is_some_and(|it| it.starts_with(import));
        let found: Vec<_> = imports.into_iter().filter(found).collect();
        assert_eq!(found.len(), 1, "{name}: {import} in {about}");
        assert_eq!(about["unsupported"], json!([]), "{name}");
        if name == "probe02" {
            let http = json!({
                "kind": "http",
                "imports": [found[0]],
                "required": false,
                "lines": "grants:\n  http: [ \"https://HOST\" ]\n  functions: [ FUNCTION ]\n",
            });
            assert_eq!(about["grants"], json!([blobs, http]));
        } else {
            assert_eq!(about["grants"], no_needs, "{name}");
        }
    }
}

#[test]
fn inspect_says_what_there_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.wasm");
    fs::write(&file, hostile::imports_unknown_interface()).unwrap();
    let output = inspect(&file);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let about: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(about["unsupported"], json!(["example:unknown/thing@1.0.0"]));
    let output = run(["inspect".as_ref(), file.as_os_str()]);
    let said = text(&output.stdout);
    assert!(said.contains("\nunsupported: "), "{said}");
    assert!(said.contains("\n  example:unknown/thing@1.0.0\n"), "{said}");
    // A module with such an import does not even compile.
    fs::write(&file, hostile::imports_unknown_function()).unwrap();
    let output = inspect(&file);
    assert_eq!(output.status.code(), Some(1));
    let about: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(about["unsupported"], json!(["unknown"]));
    assert_eq!(about["compiledSize"], Value::Null);
    let said = text(&output.stderr);
    assert!(said.contains("does not compile"), "{said}");
}

#[test]
fn inspect_says_what_is_no_component() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.wasm");
    let said = || {
        let output = run(["inspect".as_ref(), file.as_os_str()]);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr).to_owned()
    };
    for (bytes, told) in [
        (&b""[..], "not WebAssembly: it is empty; build it again"),
        (b"hello", "not WebAssembly: it begins with `hell`\n"),
        (
            b"(component)",
            "it begins with `(com`; this is the text format: convert it with `wasm-tools parse`\n",
        ),
        (
            b"\x7fELF\x02",
            "it begins with `\\x7fELF`; this is a native program: build it for `wasm32-wasip2`\n",
        ),
        (b"\0asm\x0d\0", "not whole WebAssembly"),
    ] {
        fs::write(&file, bytes).unwrap();
        let said = said();
        assert!(said.contains(told), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let large = fs::File::create(&file).unwrap();
    large.set_len(1 << 40).unwrap();
    let size = "it has 1099511627776 bytes, and at most 268435456 are read";
    assert!(said().contains(size), "{}", said());
    fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, 0o600.into()).unwrap();
    assert!(said().contains("it is a pipe, not a file"), "{}", said());
}

/// It keeps nothing, so it needs no place for that.
#[test]
fn inspect_needs_no_home() {
    let output = Command::new(binary())
        .args(["inspect".as_ref(), guest("hello-http02").as_os_str()])
        .env_remove("HOME")
        .env_remove("XDG_STATE_HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}
