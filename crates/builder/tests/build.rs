//! Compiles tiny guests with whatever toolchain this machine has. Where there is none, these
//! tests fail with the command that gets one.
#![allow(clippy::unwrap_used)] // a test's panic is its report

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use strand_builder::{BuildError, Toolchain, build_app, workspace};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A new folder for guests whose target directory is this workspace's, so that a standard library
/// which has to be built is built once and not in every test.
fn scratch(test: &str) -> PathBuf {
    let target_tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = target_tmp.join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join(".cargo")).unwrap();
    let target = target_tmp.parent().unwrap();
    fs::write(
        folder.join(".cargo/config.toml"),
        format!("[build]\ntarget-dir = {target:?}\n"),
    )
    .unwrap();
    folder
}

/// As in the workspaces of guests: a standard library that has to be built can then be theirs.
const PROFILE: &str = "[profile.release]\nopt-level = 3\nlto = true\ncodegen-units = 1\n\
                       panic = \"abort\"\nstrip = true\n";

fn write_crate(folder: &Path, name: &str, manifest: &str, file: &str, source: &str) {
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n{manifest}\n\n[workspace]\n\n{PROFILE}"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src").join(file), source).unwrap();
}

/// Found once: tests run at the same time, and two `rustup target add` would get in each other's way.
fn toolchain() -> &'static Toolchain {
    static FOUND: OnceLock<Toolchain> = OnceLock::new();
    FOUND.get_or_init(|| match Toolchain::find(&|line| eprintln!("{line}")) {
        Ok(toolchain) => toolchain,
        Err(error) => panic!("{error}"),
    })
}

fn contains(file: &Path, text: &str) -> bool {
    let bytes = fs::read(file).unwrap();
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[test]
fn a_library_and_a_program_become_components() {
    let app = scratch("components");
    write_crate(
        &app.join("library"),
        "strand-test-library",
        "[lib]\ncrate-type = [\"cdylib\"]",
        "lib.rs",
        "#[unsafe(no_mangle)]\npub extern \"C\" fn reactor_of_the_test() {\n    \
         println!(\"words of the library\");\n}\n",
    );
    write_crate(
        &app.join("program"),
        "strand-test-program",
        "",
        "main.rs",
        "fn main() {\n    println!(\"words of the program\");\n}\n",
    );
    let functions = [
        ("called", "library"),
        ("run", "program"),
        ("again", "library"),
    ];
    let functions = functions.map(|(name, folder)| (name, Path::new(folder)));
    let built = build_app(toolchain(), &app, functions, &|line| eprintln!("{line}")).unwrap();

    let names: Vec<_> = built.iter().map(|b| b.function.as_str()).collect();
    assert_eq!(names, ["called", "run", "again"]);
    for one in &built {
        assert!(
            fs::read(&one.path).unwrap().starts_with(COMPONENT),
            "{one:?}"
        );
        let guests = one.path.ancestors().any(|a| a.ends_with("strand-guests"));
        assert!(guests, "outside the guests' target directory: {one:?}");
    }
    assert_eq!(built[0].path, built[2].path);
    assert!(contains(&built[0].path, "words of the library"));
    assert!(contains(&built[1].path, "words of the program"));
    // What a command exports, and a reactor does not.
    assert!(contains(&built[1].path, "wasi:cli/run@0.2"));
    assert!(!contains(&built[0].path, "wasi:cli/run@0.2"));
}

#[test]
fn a_crate_that_asks_becomes_a_core_module() {
    let folder = scratch("module");
    write_crate(
        &folder,
        "strand-test-module",
        "[package.metadata.strand]\ntarget = \"wasm32-wasip1\"",
        "main.rs",
        "fn main() {\n    println!(\"words of the module\");\n}\n",
    );
    let path = toolchain()
        .build(&folder, &|line| eprintln!("{line}"))
        .unwrap();
    assert!(fs::read(&path).unwrap().starts_with(MODULE));
    assert!(contains(&path, "wasi_snapshot_preview1"));
    assert!(contains(&path, "_start"));
}

#[test]
fn an_error_names_the_function_the_crate_and_the_command() {
    let app = scratch("broken");
    write_crate(
        &app.join("bad"),
        "strand-test-bad",
        "",
        "main.rs",
        "fn main() {\n    not_there();\n}\n",
    );
    let functions = [("f", Path::new("bad"))];
    let error = build_app(toolchain(), &app, functions, &|_| {}).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("function `f`, crate "), "{text}");
    assert!(
        text.contains("crate `strand-test-bad` does not build"),
        "{text}"
    );
    assert!(
        text.contains("cargo rustc --release --package strand-test-bad --bin"),
        "{text}"
    );
}

#[test]
fn folders_that_are_no_function_are_told_apart() {
    let folder = scratch("refused");
    let toolchain = toolchain();
    let build = |name: &str| toolchain.build(&folder.join(name), &|_| {}).unwrap_err();

    let text = build("missing").to_string();
    assert!(text.contains("missing: No such file"), "{text}");

    fs::create_dir(folder.join("empty")).unwrap();
    let text = build("empty").to_string();
    assert!(text.contains("empty has no Cargo.toml"), "{text}");

    write_crate(&folder.join("plain"), "strand-test-plain", "", "lib.rs", "");
    let error = build("plain");
    assert!(
        matches!(error, BuildError::NotAFunction { .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("`strand-test-plain`") && text.contains("only a library"),
        "{text}"
    );

    let group = folder.join("group");
    fs::create_dir(&group).unwrap();
    fs::write(group.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\n").unwrap();
    let error = build("group");
    assert!(matches!(error, BuildError::NotACrate { .. }), "{error:?}");
}

#[test]
fn a_workspace_tells_its_members_and_where_it_builds() {
    let folder = scratch("members");
    let members = "[workspace]\nresolver = \"3\"\nmembers = [\"runs\", \"lib\"]\n";
    fs::write(folder.join("Cargo.toml"), members).unwrap();
    for (name, file, source) in [("runs", "main.rs", "fn main() {}"), ("lib", "lib.rs", "")] {
        fs::create_dir_all(folder.join(name).join("src")).unwrap();
        let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n");
        fs::write(folder.join(name).join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join(name).join("src").join(file), source).unwrap();
    }
    let workspace = workspace(&folder).unwrap();
    assert!(workspace.target_directory.is_absolute());
    let members: Vec<_> = workspace
        .members
        .iter()
        .map(|member| (member.name.as_str(), member.runs))
        .collect();
    assert_eq!(members, [("lib", false), ("runs", true)]);
}
