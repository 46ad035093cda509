//! What is in memory of functions, and when; what a start looks at.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use strand_tests::{Server, TestApp, Watch, client, guest};

const SPEC: &str = "
  functions:
    two: { source: { file: hello-http02.wasm } }
    three: { source: { file: hello-http03.wasm } }
    probe:
      source: { file: probe02.wasm }
      grants: { blobs: { data: [read] } }
    again:
      source: { file: probe03.wasm }
      grants: { blobs: { data: [read] } }
      instance: { reuse: 1000, concurrency: 4 }
  resources: { blobs: { data: { dev: ./data } } }
  routes:
    - { path: /two, function: two }
    - { path: /three, function: three }
    - { path: \"/bytes/{n}\", function: again }
    - { path: \"/{*rest}\", function: probe }
";

/// An app, and the files of its functions.
fn app(spec: &str) -> (TestApp, Vec<PathBuf>) {
    let app = TestApp::new(spec);
    app.write("data/nothing", "");
    let files = fs::read_dir(app.path()).unwrap();
    let files = files
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .collect();
    (app, files)
}

/// Waits until files are so old that whoever reads them may know them from then on: two seconds, as
/// file systems have clocks of up to that.
async fn settle(files: &[PathBuf]) {
    const SETTLED: Duration = Duration::from_millis(2_200);
    for file in files {
        let changed = fs::metadata(file).unwrap().modified().unwrap();
        let age = SystemTime::now()
            .duration_since(changed)
            .unwrap_or_default();
        tokio::time::sleep(SETTLED.saturating_sub(age)).await;
    }
}

fn watch(files: &[PathBuf]) -> Watch {
    Watch::new(files.iter().map(PathBuf::as_path))
}

async fn loaded(server: &Server) -> f64 {
    server.metric("strand_functions_loaded").await
}

#[tokio::test]
async fn code_comes_when_it_is_called() {
    let (app, _) = app(SPEC);
    let server = Server::start(app.path(), &[]);
    assert_eq!(loaded(&server).await, 0.0);
    assert_eq!(server.metric("strand_code_bytes").await, 0.0);
    assert_eq!(server.get("/two").await.text(), "Hello from WASI 0.2!\n");
    assert_eq!(loaded(&server).await, 1.0);
    let one = server.metric("strand_code_bytes").await;
    assert!(one > 0.0);
    assert_eq!(server.get("/three").await.text(), "Hello from WASI 0.3!\n");
    assert_eq!(loaded(&server).await, 2.0);
    assert!(server.metric("strand_code_bytes").await > one);
    for _ in 0..5 {
        assert_eq!(server.get("/two").await.status, 200);
    }
    assert_eq!(server.metric("strand_code_loads_total").await, 2.0);
}

#[tokio::test]
async fn a_first_call_of_many_at_once_loads_once() {
    let (app, _) = app(SPEC);
    let server = Server::start(app.path(), &[]);
    let calls = (0..32).map(|_| {
        let request = client().get(server.url("/two"));
        tokio::spawn(async move { request.send().await.unwrap().status() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(server.metric("strand_code_loads_total").await, 1.0);
}

#[tokio::test]
async fn under_pressure_code_goes_and_comes_and_every_answer_is_right() {
    const ROUNDS: u32 = 6;
    let (app, _) = app(SPEC);
    // Room for none of them beside another one.
    let config = app.write("node.toml", "[engine]\ncode = \"0\"\n");
    let server = Server::start(app.path(), &["--config", config.to_str().unwrap()]);
    // One that runs all the while stays, and hears nothing of it.
    let running = client().get(server.url("/sleep/3000"));
    let running = tokio::spawn(async move { running.send().await.unwrap().status() });
    server
        .wait_for_metric("strand_instances", |live| live == 1.0)
        .await;
    for _ in 0..ROUNDS {
        let clients = (0..8).map(|first: usize| {
            let client = client();
            let urls = ["/two", "/three", "/bytes/100000"].map(|path| server.url(path));
            tokio::spawn(async move {
                for turn in 0..12 {
                    let which = (first + turn) % urls.len();
                    let answer = client.get(&urls[which]).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    let body = answer.bytes().await.unwrap();
                    match which {
                        0 => assert_eq!(body, "Hello from WASI 0.2!\n"),
                        1 => assert_eq!(body, "Hello from WASI 0.3!\n"),
                        _ => assert_eq!(body.len(), 100_000),
                    }
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        // All of them go but the one that runs.
        server
            .wait_for_metric("strand_functions_loaded", |loaded| loaded <= 1.0)
            .await;
    }
    assert_eq!(running.await.unwrap(), 200);
    let loads = server.metric("strand_code_loads_total").await;
    assert!(loads >= f64::from(1 + 3 * ROUNDS), "{loads}");
    // What calls kept over the limit goes when they are gone.
    server
        .wait_for_metric("strand_code_bytes", |bytes| bytes == 0.0)
        .await;
    assert_eq!(loaded(&server).await, 0.0);
}

#[tokio::test]
async fn what_is_called_stays_while_others_come_and_go() {
    let (app, _) = app(SPEC);
    let measured = Server::start(app.path(), &[]);
    for path in ["/two", "/three", "/env"] {
        assert_eq!(measured.get(path).await.status, 200);
    }
    let all = measured.metric("strand_code_bytes").await;
    drop(measured);
    // Room for two of the three: the large one and either of the small ones.
    let text = format!("[engine]\ncode = \"{}\"\n", all as u64 - 1);
    let config = app.write("node.toml", text);
    let server = Server::start(app.path(), &["--config", config.to_str().unwrap()]);
    for _ in 0..5 {
        for path in ["/env", "/two", "/env", "/three"] {
            assert_eq!(server.get(path).await.status, 200);
            // An answer is there a moment before its call has let go of the code.
            server
                .wait_for_metric("strand_instances", |live| live == 0.0)
                .await;
            // Which call was later is told by the millisecond.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    // The small ones ten times, the large one once.
    assert_eq!(server.metric("strand_code_loads_total").await, 11.0);
    assert!(server.metric("strand_code_bytes").await < all);
}

#[tokio::test]
async fn a_start_reads_no_file_that_it_knows() {
    let (app, files) = app(SPEC);
    let state = tempfile::tempdir().unwrap();
    let state = state.path();
    settle(&files).await;
    let mut sources = watch(&files);
    let start = || Server::start_with_state(app.path(), state, &[], &[]);
    drop(start());
    assert_eq!(sources.opened(), 4, "the first start reads each of them");
    let artifacts = state.join("artifacts");
    let mut artifacts = Watch::new([artifacts.as_path()]);
    let known = start();
    assert_eq!(sources.opened(), 0);
    assert_eq!(artifacts.opened(), 0);
    assert_eq!(
        known
            .metric("strand_compilations_total{result=\"cached\"}")
            .await,
        4.0
    );
    assert_eq!(known.get("/two").await.status, 200);
    assert_eq!((sources.opened(), artifacts.opened()), (0, 1));
    drop(known);

    // Without it, or with one that somebody changed, a start is as the first one was.
    let index = state.join("sources");
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&index, bytes).unwrap();
    let mut server = start();
    server.wait_for_line(|line| line.contains("is not to be trusted"));
    assert_eq!(sources.opened(), 4);
    assert_eq!(
        server
            .metric("strand_compilations_total{result=\"compiled\"}")
            .await,
        0.0
    );
    assert_eq!(server.get("/three").await.status, 200);
    drop(server);
    drop(start());
    assert_eq!(sources.opened(), 0, "it has learnt them again");
    fs::remove_file(&index).unwrap();
    drop(start());
    assert_eq!(sources.opened(), 4);
}

const ONE: &str = "
  functions:
    f: { source: { file: hello-http02.wasm } }
  routes:
    - { path: /, function: f }
";

/// A node that knows its one function's file, which it has not read at this start; the file.
async fn knowing(app: &TestApp, files: &[PathBuf], state: &Path) -> (Server, PathBuf) {
    settle(files).await;
    drop(Server::start_with_state(app.path(), state, &[], &[]));
    let mut sources = watch(files);
    let server = Server::start_with_state(app.path(), state, &[], &[]);
    assert_eq!(sources.opened(), 0);
    (server, files[0].clone())
}

#[tokio::test]
async fn a_file_that_was_changed_is_read_at_the_next_start() {
    let (app, files) = app(ONE);
    let state = tempfile::tempdir().unwrap();
    let (server, file) = knowing(&app, &files, state.path()).await;
    fs::copy(guest("hello-http03"), &file).unwrap();
    // This node serves what it started with.
    assert_eq!(server.get("/").await.text(), "Hello from WASI 0.2!\n");
    drop(server);
    let server = Server::start_with_state(app.path(), state.path(), &[], &[]);
    assert_eq!(server.get("/").await.text(), "Hello from WASI 0.3!\n");
}

#[tokio::test]
async fn code_that_is_gone_is_made_again_of_what_was_there_at_the_start() {
    let (app, files) = app(ONE);
    let state = tempfile::tempdir().unwrap();
    let (mut server, file) = knowing(&app, &files, state.path()).await;
    let compiled = "strand_compilations_total{result=\"compiled\"}";
    fs::remove_dir_all(state.path().join("artifacts")).unwrap();
    let source = fs::read(&file).unwrap();
    fs::copy(guest("hello-http03"), &file).unwrap();
    let reply = server.get("/").await;
    assert_eq!(reply.status, 500);
    assert_eq!(reply.problem(), ("host-fault".into(), None));
    server.wait_for_line(|line| line.contains("has changed since the node started"));
    fs::remove_file(&file).unwrap();
    assert_eq!(server.get("/").await.status, 500);
    server.wait_for_line(|line| line.contains("its compiled code is gone"));
    assert_eq!(server.metric(compiled).await, 0.0);
    // A failure is not for ever.
    fs::write(&file, source).unwrap();
    assert_eq!(server.get("/").await.text(), "Hello from WASI 0.2!\n");
    assert_eq!(server.metric(compiled).await, 1.0);
}

#[tokio::test]
async fn code_that_was_tampered_with_since_the_start_is_made_again() {
    let (app, files) = app(ONE);
    let state = tempfile::tempdir().unwrap();
    let (mut server, _) = knowing(&app, &files, state.path()).await;
    let artifacts = fs::read_dir(state.path().join("artifacts")).unwrap();
    for artifact in artifacts.map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&artifact).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&artifact, bytes).unwrap();
    }
    assert_eq!(server.get("/").await.text(), "Hello from WASI 0.2!\n");
    server.wait_for_line(|line| line.contains("not to be trusted"));
    assert_eq!(
        server
            .metric("strand_compilations_total{result=\"compiled\"}")
            .await,
        1.0
    );
}
