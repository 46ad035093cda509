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
            fs::read_to_string(path)
                .unwrap()
                .contains("allow(unsafe_code)")
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
