//! Files that are not what they should be: the Directive, components, and the node's own.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use strand_tests::{TestApp, binary, check_json, fields, guest, run};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const HELLO: &str = "
  functions:
    task: { source: { file: hello-task.wasm } }
    command: { source: { file: hello-command.wasm } }
";

/// What `check` says on standard error of an app that it refuses.
fn refused(app: &TestApp) -> String {
    let output = run(["check".as_ref(), app.path().as_os_str()]);
    assert_eq!(output.status.code(), Some(1));
    text(&output.stderr).to_owned()
}

#[test]
fn a_directive_that_is_no_file_or_too_large_is_told_at_once() {
    let app = TestApp::new("");
    let directive = app.path().join("directive.yaml");
    let advice = "an app is a folder";

    let large = fs::File::create(&directive).unwrap();
    large.set_len(1 << 40).unwrap();
    let said = refused(&app);
    let size = "it has 1099511627776 bytes, and at most 262144 are read; split the app";
    assert!(said.contains(size), "{said}");

    fs::remove_file(&directive).unwrap();
    let said = refused(&app);
    assert!(said.contains(advice), "{said}");

    symlink("directive.yaml", &directive).unwrap();
    let said = refused(&app);
    assert!(!said.contains(advice), "{said}");

    for (target, what) in [
        ("/dev/zero", "it is a device, not a file"),
        ("pipe", "it is a pipe, not a file"),
        (".", "it is a folder, not a file"),
    ] {
        fs::remove_file(&directive).unwrap();
        if target == "pipe" {
            pipe(&app.path().join("pipe"));
        }
        symlink(target, &directive).unwrap();
        let said = refused(&app);
        assert!(said.contains(what), "{said}");
        assert!(!said.contains(advice), "{said}");
    }
    // The app itself is a file.
    let output = run(["check".as_ref(), binary().as_os_str()]);
    let said = text(&output.stderr);
    assert!(said.contains(advice), "{said}");
}

fn pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap();
}

#[test]
fn a_directive_that_is_not_utf8_is_told_where() {
    let app = TestApp::new("");
    for (bytes, place) in [
        (&b"kind: App\n# gr\xfc\xdfe\n"[..], "line 2, column 5"),
        (b"\xff\xfek\0i\0", "line 1, column 1"),
    ] {
        app.write("directive.yaml", bytes);
        let said = refused(&app);
        let told = format!("directive.yaml: {place} is not UTF-8; save the file as UTF-8\n");
        assert!(said.ends_with(&told), "{said}");
    }
}

#[test]
fn a_component_elsewhere_is_refused() {
    let app = TestApp::new(
        "
  functions:
    inside: { source: { file: inside.module } }
    outside: { source: { file: outside.module } }
  routes:
    - { path: /inside, function: inside }
    - { path: /outside, function: outside }
",
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let component = fs::read(guest("hello-http02")).unwrap();
    fs::write(elsewhere.path().join("x"), &component).unwrap();
    symlink(
        elsewhere.path().join("x"),
        app.path().join("outside.module"),
    )
    .unwrap();
    app.write("deep/x", &component);
    symlink("deep/x", app.path().join("inside.module")).unwrap();
    let (said, good) = check_json(app.path());
    assert!(!good);
    let outside = ("spec.functions.outside.source.file", "error");
    assert_eq!(fields(&said), [outside], "{said}");
}

#[test]
fn a_component_that_is_too_large_is_not_read() {
    let app = TestApp::new(
        "
  functions:
    large: { source: { file: large.module } }
    text: { source: { file: text.module } }
  routes:
    - { path: /large, function: large }
    - { path: /text, function: text }
",
    );
    let large = fs::File::create(app.path().join("large.module")).unwrap();
    large.set_len(1 << 40).unwrap();
    app.write("text.module", "(module)");
    let said = refused(&app);
    for part in [
        "`large.module`: it has 1099511627776 bytes, and at most 268435456 are read",
        "`text.module` is not WebAssembly: it begins with `(mod`",
        "convert it with `wasm-tools parse`",
    ] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
}

#[test]
fn what_is_wrong_with_the_node_s_own_files_is_told() {
    let app = TestApp::new(HELLO);
    let run_with = |option: &str, path: &Path| {
        let dir = app.path().as_os_str();
        let output = run([
            "run".as_ref(),
            dir,
            "task".as_ref(),
            "--no-build".as_ref(),
            option.as_ref(),
            path.as_os_str(),
        ]);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr).to_owned()
    };
    let config = app.write("node.toml", "[gateway]\nheader-fields = 4000000000000\n");
    let said = run_with("--config", &config);
    for part in [
        "line 2",
        "must be from `10` to `10000`, found `4000000000000`",
    ] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
    let at = app.path().join("pipe");
    pipe(&at);
    let said = run_with("--config", &at);
    assert!(said.contains("it is a pipe, not a file"), "{said}");
    let said = run_with("--state", &config);
    assert!(said.contains("it is a file, not a folder"), "{said}");
}

/// Nothing can be written to that folder, whoever asks.
#[cfg(target_os = "linux")]
#[test]
fn code_that_cannot_be_kept_is_told_with_its_folder() {
    let app = TestApp::new(HELLO);
    let state = tempfile::tempdir().unwrap();
    symlink("/proc/self", state.path().join("artifacts")).unwrap();
    let output = run([
        "run".as_ref(),
        app.path().as_os_str(),
        "command".as_ref(),
        "--no-build".as_ref(),
        "--state".as_ref(),
        state.path().as_os_str(),
        "--".as_ref(),
        "Ada".as_ref(),
    ]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for part in ["compiled again at each start", "artifacts"] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
}
