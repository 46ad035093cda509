//! What people are told to write works: the tutorial of README.md, the templates, and every part of
//! the SDK. Functions are built as a reader builds them, with `strand build`.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use strand_tests::{Server, binary, client};
use tempfile::TempDir;

/// Where the SDK is for a reader whose folder is beside the repository's.
const SDK: &str = "../strand/sdk/rust";

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

/// An app's folder, which is built here.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        // What all these apps depend on is compiled once, and not again at the next run.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
        let config = format!("[build]\ntarget-dir = {:?}\n", target.to_str().unwrap());
        folder.write(".cargo/config.toml", &config);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file. In a manifest the SDK's path becomes the real one, and the versions are those
    /// that the SDK is tested with: nothing is looked up.
    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        let parent = path.parent().unwrap();
        fs::create_dir_all(parent).unwrap();
        let sdk = repository().join("sdk/rust");
        if !name.ends_with("Cargo.toml") {
            return fs::write(path, text).unwrap();
        }
        assert_eq!(text.matches(SDK).count(), 1, "{name}:\n{text}");
        fs::write(&path, text.replace(SDK, sdk.to_str().unwrap())).unwrap();
        fs::copy(sdk.join("Cargo.lock"), parent.join("Cargo.lock")).unwrap();
    }

    /// Copies a crate's folder of the repository.
    fn copy(&self, from: &str, to: &str) {
        for file in ["Cargo.toml", "src/lib.rs", "directive.yaml"] {
            let text = fs::read_to_string(repository().join(from).join(file)).unwrap();
            self.write(&format!("{to}{file}"), &text);
        }
    }

    fn change(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path().join(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}:\n{text}");
        self.write(name, &text.replace(from, to));
    }

    /// Runs the binary in the folder, as a reader does.
    fn strand(&self, verb: &str) -> Output {
        Command::new(binary())
            .arg(verb)
            .current_dir(self.path())
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap()
    }

    /// Builds it. It has all grants that it needs, and no others.
    fn build(&self) {
        for verb in ["build", "check"] {
            let output = self.strand(verb);
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "strand {verb}:\n{said}");
            assert!(!said.contains("warning:"), "strand {verb}:\n{said}");
        }
    }

    fn serve(&self) -> Server {
        Server::start(self.path(), &[])
    }
}

/// The code blocks of a section of README.md, each with its language.
fn blocks(heading: &str) -> Vec<(String, String)> {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let mut lines = readme.lines().skip_while(|line| *line != heading);
    assert_eq!(lines.next(), Some(heading), "README.md has another heading");
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let code = lines.by_ref().take_while(|line| *line != "```");
            let code: String = code.flat_map(|line| [line, "\n"]).collect();
            blocks.push((language.to_owned(), code));
        } else if line.starts_with('#') {
            break;
        }
    }
    blocks
}

/// The blocks of a language.
fn of(blocks: &[(String, String)], language: &str) -> Vec<String> {
    let of_it = blocks.iter().filter(|(its, _)| its == language);
    of_it.map(|(_, code)| code.clone()).collect()
}

/// What a command is shown to say.
fn shown(blocks: &[(String, String)], command: &str) -> String {
    let consoles = of(blocks, "console");
    let prompt = format!("$ {command}\n");
    let said = consoles.iter().find_map(|code| code.strip_prefix(&prompt));
    said.unwrap_or_else(|| panic!("no `{command}` in {consoles:?}"))
        .to_owned()
}

#[tokio::test]
async fn the_tutorial_does_what_it_says() {
    let folder = Folder::new();
    let written = blocks("### Write a function");
    for (language, file) in [
        ("yaml", "directive.yaml"),
        ("toml", "Cargo.toml"),
        ("rust", "src/lib.rs"),
    ] {
        let code = of(&written, language);
        assert_eq!(code.len(), 1, "blocks of {language}");
        folder.write(file, &code[0]);
    }
    folder.build();
    let server = folder.serve();
    let reply = server.get("/").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let said = shown(&written, "curl http://127.0.0.1:8080/");
    assert_eq!(reply.text(), said);
    drop(server);

    // The limit as it is shown, with its mistake.
    let limited = blocks("### Meet a limit");
    let lines = of(&limited, "yaml").remove(0);
    let limits = lines.lines().last().unwrap();
    let before: String = lines.lines().take(2).flat_map(|l| [l, "\n"]).collect();
    assert_eq!(lines, format!("{before}{limits}\n"));
    folder.change("directive.yaml", &before, &lines);
    let output = folder.strand("check");
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, shown(&limited, "strand check"));

    folder.change("directive.yaml", "32MB", "32Mi");
    folder.build();
    let server = folder.serve();
    let reply = server.get("/spin").await;
    let said = shown(&limited, "curl -i http://127.0.0.1:8080/spin");
    let json = said.lines().find(|line| line.starts_with('{')).unwrap();
    let mut expected: Value = serde_json::from_str(json).unwrap();
    let status = format!("HTTP/1.1 {}", reply.status);
    assert_eq!(said.lines().next(), Some(status.as_str()));
    for field in ["content-type", "x-request-id"] {
        assert!(said.contains(&format!("\n{field}: ")), "{field}");
        assert!(reply.headers.contains_key(field), "{field}: {reply:?}");
    }
    assert_eq!(
        reply.headers["content-type"], "application/problem+json",
        "{reply:?}"
    );
    // Each request has its own.
    expected["instance"] = reply.headers["x-request-id"].to_str().unwrap().into();
    assert_eq!(reply.json(), expected);
    // One that spins takes nothing from the others.
    assert_eq!(server.get("/").await.status, 200);
}

