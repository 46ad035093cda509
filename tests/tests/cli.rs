//! The verbs that do not serve, and what they share with the one that does.

#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use strand_hostile_modules as hostile;
use strand_tests::{Server, TestApp, binary, check_json, client, fields, run};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn check(app: &TestApp) -> Output {
    run(["check".as_ref(), app.path().as_os_str()])
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
fn run_passes_method_and_path_on() {
    let app = TestApp::new(
        "
  resources:
    blobs: { data: { dev: ./data } }
  functions:
    probe: { source: { file: probe02.wasm }, grants: { blobs: { data: [read, write] } } }
  routes:
    - { path: /, function: probe }
",
    );
    let args = [
        ".",
        "probe",
        "--method",
        "PUT",
        "--path",
        "/headers?a=b%20c",
    ];
    let (code, stdout, stderr) = run_function(&app, &args, "");
    assert_eq!(code, Some(0), "{stderr}");
    let seen: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(seen["method"], "PUT", "{seen}");
    assert_eq!(seen["target"], "/headers?a=b%20c", "{seen}");
    // An answer that is no success is told, and is one for scripts too.
    let (code, _, stderr) = run_function(&app, &[".", "probe", "--path", "/status/404"], "");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("Answered 404"), "{stderr}");
}

#[test]
fn a_missing_grant_is_told_with_the_lines_that_mend_it() {
    let app = TestApp::new(
        "
  resources:
    blobs:
      data: { dev: ./data }
  functions:
    probe:
      source: { file: probe02.wasm }
  routes:
    - { path: \"/{*rest}\", function: probe }
",
    );
    app.write("data/x", "x");
    let output = check(&app);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("wasi:blobstore"), "{said}");
    // What a reader does: the lines as they are printed, below what they are to be added to.
    let help = "help: add these lines to `spec.functions.probe`:\n";
    let (_, lines) = said.split_once(help).unwrap_or_else(|| panic!("{said}"));
    let lines = lines.split("\n\n").next().unwrap();
    let lines = format!("{}\n", lines.trim_end());
    assert_eq!(
        lines,
        "      grants:\n        blobs:\n          data: [read, write]\n"
    );
    let directive = fs::read_to_string(app.path().join("directive.yaml")).unwrap();
    let mended = directive.replacen("    probe:\n", &format!("    probe:\n{lines}"), 1);
    assert_ne!(mended, directive);
    app.write("directive.yaml", mended);
    let output = check(&app);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn an_idle_grant_is_a_warning() {
    let app = TestApp::new(
        "
  functions:
    hello:
      source: { file: hello-http02.wasm }
      grants: { http: [ \"https://example.org\" ] }
  routes:
    - { path: /, function: hello }
",
    );
    let output = check(&app);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("warning: the function `hello` is granted `http`, but imports neither"),
        "{said}"
    );
    assert!(said.contains("Checked"), "{said}");
    let (said, good) = check_json(app.path());
    assert!(good);
    assert_eq!(
        fields(&said),
        [("spec.functions.hello.grants.http", "warning")]
    );
}

#[test]
fn check_tells_everything_at_once() {
    let app = TestApp::new(
        "
  functions:
    idle: { source: { file: hello-http02.wasm }, grants: { http: [ \"https://example.org\" ] } }
    corrupt: { source: { file: corrupt.module } }
    gone: { source: { file: gone.module } }
    needy: { source: { file: probe02.wasm } }
    unbuilt: { source: { cargo: unbuilt } }
    unused: { source: { file: hello-task.wasm } }
  routes:
    - { path: /idle, function: idle }
    - { path: /corrupt, function: corrupt }
    - { path: /gone, function: gone }
    - { path: /needy, function: needy }
    - { path: /unbuilt, function: unbuilt }
    - { path: \"/elsewhere/{*rest}\", static: elsewhere }
    - { path: \"/all/{*rest}\", static: all }
",
    );
    app.write("corrupt.module", hostile::not_wasm());
    app.write("unbuilt/Cargo.toml", "[package]\nname = \"unbuilt\"\n");
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), app.path().join("elsewhere")).unwrap();
    symlink(".", app.path().join("all")).unwrap();

    let (said, good) = check_json(app.path());
    assert!(!good);
    assert_eq!(
        fields(&said),
        [
            ("spec.functions.idle.grants.http", "warning"),
            ("spec.functions.corrupt.source", "error"),
            ("spec.functions.gone.source.file", "error"),
            ("spec.functions.needy.source", "error"),
            ("spec.functions.unused", "warning"),
            ("spec.routes[5].static", "error"),
            ("spec.routes[6].static", "error"),
        ],
        "{said}"
    );
    assert_eq!(said["unchecked"], json!(["unbuilt"]));
    for problem in said["problems"].as_array().unwrap() {
        assert!(problem["span"]["line"].as_u64() > Some(1), "{problem}");
        assert!(problem["help"].is_string(), "{problem}");
    }

    let output = check(&app);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    for part in [
        "the function `corrupt` cannot be run: `corrupt.module` is not WebAssembly: it begins with `#!/b`",
        "there is no file `gone.module`",
        "a symbolic link leads from `elsewhere` out of the app's folder",
        "the folder `all` holds the Directive",
        "imports of `unbuilt`",
    ] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
}

#[test]
fn json_is_printed_without_a_directive_too() {
    let dir = tempfile::tempdir().unwrap();
    let (said, good) = check_json(dir.path());
    assert!(!good);
    assert_eq!(fields(&said), [("", "error")]);
    let message = said["problems"][0]["message"].as_str().unwrap();
    assert!(message.contains("directive.yaml"), "{message}");
}

#[test]
fn up_tells_ceilings_and_broken_files_at_once() {
    let app = TestApp::new(
        "
  functions:
    large: { source: { file: hello-http02.wasm }, limits: { memory: 512Mi, cpu: 2m, queue: 300 } }
    corrupt: { source: { file: corrupt.module } }
    needy: { source: { file: probe02.wasm } }
  routes:
    - { path: /large, function: large }
    - { path: /corrupt, function: corrupt }
    - { path: /needy, function: needy }
",
    );
    app.write("corrupt.module", hostile::not_wasm());
    let ceilings = "[ceilings]\nmemory = \"256Mi\"\ncpu = \"1m\"\nconcurrency = 200\n";
    let config = app.write("node.toml", ceilings);
    let state = tempfile::tempdir().unwrap();
    let args = ["--config", config.to_str().unwrap()];
    let said = Server::try_start(app.path(), state.path(), &args, &[])
        .err()
        .expect("it must not start");
    for part in [
        "`memory: 512Mi` is more than this node's ceiling of 256Mi",
        "`cpu: 2m` is more than this node's ceiling of 1m",
        "`queue: 300` is more than this node's ceiling of 200",
        "ask for `memory: 256Mi` at most, or raise `memory` under `[ceilings]` in the node's `--config`",
        "the function `corrupt` cannot be run",
        "the function `needy` imports `wasi:blobstore/",
    ] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
}

#[test]
fn a_weight_of_an_app_that_is_not_there_is_told() {
    let app = TestApp::new(
        "
  functions: { hello: { source: { file: hello-http02.wasm } } }
  routes: [{ path: /, function: hello }]
",
    );
    let state = tempfile::tempdir().unwrap();
    for (name, told) in [
        (
            "tset",
            "node.toml: `tset` under `[weights]`: there is no app `tset`; did you mean `test`? (there is test); correct the name, or remove the line",
        ),
        ("other", "there is no app `other` (there is test)"),
    ] {
        let config = app.write("node.toml", format!("[weights]\ntest = 50\n{name} = 200\n"));
        let args = ["--config", config.to_str().unwrap()];
        let said = Server::try_start(app.path(), state.path(), &args, &[])
            .err()
            .expect("it must not start");
        assert!(said.contains(told), "no `{told}` in:\n{said}");
    }
    // Of a single function that is called once the node's other apps are not known.
    let output = Command::new(binary())
        .args(["run", "--no-build", "--config", "node.toml", "--state"])
        .arg(state.path())
        .args([".", "hello"])
        .current_dir(app.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Bindings and back ends are looked at before the long step. This app's crate does not build,
/// so that whoever builds first ends in another error.
#[test]
fn a_wrong_binding_is_told_before_anything_is_built() {
    let app = TestApp::new(
        "
  resources:
    blobs: { data: { dev: ./data }, spare: { dev: ./spare } }
  functions:
    broken: { source: { cargo: broken }, grants: { blobs: { data: [read, write] } } }
  routes:
    - { path: /, function: broken }
",
    );
    app.write("broken/Cargo.toml", "no manifest");
    let dir = app.path().to_str().unwrap();
    let up = [
        "up",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        dir,
    ];
    for (verb, bind, told) in [
        (
            &up[..],
            "blobs.dta=memory:",
            "`--bind blobs.dta=…`: the app `test` has no such resource; did you mean `data`? (there is `data`, `spare`)",
        ),
        (
            &["run", dir, "broken"],
            "blobs.dta=memory:",
            "did you mean `data`?",
        ),
        (&up, "blobs.data=/no/such/folder", "resource `data`"),
        (
            &["run", dir, "broken"],
            "blobs.data=/no/such/folder",
            "resource `data`",
        ),
    ] {
        let output = run(verb.iter().chain(&["--bind", bind]));
        assert_eq!(output.status.code(), Some(1), "{verb:?}");
        let said = text(&output.stderr);
        assert!(said.contains(told), "{verb:?}: {said}");
        assert!(!said.contains("Building"), "{verb:?}: {said}");
        assert!(!said.contains("function `broken`"), "{verb:?}: {said}");
    }
    let output = run(up);
    assert!(
        text(&output.stderr).contains("Building"),
        "the way to tell works"
    );
}

/// A crate that depends on the SDK, as users write it.
fn app_with_a_crate() -> TestApp {
    let app = TestApp::new(
        "
  functions:
    greet: { source: { cargo: greet } }
  routes:
    - { path: \"/{*rest}\", function: greet }
",
    );
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/rust");
    // The profile is that of the other guests: what they depend on is there already.
    app.write(
        "greet/Cargo.toml",
        format!(
            "[package]\nname = \"strand-test-greet\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [lib]\ncrate-type = [\"cdylib\"]\n\n\
             [dependencies]\nstrand-sdk = {{ path = {sdk:?} }}\n\n\
             [workspace]\n\n\
             [profile.release]\nopt-level = 3\nlto = true\ncodegen-units = 1\npanic = \"abort\"\nstrip = true\n"
        ),
    );
    // The versions of the SDK's own: a test must not depend on what was published today.
    app.write(
        "greet/Cargo.lock",
        fs::read(sdk.join("Cargo.lock")).unwrap(),
    );
    app.write(
        "greet/src/lib.rs",
        "use strand_sdk::http::{Broken, Request, Responder};\n\n\
         strand_sdk::http!(greet);\n\n\
         fn greet(request: Request, responder: Responder) -> Result<(), Broken> {\n    \
             responder.text(&format!(\"Hello from {}\\n\", request.path()))\n\
         }\n",
    );
    app
}

#[tokio::test]
async fn crates_are_built_by_build_run_and_up() {
    let app = app_with_a_crate();
    let dir = app.path().as_os_str();
    let built = app.path().join(".strand/build/greet.wasm");

    let output = run(["build".as_ref(), dir]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Building"), "{said}");
    assert!(built.is_file());
    let said = check_json(app.path());
    let good = json!({ "dir": app.path(), "problems": [], "unchecked": [] });
    assert_eq!(said, (good, true));

    fs::remove_dir_all(app.path().join(".strand")).unwrap();
    let path = ["--path".as_ref(), "/by/hand?x=y".as_ref()];
    let args = [OsStr::new("run"), dir, "greet".as_ref()];
    let output = run(args.into_iter().chain(path));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "Hello from /by/hand\n");

    fs::remove_dir_all(app.path().join(".strand")).unwrap();
    let state = tempfile::tempdir().unwrap();
    let mut server = Command::new(binary())
        .args(["up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--state".as_ref(), state.path().as_os_str(), dir])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let url = BufReader::new(server.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .inspect(|line| {
            said.push_str(line);
            said.push('\n');
        })
        .find_map(|line| Some(line.trim_start().strip_prefix("Serving ")?.to_owned()));
    let answer = match &url {
        Some(url) => client().get(format!("{url}/by/http")).send().await,
        None => {
            let _ = server.kill();
            panic!("it does not serve:\n{said}");
        }
    };
    server.kill().unwrap();
    server.wait().unwrap();
    let answer = answer.unwrap().text().await.unwrap();
    assert_eq!(answer, "Hello from /by/http\n");
    assert!(said.contains("Building"), "{said}");
    assert!(built.is_file());
}

#[tokio::test]
async fn a_value_that_a_command_lacks_is_named() {
    let app = TestApp::new(
        "
  functions:
    command: { source: { file: hello-command.wasm } }
  routes:
    - { path: /hello, function: command, command: { args: [\"{query.name}\"] } }
",
    );
    let server = Server::start(app.path(), &[]);
    let reply = server.get("/hello?nme=Ada").await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(reply.problem().0, "bad-request");
    assert_eq!(reply.json()["field"], "query.name");
    let reply = server.get("/hello?name=Ada").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.text().contains("Ada"), "{reply:?}");
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
fn check_and_build_go_through_several_apps() {
    let odd = TestApp::new(
        "
  functions:
    hello: { source: { file: hello-http02.wasm }, grants: { http: [ \"https://example.org\" ] } }
  routes:
    - { path: /, function: hello }
",
    );
    let wrong = TestApp::new(
        "
  functions:
    gone: { source: { file: gone.module } }
    broken: { source: { cargo: broken } }
  routes:
    - { path: /gone, function: gone }
    - { path: /broken, function: broken }
",
    );
    wrong.write("broken/Cargo.toml", "no manifest");
    let unbuildable = TestApp::new(
        "
  functions: { broken: { source: { cargo: broken } } }
  routes: [{ path: /, function: broken }]
",
    );
    unbuildable.write("broken/Cargo.toml", "no manifest");
    let none = tempfile::tempdir().unwrap();
    let go = |verb: &[&str], dirs: &[&Path]| {
        let mut strand = Command::new(binary());
        strand.args(verb).args(dirs).output().unwrap()
    };
    for verb in ["check", "build"] {
        // The last one is come to, whatever is wrong with those before it.
        let output = go(&[verb], &[none.path(), wrong.path(), odd.path()]);
        assert_eq!(output.status.code(), Some(1), "{verb}");
        let said = text(&output.stderr);
        for dir in [none.path(), wrong.path(), odd.path()] {
            let file = dir.join("directive.yaml").display().to_string();
            assert!(said.contains(&file), "{verb}: no {file} in:\n{said}");
        }
        let output = go(&[verb], &[odd.path(), odd.path()]);
        assert!(output.status.success(), "{verb}: {}", text(&output.stderr));
    }
    let output = go(&["build"], &[unbuildable.path(), odd.path()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let dir = unbuildable.path().display();
    assert!(
        said.contains(&format!("error: the app in {dir} cannot be built: ")),
        "{said}"
    );
    assert!(said.contains("warning: the function `hello`"), "{said}");

    let dirs = [none.path(), wrong.path(), odd.path()];
    let output = go(&["check", "--json"], &dirs);
    assert_eq!(output.status.code(), Some(1));
    let said = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let said: Vec<Value> = said.map(Result::unwrap).collect();
    let named: Vec<&str> = said.iter().map(|it| it["dir"].as_str().unwrap()).collect();
    assert_eq!(named, dirs.map(|dir| dir.to_str().unwrap()));
    assert_eq!(fields(&said[0]), [("", "error")]);
    assert_eq!(said[1]["unchecked"], json!(["broken"]));
    assert_eq!(
        fields(&said[2]),
        [("spec.functions.hello.grants.http", "warning")]
    );
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
