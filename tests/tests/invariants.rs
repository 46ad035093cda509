//! Rules of the code base that no compiler checks.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

#[test]
fn unsafe_stands_in_one_module() {
    let root = workspace();
    let mut files = Vec::new();
    for dir in ["crates", "xtask", "tests/src", "tests/s3-server"] {
        sources(&root.join(dir), &mut files);
    }
    assert!(files.len() > 50, "{} files", files.len());
    let allowing: Vec<_> = files
        .iter()
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            ["allow(unsafe_code", "expect(unsafe_code"]
                .iter()
                .any(|exception| text.contains(exception))
        })
        .map(|path| path.strip_prefix(&root).unwrap().to_owned())
        .collect();
    assert_eq!(allowing, [Path::new("crates/engine/src/mapping.rs")]);
}

#[test]
fn the_serving_process_has_no_way_to_compile() {
    let root = workspace();
    let mut files = Vec::new();
    sources(&root.join("crates"), &mut files);
    let compiling: Vec<_> = files
        .iter()
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            [
                "Component::new(",
                "Component::from_",
                "Module::new(",
                "precompile_component(",
            ]
            .iter()
            .any(|call| text.contains(call))
        })
        .map(|path| path.strip_prefix(&root).unwrap().to_owned())
        .collect();
    assert_eq!(compiling, [Path::new("crates/compiler/src/child.rs")]);
}

#[test]
fn the_engine_opens_nothing_of_an_app_s() {
    let root = workspace();
    let mut files = Vec::new();
    sources(&root.join("crates/engine/src"), &mut files);
    let opening: Vec<_> = files
        .iter()
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            ["std::fs", "std::net", "tokio::fs", "tokio::net", "cap_std"]
                .iter()
                .any(|way| text.contains(way))
        })
        .map(|path| path.strip_prefix(&root).unwrap().to_owned())
        .collect();
    // Both look at the system: whether there is swap, and memory that is a file.
    let looking = [
        "crates/engine/src/config.rs",
        "crates/engine/src/mapping.rs",
    ];
    assert!(
        opening
            .iter()
            .all(|file| looking.iter().any(|look| file == Path::new(look))),
        "{opening:?}"
    );
}

/// What ARCHITECTURE.md says that a test holds, one does.
#[test]
fn the_tests_that_are_named_are_there() {
    let root = workspace();
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once("## Invariants").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let mut named = 0;
    for name in table.split('`').skip(1).step_by(2) {
        let parts: Vec<&str> = name.split("::").collect();
        let (files, test) = match &parts[..] {
            [file, test] => (vec![format!("tests/tests/{file}.rs")], test),
            [krate, modules @ .., "tests", test] => {
                let module = format!("crates/{krate}/src/{}", modules.join("/"));
                let files = vec![format!("{module}.rs"), format!("{module}/tests.rs")];
                (files, test)
            }
            [krate, "tests", file, test] => {
                (vec![format!("crates/{krate}/src/tests/{file}.rs")], test)
            }
            [krate, file, test] => (vec![format!("crates/{krate}/tests/{file}.rs")], test),
            _ => continue,
        };
        let read = |file: &String| fs::read_to_string(root.join(file)).ok();
        let sources: Vec<_> = files.iter().filter_map(read).collect();
        if sources.is_empty() {
            continue;
        }
        named += 1;
        let is_there = |source: &String| source.contains(&format!("fn {test}("));
        assert!(
            sources.iter().any(is_there),
            "`{name}`: there is no such test in {files:?}"
        );
    }
    assert!(named >= 15, "{named} tests are named");
}
