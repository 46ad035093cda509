//! Hostile guests: each ends in its problem, and the neighbour is not hurt.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use strand_tests::{Reply, Server, TestApp};

/// A guest with tight limits, and its neighbours.
fn spec(guest: &str, instance: &str) -> String {
    format!(
        "
  functions:
    hostile:
      source: {{ file: {guest}.wasm }}
      limits: {{ memory: 160Mi, cpu: 500ms, wall: 2s, concurrency: 4, body: 1Mi }}
      instance: {instance}
      grants: {{ functions: [hostile] }}
    task: {{ source: {{ file: hostile-task.wasm }}, limits: {{ cpu: 300ms, wall: 2s }} }}
    command: {{ source: {{ file: hostile-command.wasm }}, limits: {{ cpu: 300ms, wall: 2s }} }}
    neighbour: {{ source: {{ file: hello-http02.wasm }} }}
  routes:
    - {{ path: \"/{{*rest}}\", function: hostile }}
    - {{ path: /task, function: task }}
    - {{ path: \"/command/{{what}}\", function: command, command: {{ args: [\"{{path.what}}\"], contentType: text/plain }} }}
    - {{ path: /neighbour, function: neighbour }}
"
    )
}

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

fn expect(reply: &Reply, what: &str, status: u16, name: &str, limit: Option<&str>) {
    assert_eq!(reply.status, status, "{what}: {reply:?}");
    let (said, value) = reply.problem();
    assert_eq!((said.as_str(), value.as_deref()), (name, limit), "{what}");
}

#[tokio::test]
async fn each_guest_ends_in_its_problem() {
    for guest in GUESTS {
        let (_app, server) = start(guest);
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
            let path = format!("/{path}");
            let reply = server.post(&path, "body").await;
            expect(&reply, &path, status, name, limit);
            neighbour_is_well(&server).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_has_begun_is_aborted() {
    for guest in GUESTS {
        let (_app, mut server) = start(guest);
        for path in [
            "trap-middle",
            "trap-middle?declared",
            "drop-body",
            "drop-body?declared",
            "never-finish",
            "bad-content-length",
        ] {
            let path = format!("/{path}");
            // If it breaks off before the first bytes have left, there is no head.
            if let Ok(response) = strand_tests::client().get(server.url(&path)).send().await {
                let reply = strand_tests::read(response).await;
                assert_eq!(reply.status, 200, "{path}");
                assert!(reply.aborted, "{guest}{path}: {reply:?}");
            }
            neighbour_is_well(&server).await;
        }
        // The client cannot be told why: the log is.
        server.wait_for_line(|line| line.contains("\"aborted\":true") && line.contains("wall"));
    }
}

#[tokio::test]
async fn floods_of_words_only_lose_lines() {
    for guest in GUESTS {
        let (_app, server) = start(guest);
        for path in ["flood-stdout", "flood-stderr", "flood-log"] {
            let path = format!("/{path}?n=20000");
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
    for guest in GUESTS {
        let (_app, server) = start(guest);
        let reply = server.get("/alloc-polite").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        // As many as a client takes; without end, WASI 0.2 has no error for it.
        let reply = server.get("/flood-headers?n=50").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        if guest == "hostile02" {
            let reply = server.get("/flood-headers").await;
            expect(&reply, guest, 500, "limit", Some("buffers"));
        }
        let reply = server.post("/never-read", vec![0; 512 << 10]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

#[tokio::test]
async fn calls_in_calls_end_in_the_guest_s_own_error() {
    for guest in GUESTS {
        let (_app, server) = start(guest);
        let reply = server.get("/call-self").await;
        // Each call holds one of four places; whichever limit is first, it ends.
        assert!(
            reply.status == 200 || reply.status == 503 || reply.status == 504,
            "{reply:?}"
        );
        neighbour_is_well(&server).await;
    }
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_a_413() {
    for guest in GUESTS {
        let (_app, server) = start(guest);
        let reply = server
            .post("/never-read-hold", vec![0; (1 << 20) + 1])
            .await;
        expect(&reply, guest, 413, "limit", Some("body"));
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
    let client = strand_tests::client();
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
        expect(&reply, "shared", 504, "limit", Some("wall"));
        shared += usize::from(reply.json()["shared"] == true);
    }
    assert!(shared >= 2, "{shared}");
    neighbour_is_well(&server).await;
}

#[tokio::test]
async fn tasks_and_commands_end_in_theirs() {
    let (_app, server) = start("hostile02");
    for (input, status, name, limit) in [
        ("trap", 500, "guest-fault", None),
        ("spin", 500, "limit", Some("cpu")),
        ("fail 418 teapot", 418, "task-failure", None),
        ("fail 7 odd", 500, "task-failure", None),
    ] {
        let reply = server.post("/task", input).await;
        expect(&reply, input, status, name, limit);
    }
    for (what, status, name, limit) in [
        ("exit-before", 500, "guest-fault", None),
        ("spin-silent", 500, "limit", Some("cpu")),
        ("alloc", 500, "limit", Some("memory")),
    ] {
        let reply = server.get(&format!("/command/{what}")).await;
        expect(&reply, what, status, name, limit);
        if what == "exit-before" {
            // WASI 0.2 knows success and failure only.
            assert_eq!(reply.json()["exit"], 1);
        }
    }
    let reply = server.get("/command/exit-after").await;
    assert!(reply.aborted, "{reply:?}");
    neighbour_is_well(&server).await;
}

#[tokio::test]
async fn spinning_guests_do_not_stop_the_others() {
    let (_app, server) = start("hostile02");
    let client = strand_tests::client();
    let spinning: Vec<_> = (0..4)
        .map(|_| {
            let request = client.get(server.url("/spin"));
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
    for guest in GUESTS {
        leaves_nothing_behind(guest).await;
    }
}

async fn leaves_nothing_behind(guest: &str) {
    let (_app, server) = start(guest);
    let round = async || {
        {
            for path in [
                "spin",
                "alloc",
                "trap-before",
                "trap-middle",
                "sleep-forever",
                "handles",
            ] {
                server.get(&format!("/{path}")).await;
            }
        }
        neighbour_is_well(&server).await;
    };
    round().await;
    let live = || async { metric(&server, "strand_instances").await };
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
        assert!(
            Instant::now() < end,
            "{} descriptors, {descriptors} before",
            server.descriptors()
        );
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
