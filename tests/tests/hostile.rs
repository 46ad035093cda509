//! Hostile guests: each ends in its problem, and the neighbour is not hurt.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use strand_tests::hostile::{ATTACKS, expect_problem, spec};
use strand_tests::{Server, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GUESTS: [&str; 2] = ["hostile02", "hostile03"];

fn start(guest: &str) -> (TestApp, Server) {
    let app = TestApp::new(&spec(guest, "{ reuse: 1, concurrency: 1 }"));
    let server = Server::start(app.path(), &[]);
    (app, server)
}

async fn neighbour_is_well(server: &Server) {
    let reply = server.get("/neighbour").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.text(), "Hello from WASI 0.2!\n");
}

#[tokio::test]
async fn each_guest_ends_as_it_should() {
    for guest in GUESTS {
        let (_app, mut server) = start(guest);
        for attack in &ATTACKS {
            attack.run(&server, guest).await;
            neighbour_is_well(&server).await;
        }
        // Where an answer had begun the client cannot be told why: the log is.
        for limit in ["wall", "guest-fault"] {
            server.wait_for_line(|line| line.contains("\"aborted\":true") && line.contains(limit));
        }
        // And that lines of floods are missing.
        server.wait_for_line(|line| line.contains("dropped"));
    }
}

#[tokio::test]
async fn what_differs_between_the_versions() {
    let (_app, server) = start("hostile02");
    // WASI 0.2 has no error for header fields without end, 0.3 has.
    let reply = server.get("/flood-headers").await;
    expect_problem(&reply, "flood-headers", 500, "limit", Some("buffers"));
    let reply = server.get("/poll-flood").await;
    expect_problem(&reply, "poll-flood", 500, "limit", Some("handles"));
    let reply = server.get("/keep-headers").await;
    expect_problem(&reply, "keep-headers", 500, "limit", Some("buffers"));
    let (_app, server) = start("hostile03");
    let reply = server.get("/keep-headers").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    // With 4096 handles it would be that many of 100 KiB each.
    let kept: usize = reply.text().trim().parse().unwrap();
    assert!((1..32).contains(&kept), "{kept}");
    let reply = server.get("/poll-flood").await;
    assert_eq!(reply.status, 500, "{reply:?}");
    assert_eq!(reply.problem().0, "limit", "{reply:?}");
    neighbour_is_well(&server).await;
}

