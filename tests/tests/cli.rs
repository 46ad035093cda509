//! The verbs that do not serve.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use strand_tests::{TestApp, binary, guest, run};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// `strand run` with standard input.
fn run_function(app: &TestApp, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let state = tempfile::tempdir().unwrap();
    let mut child = Command::new(binary())
        .arg("run")
        .arg("--no-build")
        .arg("--state")
        .arg(state.path())
        .args(args)
        .current_dir(app.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A function that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        text(&output.stdout).to_owned(),
        text(&output.stderr).to_owned(),
    )
}

const HELLO: &str = "
  functions:
    http02: { source: { file: hello-http02.wasm } }
    http03: { source: { file: hello-http03.wasm } }
    task: { source: { file: hello-task.wasm } }
    command: { source: { file: hello-command.wasm } }
    command03: { source: { file: hello-command03.wasm } }
    module: { source: { file: hello-module.wasm } }
    failing: { source: { file: hostile-command.wasm } }
";

#[test]
fn run_calls_a_function_of_every_world() {
    let app = TestApp::new(HELLO);
    for (args, input, output) in [
        (&[".", "http02"][..], "", "Hello from WASI 0.2!\n"),
        (&[".", "http03"], "", "Hello from WASI 0.3!\n"),
        (&[".", "task"], "Ada", "Hello, Ada, from a task!\n"),
        (&[".", "command", "--", "Ada"], "", "Ada"),
        (&[".", "command03", "--", "Ada"], "", "Ada"),
        (&[".", "module", "--", "Ada"], "", "Ada"),
    ] {
        let (code, stdout, stderr) = run_function(&app, args, input);
        assert_eq!(code, Some(0), "{args:?}: {stderr}");
        assert!(stdout.contains(output), "{args:?}: {stdout}");
    }
}

#[test]
fn run_ends_with_the_command_s_exit_code() {
    let app = TestApp::new(HELLO);
    let (code, stdout, _) = run_function(&app, &[".", "failing", "--", "exit-before"], "");
    // WASI 0.2 knows success and failure only.
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let (code, stdout, _) = run_function(&app, &[".", "failing", "--", "exit-after"], "");
    assert_eq!(code, Some(1));
    assert!(!stdout.is_empty());
}

#[test]
fn run_names_the_functions_there_are() {
    let app = TestApp::new(HELLO);
    let (code, _, stderr) = run_function(&app, &[".", "htp02"], "");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("has no function `htp02`"), "{stderr}");
    assert!(stderr.contains("http02, http03"), "{stderr}");
}

#[test]
fn inspect_tells_each_world_and_its_needs() {
    for (name, world, shape) in [
        ("hello-http02", "http@0.2", "component"),
        ("hello-http03", "http@0.3", "component"),
        ("hello-task", "task", "component"),
        ("hello-command", "command@0.2", "component"),
        ("hello-command03", "command@0.3", "component"),
        ("hello-module", "module", "module"),
    ] {
        let output = run([
            "inspect".as_ref(),
            "--json".as_ref(),
            guest(name).as_os_str(),
        ]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let about: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(about["world"], world, "{name}");
        assert_eq!(about["shape"], shape, "{name}");
        assert!(about["size"].as_u64().unwrap() > 0);
        assert!(about["compiledSize"].as_u64().unwrap() > 0);
    }
}

#[test]
fn a_missing_grant_is_told_with_the_lines_that_mend_it() {
    let spec = "
  resources:
    blobs:
      data: { dev: ./data }
  functions:
    probe:
      source: { file: probe02.wasm }
";
    let route = "  routes:\n    - { path: \"/{*rest}\", function: probe }\n";
    let app = TestApp::new(&format!("{spec}{route}"));
    app.write("data/x", "x");
    let check = || run(["check".as_ref(), app.path().as_os_str()]);
    let output = check();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("wasi:blobstore"), "{said}");
    assert!(said.contains("grants:"), "{said}");
    // The lines as they are told, put below the function.
    let lines: String = said
        .lines()
        .skip_while(|line| !line.contains("grants:"))
        .take_while(|line| !line.trim().is_empty())
        .map(|line| line.trim_start_matches(['|', '=', ' ']))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    assert!(lines.contains("blobs"), "{lines}");
    let mended = format!("{spec}      grants: {{ blobs: {{ data: [read, write] }} }}\n{route}");
    app.write(
        "directive.yaml",
        format!(
            "apiVersion: strand.dev/v1alpha1\nkind: App\nmetadata: {{ name: test }}\nspec:\n  version: 0.1.0\n{mended}"
        ),
    );
    let output = check();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn check_says_what_it_could_not_check() {
    let app = TestApp::new(
        "
  functions:
    unbuilt: { source: { cargo: unbuilt } }
  routes:
    - { path: /, function: unbuilt }
",
    );
    app.write("unbuilt/Cargo.toml", "[package]\nname = \"unbuilt\"\n");
    let output = run(["check".as_ref(), app.path().as_os_str()]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("imports of `unbuilt`"), "{said}");
}

#[test]
fn the_schema_is_json_and_completions_are_there() {
    let output = run(["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["$schema"].is_string());
    for shell in ["bash", "zsh", "fish"] {
        let output = run(["completions", shell]);
        assert!(text(&output.stdout).contains("inspect"));
    }
}
