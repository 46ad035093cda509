//! Modules that are made to exhaust the compiler, or are no modules: `strand up`
//! fails with the function and the limit named.

#![allow(clippy::unwrap_used)]

use std::fs;

use strand_hostile_modules as hostile;
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
    expect(&hostile::not_wasm(), "", &["`bad`", "not a WebAssembly"]);
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