#[tokio::test]
async fn connections_without_end_are_the_guest_s_own_error() {
    // Answers at once, and holds every connection.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            held.push(tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
                let _ = stream.write_all(head).await;
                // Until the other side closes it.
                let _ = stream.read(&mut request).await;
            }));
        }
    });
    for guest in GUESTS {
        let app = TestApp::new(&format!(
            "
  functions:
    hostile:
      source: {{ file: {guest}.wasm }}
      limits: {{ wall: 60s }}
      grants: {{ http: [\"http://127.0.0.1:{port}\"] }}
  routes:
    - {{ path: \"/{{*rest}}\", function: hostile }}
"
        ));
        let server = Server::start(app.path(), &[]);
        let path = format!("/open-connections?n=80&url=http://127.0.0.1:{port}/");
        let reply = server.get(&path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let ends = reply.json();
        assert_eq!(ends["200"], 64, "{ends}");
        assert_eq!(ends["connection-limit-reached"], 16, "{ends}");
        // With the guest go its connections.
        server
            .wait_for_metric("strand_instances", |live| live == 0.0)
            .await;
    }
}

#[tokio::test]
async fn calls_in_calls_end_in_the_guest_s_own_error() {
    for guest in GUESTS {
        let app = TestApp::new(&format!(
            "
  functions:
    hostile:
      source: {{ file: {guest}.wasm }}
      limits: {{ concurrency: 32, wall: 30s }}
      grants: {{ functions: [hostile] }}
  routes:
    - {{ path: \"/{{*rest}}\", function: hostile }}
"
        ));
        let server = Server::start(app.path(), &[]);
        let reply = server.get("/call-self").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.headers["depth"], "8", "{reply:?}");
        assert_eq!(reply.text(), "loop-detected\n");
    }
}

#[tokio::test]
async fn calls_in_calls_share_the_first_one_s_time_and_places() {
    for guest in GUESTS {
        // Four places: the fifth call waits for one that waits for it.
        let (_app, server) = start(guest);
        let reply = server.get("/call-self").await;
        assert!(
            reply.status == 504 || reply.text().contains("\"limit\":\"wall\""),
            "{reply:?}"
        );
        server
            .wait_for_metric("strand_instances", |live| live == 0.0)
            .await;
        neighbour_is_well(&server).await;
    }
}

#[tokio::test]
async fn a_guest_that_lives_on_after_its_answer_has_its_time_and_no_more() {
    for (guest, instance) in [
        ("hostile02", "{ reuse: 1 }"),
        ("hostile03", "{ reuse: 1 }"),
        ("hostile03", "{ reuse: 10, concurrency: 1 }"),
        ("hostile03", "{ reuse: 10, concurrency: 4 }"),
    ] {
        let app = TestApp::new(&spec(guest, instance));
        let server = Server::start(app.path(), &[]);
        let begun = Instant::now();
        let reply = server.get("/linger").await;
        assert_eq!(reply.text(), "all of it\n", "{reply:?}");
        server
            .wait_for_metric("strand_instances", |live| live == 0.0)
            .await;
        // Its wall limit, counted from its admission.
        assert!(
            begun.elapsed() >= Duration::from_secs(2),
            "{guest} {instance}"
        );
    }
}

#[tokio::test]
async fn a_guest_ends_when_its_client_goes() {
    for guest in GUESTS {
        let app = TestApp::new(&format!(
            "
  functions:
    hostile: {{ source: {{ file: {guest}.wasm }}, limits: {{ wall: 10m }} }}
  routes:
    - {{ path: \"/{{*rest}}\", function: hostile }}
"
        ));
        let server = Server::start(app.path(), &[]);
        for path in ["/never-finish", "/sleep-forever"] {
            let request = strand_tests::client().get(server.url(path)).send();
            let request = tokio::spawn(request);
            server
                .wait_for_metric("strand_instances", |live| live == 1.0)
                .await;
            request.abort();
            drop(request.await);
            server
                .wait_for_metric("strand_instances", |live| live == 0.0)
                .await;
        }
    }
}

#[tokio::test]
async fn an_instance_that_trapped_is_never_used_again() {
    for (guest, instance) in [
        ("hostile02", "{ reuse: 100 }"),
        ("hostile03", "{ reuse: 100, concurrency: 4 }"),
    ] {
        let app = TestApp::new(&spec(guest, instance));
        let server = Server::start(app.path(), &[]);
        for _ in 0..5 {
            let reply = server.get("/trap-before").await;
            expect_problem(&reply, guest, 500, "guest-fault", None);
            // An instance of its own that is in order; it is kept for the next request.
            let reply = server.post("/never-read", "x").await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_a_413() {
    for guest in GUESTS {
        let (_app, server) = start(guest);
        let reply = server
            .post("/never-read-hold", vec![0; (1 << 20) + 1])
            .await;
        expect_problem(&reply, guest, 413, "limit", Some("body"));
    }
}

#[tokio::test]
async fn more_calls_than_run_and_wait_are_shed() {
    let (_app, server) = start("hostile02");
    let client = strand_tests::client();
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let request = client.get(server.url("/sleep-forever"));
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
    let app = TestApp::new(&spec("hostile03", "{ reuse: 100, concurrency: 8 }"));
    let server = Server::start(app.path(), &[]);
    // One connection, and with it one thread, which instances belong to.
    let client = strand_tests::client_http2();
    // Several sleep in one instance; the first whose time is over ends them all.
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let request = client.get(server.url("/sleep-forever"));
            tokio::spawn(async move { strand_tests::read(request.send().await.unwrap()).await })
        })
        .collect();
    let mut shared = 0;
    for call in calls {
        let reply = call.await.unwrap();
        expect_problem(&reply, "shared", 504, "limit", Some("wall"));
        shared += usize::from(reply.json()["shared"] == true);
    }
    assert_eq!(shared, 4);
    neighbour_is_well(&server).await;
}

#[tokio::test]
async fn a_slow_client_in_a_shared_instance_hurts_itself_only() {
    let app = TestApp::new(&spec("hostile03", "{ reuse: 100, concurrency: 8 }"));
    let server = Server::start(app.path(), &[]);
    let client = strand_tests::client_http2();
    // It has its head and never takes its body: the guest has answered.
    let slow = client
        .get(server.url("/never-finish"))
        .send()
        .await
        .unwrap();
    assert_eq!(slow.status(), 200);
    let reply = strand_tests::read(
        client
            .post(server.url("/never-read"))
            .body("x")
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(strand_tests::read(slow).await.aborted);
    neighbour_is_well(&server).await;
}

#[tokio::test]
async fn tasks_and_commands_end_in_theirs() {
    let (_app, server) = start("hostile02");
    for (input, status, name, limit) in [
        ("trap", 500, "guest-fault", None),
        ("spin", 500, "limit", Some("cpu")),
        ("recurse", 500, "limit", Some("stack")),
        ("alloc", 500, "limit", Some("memory")),
        ("huge", 500, "limit", Some("buffers")),
        ("fail 418 teapot", 418, "task-failure", None),
        ("fail 7 odd", 500, "task-failure", None),
    ] {
        let reply = server.post("/task", input).await;
        expect_problem(&reply, input, status, name, limit);
    }
    for (what, status, name, limit) in [
        ("exit-before", 500, "guest-fault", None),
        ("spin-silent", 500, "limit", Some("cpu")),
        ("read-forever", 500, "limit", Some("cpu")),
        ("recurse", 500, "limit", Some("stack")),
        ("alloc", 500, "limit", Some("memory")),
        ("sleep", 504, "limit", Some("wall")),
    ] {
        let reply = server.get(&format!("/command/{what}")).await;
        expect_problem(&reply, what, status, name, limit);
        if what == "exit-before" {
            // WASI 0.2 knows success and failure only.
            assert_eq!(reply.json()["exit"], 1);
        }
    }
    let reply = server.get("/command/spin").await;
    assert!(reply.aborted, "{reply:?}");
    assert_eq!(reply.text(), "before the spin\n");
    let reply = server.get("/command/exit-after").await;
    assert!(reply.aborted, "{reply:?}");
    neighbour_is_well(&server).await;
}

#[tokio::test]
async fn spinning_guests_do_not_stop_the_others() {
    let app = TestApp::new(
        "
  functions:
    hostile: { source: { file: hostile02.wasm }, limits: { cpu: 3s, wall: 5m } }
    neighbour: { source: { file: hello-http02.wasm } }
  routes:
    - { path: \"/{*rest}\", function: hostile }
    - { path: /neighbour, function: neighbour }
",
    );
    let server = Server::start(app.path(), &[]);
    let client = strand_tests::client();
    let spinning: Vec<_> = (0..8)
        .map(|_| {
            let request = client.get(server.url("/spin"));
            tokio::spawn(async move { strand_tests::read(request.send().await.unwrap()).await })
        })
        .collect();
    server
        .wait_for_metric("strand_instances", |live| live == 8.0)
        .await;
    // Every core has spinners; all of these are answered while they spin.
    for _ in 0..5 {
        neighbour_is_well(&server).await;
    }
    assert_eq!(server.metric("strand_instances").await, 8.0);
    for call in spinning {
        expect_problem(&call.await.unwrap(), "spin", 500, "limit", Some("cpu"));
    }
}
