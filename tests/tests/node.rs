//! A node's life: starts warm and cold, administration, drain.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::Duration;

use strand_tests::{Server, Signal, TestApp, client, read};

fn spec(probe: &str, instance: &str) -> String {
    format!(
        "
  functions:
    hello: {{ source: {{ file: hello-http02.wasm }} }}
    hello3: {{ source: {{ file: hello-http03.wasm }} }}
    probe:
      source: {{ file: {probe}.wasm }}
      instance: {instance}
      grants: {{ blobs: {{ data: [read, write] }}, functions: [hello, probe] }}
      config: {{ greeting: hi }}
      env: {{ COLOUR: red }}
    plain: {{ source: {{ file: {probe}.wasm }}, grants: {{ blobs: {{ data: [read] }} }} }}
  resources:
    blobs:
      data: {{ dev: ./data }}
  routes:
    - {{ path: /hello, methods: [GET], function: hello }}
    - {{ path: /hello3, function: hello3 }}
    - {{ path: /config, methods: [GET], function: plain }}
    - {{ path: /config, methods: [POST], function: probe }}
    - {{ path: \"/{{*rest}}\", function: probe }}
"
    )
}

const PROBES: [&str; 2] = ["probe02", "probe03"];

fn app(probe: &str) -> TestApp {
    TestApp::new(&spec(probe, "{ reuse: 1, concurrency: 1 }"))
}

#[tokio::test]
async fn a_warm_start_compiles_nothing() {
    let app = app("probe02");
    let state = tempfile::tempdir().unwrap();
    let cold = Server::start_with_state(app.path(), state.path(), &[], &[]);
    assert_eq!(
        cold.metric("strand_compilations_total{result=\"compiled\"}")
            .await,
        4.0
    );
    drop(cold);
    let warm = Server::start_with_state(app.path(), state.path(), &[], &[]);
    assert_eq!(
        warm.metric("strand_compilations_total{result=\"compiled\"}")
            .await,
        0.0
    );
    assert_eq!(
        warm.metric("strand_compilations_total{result=\"cached\"}")
            .await,
        4.0
    );
    assert_eq!(warm.get("/hello").await.status, 200);
}

#[tokio::test]
async fn a_tampered_artefact_is_compiled_again() {
    let app = app("probe02");
    let state = tempfile::tempdir().unwrap();
    drop(Server::start_with_state(app.path(), state.path(), &[], &[]));
    for entry in fs::read_dir(state.path().join("artifacts")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let mut server = Server::start_with_state(app.path(), state.path(), &[], &[]);
    server.wait_for_line(|line| line.contains("not to be trusted"));
    assert_eq!(
        server
            .metric("strand_compilations_total{result=\"compiled\"}")
            .await,
        4.0
    );
    assert_eq!(server.get("/hello").await.status, 200);
}

#[tokio::test]
async fn administration_needs_its_token() {
    let app = app("probe02");
    let server = Server::start(app.path(), &[]);
    let health = server
        .send(client().get(server.admin_url("/healthz")))
        .await;
    assert_eq!(health.status, 200);
    for path in ["/metrics", "/v1/status", "/nothing"] {
        let without = server.send(client().get(server.admin_url(path))).await;
        assert_eq!(without.status, 401, "{path}");
        let wrong = client()
            .get(server.admin_url(path))
            .bearer_auth("0".repeat(64));
        assert_eq!(server.send(wrong).await.status, 401, "{path}");
    }
    let request = client()
        .get(server.admin_url("/v1/status"))
        .bearer_auth(server.token());
    let status = server.send(request).await.json();
    assert_eq!(status["apps"][0]["functions"].as_array().unwrap().len(), 4);
    let request = client()
        .get(server.admin_url("/nothing"))
        .bearer_auth(server.token());
    assert_eq!(server.send(request).await.status, 404);
}

#[tokio::test]
async fn requests_in_flight_end_before_the_node_does() {
    let app = app("probe02");
    let mut server = Server::start(app.path(), &[]);
    let request = client().get(server.url("/sleep/5000"));
    let answer = tokio::spawn(async move { read(request.send().await.unwrap()).await });
    server
        .wait_for_metric("strand_instances", |live| live >= 1.0)
        .await;
    server.signal(Signal::TERM);
    server.wait_for_line(|line| line.contains("Draining"));
    let health = server
        .send(client().get(server.admin_url("/healthz")))
        .await;
    assert_eq!(health.status, 503, "{health:?}");
    let refused = client().get(server.url("/hello")).send().await;
    assert!(refused.is_err(), "new clients are refused while it drains");
    let reply = answer.await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(!reply.aborted);
    assert_eq!(server.wait(), Some(0));
}

#[tokio::test]
async fn what_does_not_end_is_cut_at_the_drain_deadline() {
    let app = app("probe02");
    let config = app.write("node.toml", "drain = \"200ms\"\n");
    let mut server = Server::start(app.path(), &["--config", config.to_str().unwrap()]);
    let request = client().get(server.url("/sleep/60000"));
    let answer = tokio::spawn(async move { request.send().await });
    server
        .wait_for_metric("strand_instances", |live| live >= 1.0)
        .await;
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    assert!(answer.await.unwrap().is_err());
}

#[tokio::test]
async fn functions_call_each_other_by_name() {
    for probe in PROBES {
        let app = app(probe);
        let server = Server::start(app.path(), &[]);
        let reply = server.get("/call/hello/").await;
        assert_eq!(
            (reply.status.as_u16(), reply.text()),
            (200, "Hello from WASI 0.2!\n"),
            "{probe}"
        );
        // The request's id goes along, so that the lines of all of them belong together.
        let reply = server.get("/call/probe/headers").await;
        let id = reply.headers["x-request-id"].to_str().unwrap();
        assert!(reply.text().contains(id), "{probe}: {reply:?}");
        for path in ["/call/hello3/", "/call/absent/"] {
            let reply = server.get(path).await;
            assert_eq!(reply.status, 502, "{probe}{path}: {reply:?}");
            assert!(reply.text().to_lowercase().contains("denied"), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn the_world_is_out_of_reach_without_a_grant() {
    for probe in PROBES {
        let app = app(probe);
        let server = Server::start(app.path(), &[]);
        let reply = server.get("/fetch?url=http://127.0.0.1:1/").await;
        assert_eq!(reply.status, 502, "{reply:?}");
        assert!(reply.text().to_lowercase().contains("denied"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_function_has_its_own_values_and_nobody_else_s() {
    for probe in PROBES {
        let app = app(probe);
        let state = tempfile::tempdir().unwrap();
        let env = [("SECRET_OF_THE_NODE", "x")];
        let server = Server::start_with_state(app.path(), state.path(), &[], &env);
        let env = server.get("/env").await.text().to_owned();
        assert!(env.contains("COLOUR") && env.contains("red"), "{env}");
        assert!(!env.contains("SECRET_OF_THE_NODE"), "{env}");
        let config = server.post("/config", "").await.text().to_owned();
        assert!(
            config.contains("greeting") && config.contains("hi"),
            "{config}"
        );
        let other = server.get("/config").await;
        assert_eq!(other.status, 200);
        assert!(!other.text().contains("greeting"), "{other:?}");
    }
}

#[tokio::test]
async fn instances_are_fresh_unless_they_are_reused() {
    for probe in PROBES {
        let app = app(probe);
        let server = Server::start(app.path(), &[]);
        for _ in 0..8 {
            assert_eq!(server.get("/count").await.text().trim(), "1", "{probe}");
        }
    }
    for (probe, instance) in [
        ("probe02", "{ reuse: 5 }"),
        ("probe03", "{ reuse: 5, concurrency: 2 }"),
        ("probe03", "{ reuse: 5, concurrency: 1 }"),
    ] {
        let app = TestApp::new(&spec(probe, instance));
        let server = Server::start(app.path(), &[]);
        let mut counts = Vec::new();
        for _ in 0..20 {
            let count = server.get("/count").await.text().trim().parse::<u32>();
            counts.push(count.unwrap());
        }
        // Each new instance begins at 1: with nobody else there, every one is used up.
        let fresh = counts.iter().filter(|count| **count == 1).count();
        assert!(fresh <= 5, "{probe} {instance}: {counts:?}");
        assert!(
            counts.iter().all(|count| *count <= 5),
            "{probe}: {counts:?}"
        );
    }
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    for probe in PROBES {
        let app = app(probe);
        let server = Server::start(app.path(), &[]);
        let body: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
        let reply = server.post("/echo", body.clone()).await;
        assert_eq!(reply.status, 200);
        assert!(reply.body == body, "{probe}: {} bytes", reply.body.len());
        let reply = server.get("/bytes/5000000").await;
        assert_eq!(reply.body.len(), 5_000_000, "{probe}");
        let right = |(i, byte): (usize, &u8)| i % 251 == usize::from(*byte);
        assert!(reply.body.iter().enumerate().all(right));
    }
}

#[tokio::test]
async fn blobs_are_read_and_written_where_they_are_bound() {
    for probe in PROBES {
        let app = app(probe);
        let around = tempfile::tempdir().unwrap();
        let bound = around.path().join("bound");
        fs::create_dir(&bound).unwrap();
        fs::write(around.path().join("outside"), "x").unwrap();
        let bind = format!("blobs.data={}", bound.display());
        let server = Server::start(app.path(), &["--bind", &bind]);
        let body: Vec<u8> = (0..300_000u32).map(|i| (i % 7) as u8).collect();
        let reply = server.post("/blob/write/data/x.bin", body.clone()).await;
        assert!(reply.status.is_success(), "{probe}: {reply:?}");
        assert_eq!(fs::read(bound.join("x.bin")).unwrap(), body);
        let reply = server.get("/blob/read/data/x.bin?start=10&end=19").await;
        assert_eq!(&reply.body[..], &body[10..20], "{probe}");
        for path in [
            "/blob/read/data/..%2Foutside",
            "/blob/read/data/%2Fetc%2Fpasswd",
            "/blob/read/data/absent",
            "/blob/read/other/x",
        ] {
            let reply = server.get(path).await;
            assert!(!reply.status.is_success(), "{probe}{path}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_ceiling_of_the_node_is_told_with_its_field() {
    let app = TestApp::new(
        "
  functions:
    hello: { source: { file: hello-http02.wasm }, limits: { memory: 512Mi } }
  routes:
    - { path: /, function: hello }
",
    );
    let config = app.write("node.toml", "[ceilings]\nmemory = \"256Mi\"\n");
    let state = tempfile::tempdir().unwrap();
    let said = Server::try_start(
        app.path(),
        state.path(),
        &["--config", config.to_str().unwrap()],
        &[],
    )
    .err()
    .expect("it must not start");
    assert!(
        said.contains("`memory: 512Mi` is more than this node's ceiling of 256Mi"),
        "{said}"
    );
}

#[tokio::test]
async fn a_spent_memory_budget_sheds() {
    let app = TestApp::new(
        "
  functions:
    hostile: { source: { file: hostile02.wasm }, limits: { memory: 512Mi } }
    hello: { source: { file: hello-http02.wasm } }
  routes:
    - { path: \"/{*rest}\", function: hostile }
    - { path: /hello, function: hello }
",
    );
    let config = app.write("node.toml", "memory = \"64Mi\"\n");
    let server = Server::start(app.path(), &["--config", config.to_str().unwrap()]);
    let reply = server.get("/alloc").await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(
        reply.problem(),
        ("limit".into(), Some("node-memory".into()))
    );
    assert!(reply.headers.contains_key("retry-after"));
    tokio::time::timeout(Duration::from_secs(10), async {
        while server.get("/hello").await.status != 200 {}
    })
    .await
    .unwrap();
}
