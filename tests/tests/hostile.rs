//! Hostile guests: each ends in its problem, and the neighbour is not hurt.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use strand_tests::{Reply, Server, TestApp};

/// Both generations with tight limits, and a neighbour.
const SPEC: &str = "
  functions:
    hostile:
      source: { file: hostile02.wasm }
      limits: { memory: 32Mi, cpu: 300ms, wall: 2s, concurrency: 4, body: 1Mi }
      grants: { functions: [hostile] }
    hostile3:
      source: { file: hostile03.wasm }
      limits: { memory: 32Mi, cpu: 300ms, wall: 2s, concurrency: 4, body: 1Mi }
      grants: { functions: [hostile3] }
    shared:
      source: { file: hostile03.wasm }
      limits: { memory: 32Mi, cpu: 300ms, wall: 2s, concurrency: 16 }
      instance: { reuse: 100, concurrency: 8 }
    task: { source: { file: hostile-task.wasm }, limits: { cpu: 300ms, wall: 2s } }
    command: { source: { file: hostile-command.wasm }, limits: { cpu: 300ms, wall: 2s } }
    neighbour: { source: { file: hello-http02.wasm } }
  routes:
    - { path: \"/2/{*rest}\", function: hostile }
    - { path: \"/3/{*rest}\", function: hostile3 }
    - { path: \"/shared/{*rest}\", function: shared }
    - { path: \"/task\", function: task }
    - { path: \"/command/{what}\", function: command, command: { args: [\"{path.what}\"], contentType: text/plain } }
    - { path: /neighbour, function: neighbour }
";

/// The app, with guests that look at the last part of their path.
fn start() -> (TestApp, Server) {
    let app = TestApp::new(SPEC);
    let server = Server::start(app.path(), &[]);
    (app, server)
}

async fn neighbour_is_well(server: &Server) {
    let reply = server.get("/neighbour").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.text(), "Hello from WASI 0.2!\n");
}

fn expect(reply: &Reply, what: &str, status: u16, name: &str, limit: Option<&str>) {
    assert_eq!(reply.status, status, "{what}: {reply:?}");
    let (said, value) = reply.problem();
    assert_eq!((said.as_str(), value.as_deref()), (name, limit), "{what}");
}

#[tokio::test]
async fn each_guest_ends_in_its_problem() {
    let (_app, server) = start();
    for version in ["2", "3"] {
        for (path, status, name, limit) in [
            ("spin", 500, "limit", Some("cpu")),
            ("alloc", 500, "limit", Some("memory")),
            ("recurse", 500, "limit", Some("stack")),
            ("handles", 500, "limit", Some("handles")),
            ("never-read-hold", 504, "limit", Some("wall")),
            ("sleep-forever", 504, "limit", Some("wall")),
            ("trap-before", 500, "guest-fault", None),
            ("no-answer", 500, "guest-fault", None),
            ("huge-buffer", 500, "limit", Some("buffers")),
            ("exit", 500, "guest-fault", None),
        ] {
            let path = format!("/{version}/{path}");
            let reply = server.post(&path, "body").await;
            expect(&reply, &path, status, name, limit);
            neighbour_is_well(&server).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_has_begun_is_aborted() {
    let (_app, mut server) = start();
    for version in ["2", "3"] {
        for path in [
            "trap-middle",
            "trap-middle?declared",
            "drop-body",
            "drop-body?declared",
            "never-finish",
            "bad-content-length",
        ] {
            let path = format!("/{version}/{path}");
            let reply = server.get(&path).await;
            assert_eq!(reply.status, 200, "{path}");
            assert!(reply.aborted, "{path}: {reply:?}");
            neighbour_is_well(&server).await;
        }
    }
    server.wait_for_line(|line| line.contains("\"aborted\":true") && line.contains("wall"));
}

#[tokio::test]
async fn floods_of_words_only_lose_lines() {
    let (_app, server) = start();
    for version in ["2", "3"] {
        for path in ["flood-stdout", "flood-stderr", "flood-log"] {
            let path = format!("/{version}/{path}?n=20000");
            let reply = server.get(&path).await;
            // A flood may use up the CPU time, never more than that.
            if reply.status != 200 {
                expect(&reply, &path, 500, "limit", Some("cpu"));
            }
            neighbour_is_well(&server).await;
        }
    }
}

#[tokio::test]
async fn a_guest_that_copes_with_a_refusal_may_answer() {
    let (_app, server) = start();
    for version in ["2", "3"] {
        let reply = server.get(&format!("/{version}/alloc-polite")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let reply = server.get(&format!("/{version}/flood-headers")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let reply = server
            .post(&format!("/{version}/never-read"), vec![0; 512 << 10])
            .await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

#[tokio::test]
async fn calls_in_calls_end_in_the_guest_s_own_error() {
    let (_app, server) = start();
    for (version, name) in [("2", "hostile"), ("3", "hostile3")] {
        let reply = server.get(&format!("/{version}/call-self?function={name}")).await;
        // Each call holds one of four places; whichever limit is first, it ends.
        assert!(reply.status == 200 || reply.status == 503 || reply.status == 504, "{reply:?}");
        neighbour_is_well(&server).await;
    }
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_a_413() {
    let (_app, server) = start();
    for version in ["2", "3"] {
        let path = format!("/{version}/never-read-hold");
        let reply = server.post(&path, vec![0; (1 << 20) + 1]).await;
        expect(&reply, &path, 413, "limit", Some("body"));
    }
}

#[tokio::test]
async fn more_calls_than_run_and_wait_are_shed() {
    let (_app, server) = start();
    let client = strand_tests::client();
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let request = client.get(server.url("/2/sleep-forever"));
            tokio::spawn(async move { strand_tests::read(request.send().await.unwrap()).await })
        })
        .collect();
    let mut shed = 0;
    let mut timed_out = 0;
    for call in calls {
        let reply = call.await.unwrap();
        match reply.problem().1.as_deref() {
            Some("concurrency") => {
                assert!(reply.headers.contains_key("retry-after"));
                shed += 1;
            }
            Some("wall") => timed_out += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((shed, timed_out), (4, 8));
}

#[tokio::test]
async fn a_fault_in_a_shared_instance_says_so() {
    let (_app, server) = start();
    let client = strand_tests::client();
    // Several sleep in one instance; the first whose time is over ends them all.
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let request = client.get(server.url("/shared/sleep-forever"));
            tokio::spawn(async move { strand_tests::read(request.send().await.unwrap()).await })
        })
        .collect();
    let mut shared = 0;
    for call in calls {
        let reply = call.await.unwrap();
        expect(&reply, "shared", 504, "limit", Some("wall"));
        shared += usize::from(reply.json()["shared"] == true);
    }
    assert!(shared >= 2, "{shared}");
    neighbour_is_well(&server).await;
}

#[tokio::test]
async fn tasks_and_commands_end_in_theirs() {
    let (_app, server) = start();
    for (input, status, name, limit) in [
        ("trap", 500, "guest-fault", None),
        ("spin", 500, "limit", Some("cpu")),
        ("fail-418", 418, "task-failure", None),
        ("fail-7", 500, "task-failure", None),
    ] {
        let reply = server.post("/task", input).await;
        expect(&reply, input, status, name, limit);
    }
    for (what, status, name, limit) in [
        ("exit-before", 500, "guest-fault", None),
        ("spin", 500, "limit", Some("cpu")),
        ("recurse", 500, "limit", Some("stack")),
    ] {
        let reply = server.get(&format!("/command/{what}")).await;
        expect(&reply, what, status, name, limit);
        if what == "exit-before" {
            assert_eq!(reply.json()["exit"], 3);
        }
    }
    let reply = server.get("/command/exit-after").await;
    assert!(reply.aborted, "{reply:?}");
    neighbour_is_well(&server).await;
}

#[tokio::test]
async fn spinning_guests_do_not_stop_the_others() {
    let (_app, server) = start();
    let client = strand_tests::client();
    let spinning: Vec<_> = (0..4)
        .map(|_| {
            let request = client.get(server.url("/2/spin"));
            tokio::spawn(async move { request.send().await.unwrap().status() })
        })
        .collect();
    let start = Instant::now();
    let mut answered = 0;
    while start.elapsed() < Duration::from_millis(500) {
        neighbour_is_well(&server).await;
        answered += 1;
    }
    // Four spinners on two cores: a turn comes every few milliseconds.
    assert!(answered >= 5, "{answered}");
    for call in spinning {
        assert_eq!(call.await.unwrap(), 500);
    }
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let (_app, server) = start();
    let round = async || {
        for version in ["2", "3"] {
            for path in ["spin", "alloc", "trap-before", "trap-middle", "sleep-forever", "handles"] {
                server.get(&format!("/{version}/{path}")).await;
            }
        }
        neighbour_is_well(&server).await;
    };
    round().await;
    let live = || async { metric(&server, "strand_instances_live").await };
    let settled = async || {
        let end = Instant::now() + Duration::from_secs(20);
        while live().await > 0.0 {
            assert!(Instant::now() < end, "instances are left");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    settled().await;
    let (descriptors, resident) = (server.descriptors(), server.resident());
    for _ in 0..3 {
        round().await;
    }
    settled().await;
    let end = Instant::now() + Duration::from_secs(20);
    while server.descriptors() > descriptors {
        assert!(Instant::now() < end, "{} descriptors, {descriptors} before", server.descriptors());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        server.resident() < resident + resident / 5,
        "{} bytes, {resident} before",
        server.resident()
    );
}

async fn metric(server: &Server, name: &str) -> f64 {
    let request = strand_tests::client()
        .get(server.admin_url("/metrics"))
        .bearer_auth(server.token());
    let reply = server.send(request).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let line = reply
        .text()
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_else(|| panic!("no {name} in {}", reply.text()))
        .to_owned();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
