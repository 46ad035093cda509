//! A flood for one app leaves room for another.

#![allow(clippy::unwrap_used)]

use std::fs;

use strand_tests::{Server, TestApp, client};

/// More than the budget has room for, each of which waits until it is cut.
const FLOOD: usize = 200;

fn app(name: &str, function: &str, instance: &str) -> TestApp {
    let app = TestApp::new(&format!(
        "
  hosts: [{name}.example]
  resources: {{ blobs: {{ data: {{ dev: data }} }} }}
  functions:
    f:
      source: {{ file: {function}.wasm }}
      limits: {{ concurrency: {FLOOD}, queue: 0, wall: 10m }}
      instance: {instance}
{}
  routes: [{{ path: \"/{{*rest}}\", function: f }}]
",
        if function.starts_with("probe") {
            "      grants: { blobs: { data: [read, write] }, functions: [f] }"
        } else {
            ""
        }
    ));
    let file = app.path().join("directive.yaml");
    let directive = fs::read_to_string(file).unwrap();
    app.write(
        "directive.yaml",
        directive.replace("name: test", &format!("name: {name}")),
    );
    app
}

/// Floods one app and asks another one. Gives the number of requests of the flood that were
/// sent away, and of those for what.
async fn flooded(config: &str) -> Vec<(u16, String)> {
    let greedy = app("greedy", "probe02", "{ reuse: 1 }");
    let modest = app("modest", "hello-http02", "{ reuse: 1 }");
    let config = modest.write("node.toml", config);
    let state = tempfile::tempdir().unwrap();
    let args = [
        "--config",
        config.to_str().unwrap(),
        greedy.path().to_str().unwrap(),
    ];
    let server = Server::try_start(modest.path(), state.path(), &args, &[]).unwrap();
    let ask = |host: &str, path: &str| {
        client()
            .get(server.url(path))
            .header("host", format!("{host}.example"))
    };
    let floods: Vec<_> = (0..FLOOD)
        .map(|_| tokio::spawn(ask("greedy", "/sleep/600000").send()))
        .collect();
    // Those that are sent away come back; the others stay.
    let mut refused = Vec::new();
    let all_began = async {
        loop {
            let live = server.metric("strand_instances").await as usize;
            let back = floods.iter().filter(|flood| flood.is_finished()).count();
            if live + back == FLOOD {
                return live;
            }
            tokio::task::yield_now().await;
        }
    };
    let live = tokio::time::timeout(std::time::Duration::from_secs(60), all_began)
        .await
        .expect("the flood is there");
    assert!(live > 10, "{live}");
    for _ in 0..20 {
        let reply = server.send(ask("modest", "/x")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    for flood in floods {
        if flood.is_finished() {
            let reply = strand_tests::read(flood.await.unwrap().unwrap()).await;
            let (_, limit) = reply.problem();
            assert_eq!(reply.headers["retry-after"], "1");
            refused.push((reply.status.as_u16(), limit.unwrap()));
        } else {
            flood.abort();
        }
    }
    refused
}

#[tokio::test]
async fn one_app_cannot_take_all_memory() {
    let refused = flooded("memory = \"64Mi\"\n[engine]\ninstances = 1000\n").await;
    assert!(!refused.is_empty());
    for (status, limit) in refused {
        assert_eq!((status, limit.as_str()), (503, "node-memory"));
    }
}

#[tokio::test]
async fn one_app_cannot_take_all_instances() {
    let refused = flooded("memory = \"4Gi\"\n[engine]\ninstances = 64\n").await;
    // An eighth is left to the other one.
    assert_eq!(refused.len(), FLOOD - 56);
    for (status, limit) in refused {
        assert_eq!((status, limit.as_str()), (503, "concurrency"));
    }
}

#[tokio::test]
async fn a_call_that_would_wait_too_long_is_sent_away_at_once() {
    let app = TestApp::new(
        "
  resources: { blobs: { data: { dev: data } } }
  functions:
    f:
      source: { file: probe02.wasm }
      limits: { concurrency: 1, queue: 100, wall: 3s }
      grants: { blobs: { data: [read, write] }, functions: [f] }
  routes: [{ path: \"/{*rest}\", function: f }]
",
    );
    let server = Server::start(app.path(), &[]);
    let sleep = || tokio::spawn(client().get(server.url("/sleep/1000")).send());
    // One runs and three wait. When the first is back, it is known how fast that goes.
    let mut first: Vec<_> = (0..4).map(|_| sleep()).collect();
    let (back, _, others) = futures::future::select_all(first.drain(..)).await;
    assert_eq!(back.unwrap().unwrap().status(), 200);
    let late: Vec<_> = (0..10).map(|_| sleep()).collect();
    let mut shed = 0;
    for one in late {
        let reply = strand_tests::read(one.await.unwrap().unwrap()).await;
        if reply.status == 503 {
            let (_, limit) = reply.problem();
            assert_eq!(limit.as_deref(), Some("concurrency"));
            let later = reply.headers["retry-after"].to_str().unwrap();
            let later: u64 = later.parse().unwrap();
            assert!((1..=60).contains(&later), "{reply:?}");
            shed += 1;
        }
    }
    // Two wait still: a third would have its turn after three seconds, which is all it has.
    // Without an estimate all of them would have waited for that.
    assert!(shed >= 8, "{shed}");
    for one in others {
        let reply = strand_tests::read(one.await.unwrap().unwrap()).await;
        assert!([200, 504].contains(&reply.status.as_u16()), "{reply:?}");
    }
    // Nothing is left of it: a burst that can be served is served.
    let burst: Vec<_> = (0..20)
        .map(|_| tokio::spawn(client().get(server.url("/status/200")).send()))
        .collect();
    for one in burst {
        assert_eq!(one.await.unwrap().unwrap().status(), 200);
    }
}
