//! Modules that are made to exhaust the compiler, or are no modules: `strand up`
//! fails with the function and the limit named.

#![allow(clippy::unwrap_used)]

use std::fs;

use strand_hostile_modules as hostile;
use strand_tests::hostile::expect_problem;
use strand_tests::{Server, TestApp, guest};

/// What `strand up` says of a function with these bytes, with so little to compile
/// it with.
fn said_of(bytes: &[u8], compile: &str) -> String {
    let app = TestApp::new(
        "
  functions:
    good: { source: { file: hello-http02.wasm } }
    bad: { source: { file: bad.module } }
  routes:
    - { path: /good, function: good }
    - { path: /bad, function: bad }
",
    );
    app.write("bad.module", bytes);
    let config = app.write("node.toml", format!("[compile]\n{compile}\n"));
    let state = tempfile::tempdir().unwrap();
    let args = ["--config", config.to_str().unwrap()];
    match Server::try_start(app.path(), state.path(), &args, &[]) {
        Ok(_) => panic!("it must not start"),
        Err(said) => said,
    }
}

fn expect(bytes: &[u8], compile: &str, words: &[&str]) {
    let said = said_of(bytes, compile);
    for word in words {
        assert!(said.contains(word), "no `{word}` in:\n{said}");
    }
}

#[test]
fn a_compilation_that_takes_too_long_is_ended() {
    let enormous = hostile::enormous_function(50_000);
    expect(&enormous, "cpu = \"2s\"", &["`bad`", "compile cpu"]);
    expect(&enormous, "wall = \"1s\"", &["`bad`", "compile wall"]);
}

#[test]
fn a_compilation_that_takes_too_much_memory_is_ended() {
    let nested = hostile::deep_nesting(2_000_000);
    expect(&nested, "memory = \"400Mi\"", &["`bad`", "compile memory"]);
}

#[test]
fn what_is_no_function_is_refused() {
    let hello = fs::read(guest("hello-http02")).unwrap();
    expect(&hostile::not_wasm(), "", &["`bad`", "not WebAssembly"]);
    for part in 1..8 {
        expect(hostile::truncated(&hello, part, 8), "", &["bad"]);
    }
    expect(&hostile::exports_nothing(), "", &["bad"]);
    expect(&hostile::imports_unknown_function(), "", &["bad"]);
    expect(&hostile::imports_unknown_interface(), "", &["bad"]);
}

#[test]
fn corrupt_components_never_bring_it_down() {
    let hello = fs::read(guest("hello-http02")).unwrap();
    for seed in 0..12 {
        let bytes = hostile::corrupted(&hello, seed, 20);
        let app = TestApp::new(
            "
  functions:
    bad: { source: { file: bad.module } }
  routes:
    - { path: /bad, function: bad }
",
        );
        app.write("bad.module", &bytes);
        let state = tempfile::tempdir().unwrap();
        // Some changes leave a component that is whole: that may serve.
        if let Err(said) = Server::try_start(app.path(), state.path(), &[], &[]) {
            assert!(said.contains("bad"), "{said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    }
}

#[tokio::test]
async fn greedy_modules_end_in_their_limits() {
    let greedy = [
        ("memory", hostile::memory_of(4096), 500, "memory"),
        ("growing-table", hostile::grows_table(), 500, "tables"),
        (
            "growing-memories",
            hostile::grows_memories(8),
            500,
            "memory",
        ),
    ];
    let mut spec = "  functions:\n".to_owned();
    for (name, ..) in &greedy {
        spec.push_str(&format!(
            "    {name}: {{ source: {{ file: {name}.module }} }}\n"
        ));
    }
    spec.push_str("  routes:\n");
    for (name, ..) in &greedy {
        spec.push_str(&format!("    - {{ path: /{name}, function: {name} }}\n"));
    }
    let app = TestApp::new(&spec);
    for (name, bytes, ..) in &greedy {
        app.write(&format!("{name}.module"), bytes);
    }
    let server = Server::start(app.path(), &[]);
    for (name, _, status, limit) in greedy {
        let reply = server.get(&format!("/{name}")).await;
        expect_problem(&reply, name, status, "limit", Some(limit));
    }
}

#[test]
fn a_table_beyond_what_the_node_has_is_told_at_the_start() {
    let words = ["`bad`", "table", "2000000", "1048576"];
    expect(&hostile::table_of(2_000_000), "", &words);
}

#[tokio::test]
async fn a_program_that_no_rust_had_a_part_in_runs() {
    if strand_tests::allowed_to_miss("clang") {
        return;
    }
    let app = TestApp::new(
        "
  functions:
    wc: { source: { file: wc.wasm } }
  routes:
    - { path: \"/wc/{label}\", function: wc, command: { args: [\"-n\", \"{query.n=1}\", \"{path.label}\"], contentType: text/plain } }
",
    );
    let server = Server::start(app.path(), &[]);
    let reply = server.post("/wc/x?n=2", "a b\nc\n").await;
    assert_eq!(reply.text(), "2 3 6 x\n2 3 6 x\n", "{reply:?}");
    assert_eq!(reply.headers["content-type"], "text/plain");
}

#[tokio::test]
async fn an_instance_counts_as_many_times_as_it_has_memories() {
    let app = TestApp::new(
        "
  functions:
    eight: { source: { file: eight.module } }
  routes:
    - { path: /eight, function: eight }
",
    );
    app.write("eight.module", hostile::grows_memories(8));
    // A pool of so many places, each with one memory.
    for (places, status, limit) in [(7, 503, "concurrency"), (8, 500, "memory")] {
        let config = format!("[engine]\ninstances = {places}\n");
        let config = app.write("node.toml", config);
        let server = Server::start(app.path(), &["--config", config.to_str().unwrap()]);
        let reply = server.get("/eight").await;
        expect_problem(&reply, "eight", status, "limit", Some(limit));
        assert!(
            status == 500 || reply.json()["value"] == "7",
            "{:?}",
            reply.json()
        );
    }
}