#[tokio::test]
async fn the_templates_are_functions() {
    let http = Folder::new();
    http.copy("sdk/templates/http", "");
    http.build();
    let server = http.serve();
    assert_eq!(server.get("/").await.text(), "Hello, world!\n");
    let reply = server.get("/?name=Ada+L.&name=Bo").await;
    assert_eq!(reply.text(), "Hello, Ada L.!\n");
    drop(server);

    let task = Folder::new();
    task.copy("sdk/templates/task", "");
    task.build();
    let server = task.serve();
    assert_eq!(server.post("/", "quiet").await.text(), "QUIET");
    let reply = server.post("/", vec![0xff]).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.problem().0, "task-failure");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("the input is to be UTF-8"), "{detail}");
}

#[tokio::test]
async fn every_part_of_the_sdk_does_what_it_says() {
    let peer = Folder::new();
    peer.copy("sdk/templates/http", "");
    peer.build();
    let peer = peer.serve();
    let folder = Folder::new();
    folder.copy("sdk/tests/everything", "");
    folder.copy("sdk/templates/task", "shout/");
    folder.change("directive.yaml", "https://peer.example.org", &peer.url(""));
    folder.build();
    let mut server = folder.serve();

    let reply = server.get("/about?name=Ada+L.&x=%2F").await;
    let id = reply.headers["x-request-id"].to_str().unwrap();
    let about = |method: &str, body: bool| {
        format!(
            "Method::{method} /about?name=Ada+L.&x=%2F [name=Ada+L.&x=%2F] \
             name=Some(\"Ada L.\") id=Some(\"{id}\") body={body}"
        )
    };
    assert_eq!(reply.text(), about("Get", true) + "\n");
    let head = client()
        .head(server.url("/about?name=Ada+L.&x=%2F"))
        .header("x-request-id", id);
    let reply = server.send(head).await;
    assert_eq!(reply.headers["about"], about("Head", false));
    let length = about("Head", false).len() + 1;
    assert_eq!(reply.headers["content-length"], length.to_string());

    // More than waits between the two sides.
    let large: Vec<u8> = (0..1_000_000u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    let reply = server.post("/echo", large.clone()).await;
    assert!(reply.body == large && !reply.aborted);
    assert_eq!(
        server.post("/short", "0123456789").await.text(),
        "0123456789"
    );
    let reply = server.post("/short", "0123456789a").await;
    assert_eq!(reply.problem(), ("guest-fault".into(), None));
    server.wait_for_line(|line| line.contains("the body is longer than 10 bytes"));

    let reply = server.get("/settings").await;
    let expected = "Some(\"hello\") None [(\"greeting\", \"hello\")]\n";
    assert_eq!(reply.text(), expected);
    let line = server.wait_for_line(|line| line.contains("settings were asked for"));
    assert!(line.contains("WARN"), "{line}");

    let reply = server.post("/blobs", "some text").await;
    let mut lines = reply.text().lines();
    let expected = "true ome [\"empty\", \"streamed\", \"whole\"] [9, 0] true";
    assert_eq!(lines.next(), Some(expected), "{reply:?}");
    let expected = "files/whole has 9 bytes, more than the 8 that are taken";
    assert_eq!(lines.next(), Some(expected), "{reply:?}");
    assert!(lines.next().unwrap().starts_with("other: "), "{reply:?}");

    assert_eq!(
        server.post("/calls", "quiet").await.text(),
        "200 QUIET true\n"
    );
    let expected: String = (0..20)
        .map(|k| {
            let status = if k == 7 { 404 } else { 200 };
            format!("{status} Some(\"{k}\") {}", format!("{k} ").repeat(100_000))
        })
        .collect();
    let reply = server.get("/many").await;
    assert!(reply.text() == expected + "Some(200) true\n" && !reply.aborted);
    let url = peer.url("/%3Fname=Bo%23x");
    let reply = server.get(&format!("/fetch?url={url}")).await;
    let expected = "200 Some(\"text/plain; charset=utf-8\") Hello, Bo!\ntrue true\n";
    assert_eq!(reply.text(), expected);

    let reply = server.get("/silent").await;
    assert_eq!(reply.problem(), ("guest-fault".into(), None));
    let reply = server.get("/broken").await;
    assert!(reply.aborted, "{reply:?}");
    assert_eq!(reply.text(), "the first part\n");
    server.wait_for_line(|line| line.contains("there is no second part"));
    assert_eq!(server.get("/nothing").await.status, 404);
}
