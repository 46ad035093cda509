//! What is left of the hostile guests when they are gone: nothing.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use strand_tests::hostile::{ATTACKS, spec};
use strand_tests::{Server, TestApp};

/// What a node that idles must have come back to after so long.
const IDLE: Duration = Duration::from_secs(10);

async fn leaves_nothing_behind(guest: &str) {
    let app = TestApp::new(&spec(guest, "{ reuse: 1 }"));
    let server = Server::start(app.path(), &[]);
    suite(&server, guest).await;
    let before = Marks::after_idling(&server).await;
    for _ in 0..2 {
        suite(&server, guest).await;
    }
    let after = Marks::after_idling(&server).await;
    println!("{guest}: {before:?} before, {after:?} after");
    assert!(
        after.descriptors <= before.descriptors,
        "{before:?}, {after:?}"
    );
    assert!(after.tasks <= before.tasks, "{before:?}, {after:?}");
    assert!(
        after.resident <= before.resident + before.resident / 5,
        "{before:?}, {after:?}"
    );
    assert_eq!(
        server.get("/neighbour").await.text(),
        "Hello from WASI 0.2!\n"
    );
}

async fn suite(server: &Server, guest: &str) {
    for attack in &ATTACKS {
        attack.run(server, guest).await;
    }
    for input in ["trap", "spin", "recurse", "alloc", "huge", "fail 500 x"] {
        server.post("/task", input).await;
    }
    for what in ["flood", "spin", "alloc", "exit-after", "recurse", "sleep"] {
        server.get(&format!("/command/{what}")).await;
    }
    assert_eq!(server.get("/neighbour").await.status, 200);
}

/// What must come back to what it was.
#[derive(Debug)]
struct Marks {
    descriptors: usize,
    tasks: f64,
    resident: u64,
}

impl Marks {
    async fn after_idling(server: &Server) -> Self {
        tokio::time::sleep(IDLE).await;
        // First, for asking for metrics takes a connection.
        let descriptors = server.descriptors();
        let resident = server.resident();
        assert_eq!(server.metric("strand_instances").await, 0.0);
        assert_eq!(server.metric("strand_memory_used_bytes").await, 0.0);
        Self {
            descriptors,
            tasks: server.metric("strand_tasks").await,
            resident,
        }
    }
}

#[tokio::test]
async fn nothing_is_left_of_guests_over_wasi_0_2() {
    leaves_nothing_behind("hostile02").await;
}

#[tokio::test]
async fn nothing_is_left_of_guests_over_wasi_0_3() {
    leaves_nothing_behind("hostile03").await;
}
