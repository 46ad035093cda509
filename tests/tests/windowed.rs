//! `examples/reads` in windowed mode: one request on all cores, with bytes that do not depend on how.

#![allow(clippy::unwrap_used)]

use strand_tests::{Reply, Server, windows_app};

/// The start of a query for all tests: a genome of three windows and a bit.
const QUERY: &str = "reference=drawn&n=30000&seed=42&mode=windowed";

async fn get(server: &Server, path: &str) -> Reply {
    let reply = server.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    assert!(!reply.aborted, "{path} was broken off");
    reply
}

#[tokio::test]
async fn the_bytes_do_not_depend_on_who_makes_them() {
    let app = windows_app();
    let server = Server::start(app.path(), &[]);
    for path in ["reads", "variants"] {
        let whole = get(&server, &format!("/{path}?{QUERY}&chrom=one")).await;
        assert_eq!(whole.headers["strand-seed"], "42");
        for parallel in [1, 2, 7] {
            let target = format!("/{path}?{QUERY}&chrom=one&parallel={parallel}");
            assert!(get(&server, &target).await.body == whole.body, "{target}");
        }
        let mut joined = Vec::new();
        for part in ["stop=100000", "start=100000&stop=300000", "start=300000"] {
            let target = format!("/{path}?{QUERY}&chrom=one&{part}");
            joined.extend(get(&server, &target).await.body);
        }
        assert!(joined == whole.body, "{path} in parts differ");
        // The second sequence is too short for pairs, and has no share of its own.
        let both = get(&server, &format!("/{path}?{QUERY}")).await;
        assert_eq!(both.headers["strand-skipped"], "1");
    }
}

#[tokio::test]
async fn mates_are_those_of_both() {
    let app = windows_app();
    let server = Server::start(app.path(), &[]);
    let both = get(&server, &format!("/reads?{QUERY}")).await;
    let first = get(&server, &format!("/reads?{QUERY}&mate=1")).await;
    let second = get(&server, &format!("/reads?{QUERY}&mate=2")).await;
    let lines =
        |reply: &Reply| -> Vec<String> { reply.text().lines().map(str::to_owned).collect() };
    let (first, second) = (lines(&first), lines(&second));
    let interleaved: Vec<_> = first
        .chunks(4)
        .zip(second.chunks(4))
        .flat_map(|(one, two)| one.iter().chain(two))
        .cloned()
        .collect();
    assert!(lines(&both) == interleaved);
    // One sequence of its length has all pairs, which are numbered from 0.
    assert_eq!(first.len(), 4 * 30_000);
    assert!(first[first.len() - 4].ends_with(&format!("_{:x}/1", 29_999)));
}

#[tokio::test]
async fn what_cannot_be_windowed_is_told() {
    let app = windows_app();
    let server = Server::start(app.path(), &[]);
    for (query, field) in [
        ("mode=windowed&chrom=one&start=5", "start"),
        ("mode=windowed&chrom=one&stop=305428", "stop"),
        ("mode=windowed&start=100000", "start"),
        ("mode=windowed&parallel=0", "parallel"),
        ("mode=windowed&distance=600000", "distance"),
        ("chrom=one&start=100000", "start"),
        ("mode=all", "mode"),
    ] {
        let target = format!("/reads?reference=drawn&{query}");
        let reply = server.get(&target).await;
        assert_eq!(reply.status, 400, "{target}: {reply:?}");
        assert_eq!(reply.json()["field"], field, "{target}: {reply:?}");
    }
}

#[tokio::test]
async fn a_worker_without_a_place_is_asked_again() {
    let app = windows_app();
    let directive = std::fs::read_to_string(app.path().join("directive.yaml")).unwrap();
    // One at a time, and nobody waits: of four units at once three are refused.
    let crowded = directive.replace("concurrency: 128, queue: 128", "concurrency: 1, queue: 0");
    assert_ne!(crowded, directive);
    let server = Server::start(app.path(), &[]);
    let expected = get(&server, &format!("/reads?{QUERY}")).await;
    drop(server);
    app.write("directive.yaml", crowded);
    let server = Server::start(app.path(), &[]);
    assert!(get(&server, &format!("/reads?{QUERY}")).await.body == expected.body);
}
