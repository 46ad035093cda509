//! Several apps on one node.

#![allow(clippy::unwrap_used)]

use std::fs;

use strand_tests::{Reply, Server, TestApp, client};
use tempfile::TempDir;

/// An app of this name with a function that says hello at some path, and one that is asked for more.
fn app(name: &str, hosts: &str, hello: &str, probed: bool) -> TestApp {
    let probe = if probed {
        "    - { path: /config, function: probe }
    - { path: \"/blob/{*rest}\", function: probe }
    - { path: \"/call/{*rest}\", function: probe }
"
    } else {
        ""
    };
    let app = TestApp::new(&format!(
        "{hosts}
  functions:
    hello: {{ source: {{ file: hello-http02.wasm }} }}
    probe:
      source: {{ file: probe02.wasm }}
      grants: {{ blobs: {{ data: [read, write] }}, functions: [hello] }}
      config: {{ greeting: {name} }}
  resources: {{ blobs: {{ data: {{ dev: ./data }} }} }}
  routes:
    - {{ path: {hello}, function: hello }}
{probe}"
    ));
    let file = app.path().join("directive.yaml");
    let directive = fs::read_to_string(file).unwrap();
    app.write(
        "directive.yaml",
        directive.replace("name: test", &format!("name: {name}")),
    );
    app.write("data/nothing", "");
    app
}

/// A node with these apps, in this order, and its state folder.
fn start(apps: &[&TestApp], args: &[&str]) -> Result<(Server, TempDir), String> {
    let state = tempfile::tempdir().unwrap();
    let (last, before) = apps.split_last().unwrap();
    let before = before.iter().map(|app| app.path().to_str().unwrap());
    let args: Vec<_> = args.iter().copied().chain(before).collect();
    let server = Server::try_start(last.path(), &state.path().join("state"), &args, &[])?;
    Ok((server, state))
}

async fn get(server: &Server, host: &str, path: &str) -> Reply {
    let request = client().get(server.url(path)).header("host", host);
    server.send(request).await
}

#[tokio::test]
async fn each_host_has_its_app() {
    let one = app(
        "one",
        "  hosts: [one.example, www.one.example]\n",
        "/",
        true,
    );
    let two = app("two", "  hosts: [\"*.example\"]\n", "/", true);
    let other = app("other", "", "/", true);
    let (server, _state) = start(&[&one, &two, &other], &[]).unwrap();
    for (host, greeting) in [
        ("one.example", "one"),
        ("One.example:8080", "one"),
        ("www.one.example", "one"),
        ("two.example", "two"),
        ("a.b.example", "two"),
        ("127.0.0.1", "other"),
        ("example", "other"),
    ] {
        let reply = get(&server, host, "/config").await;
        let said = reply.text();
        assert!(
            said.contains("greeting") && said.contains(greeting),
            "{host}: {said}"
        );
    }
    // No other app's routes.
    assert_eq!(get(&server, "one.example", "/nothing").await.status, 404);
    let status = server.send(
        client()
            .get(server.admin_url("/v1/status"))
            .bearer_auth(server.token()),
    );
    let names: Vec<_> = status.await.json()["apps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|app| app["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["one", "two", "other"]);
}

#[tokio::test]
async fn apps_of_one_host_are_told_apart_by_their_paths() {
    let one = app("one", "", "/hello", false);
    let two = app("two", "", "/", true);
    let (mut server, _state) = start(&[&one, &two], &[]).unwrap();
    for (path, app) in [("/hello", "one"), ("/", "two")] {
        let reply = server.get(path).await;
        assert_eq!(reply.text(), "Hello from WASI 0.2!\n", "{app}");
        let id = reply.headers["x-request-id"].to_str().unwrap();
        let line = server.wait_for_line(|line| line.contains(id) && line.contains("\"access\""));
        assert!(line.contains(&format!("\"app\":\"{app}\"")), "{line}");
    }
    // A function calls those of its own app.
    let reply = server.get("/call/hello/").await;
    assert_eq!(reply.text(), "Hello from WASI 0.2!\n");
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    let one = app("one", "", "/", true);
    let same = app("one", "  hosts: [a.example]\n", "/", true);
    let log = start(&[&one, &same], &[]).err().unwrap();
    assert!(
        log.contains("are both named `one`; change `metadata.name` of one"),
        "{log}"
    );
    let two = app("two", "", "/", true);
    let log = start(&[&one, &two], &[]).err().unwrap();
    assert!(
        log.contains("the routes `/` of app `two` and `/` of app `one`"),
        "{log}"
    );
    assert!(log.contains("tell the apps apart by `spec.hosts`"), "{log}");
}

#[tokio::test]
async fn resources_are_bound_by_app() {
    let one = app("one", "  hosts: [one.example]\n", "/", true);
    let two = app("two", "  hosts: [two.example]\n", "/", true);
    let apps = [&one, &two];
    let log = start(&apps, &["--bind", "blobs.data=memory:"])
        .err()
        .unwrap();
    assert!(
        log.contains("say of which app, as in `--bind one/blobs.data=…`"),
        "{log}"
    );
    let log = start(&apps, &["--bind", "tow/blobs.data=memory:"])
        .err()
        .unwrap();
    assert!(
        log.contains("there is no app `tow`; did you mean `two`? (there is one, two)"),
        "{log}"
    );
    let (server, _state) = start(&apps, &["--bind", "one/blobs.data=memory:"]).unwrap();
    for name in ["one", "two"] {
        let host = format!("{name}.example");
        let url = server.url("/blob/write/data/x");
        let write = client().post(url).header("host", host).body("text");
        let reply = server.send(write).await;
        assert!(reply.status.is_success(), "{reply:?}");
    }
    // That of one is in memory, that of two in its folder.
    assert!(!one.path().join("data/x").exists());
    assert!(two.path().join("data/x").exists());
}
