//! The attacks of the hostile guests over HTTP, and how each of them ends.

use crate::{Reply, Server, client, read};

/// One attack.
pub struct Attack {
    /// Its path at the guest.
    pub path: &'static str,
    /// The request's body.
    pub body: usize,
    /// How it ends.
    pub end: End,
}

/// How an attack ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// The guest may answer 200.
    Answer,
    /// A problem: status, type and limit.
    Problem(u16, &'static str, Option<&'static str>),
    /// A 200 that is broken off.
    Aborted,
}

const fn attack(path: &'static str, end: End) -> Attack {
    let body = 4;
    Attack { path, body, end }
}

const fn limit(path: &'static str, status: u16, limit: &'static str) -> Attack {
    attack(path, End::Problem(status, "limit", Some(limit)))
}

const FAULT: End = End::Problem(500, "guest-fault", None);

/// Attacks that only the wall limit ends. Two seconds are enough for them; all others have half a
/// minute, in which they get to their own limit on a machine that has much else to do, too.
const WAITING: [&str; 6] = [
    "call-self",
    "never-read-hold",
    "sleep-forever",
    "linger",
    "never-finish",
    "drop-body",
];

/// What both guests can do to a function of 160 MiB and 500 ms of CPU time.
pub const ATTACKS: [Attack; 30] = [
    limit("spin", 500, "cpu"),
    limit("alloc", 500, "memory"),
    attack("alloc-polite", End::Answer),
    limit("recurse", 500, "stack"),
    limit("handles", 500, "handles"),
    limit("flood-stdout", 500, "cpu"),
    limit("flood-stderr", 500, "cpu"),
    limit("flood-log", 500, "cpu"),
    attack("flood-stdout?n=5000", End::Answer),
    attack("flood-stderr?n=5000", End::Answer),
    attack("flood-log?n=5000", End::Answer),
    attack("flood-headers?n=50", End::Answer),
    limit("random-flood", 500, "cpu"),
    Attack {
        path: "never-read",
        body: 512 << 10,
        end: End::Answer,
    },
    limit("never-read-hold", 504, "wall"),
    limit("sleep-forever", 504, "wall"),
    attack("linger", End::Answer),
    attack("trap-before", FAULT),
    attack("no-answer", FAULT),
    attack("exit", FAULT),
    attack("bad-status", FAULT),
    limit("huge-buffer", 500, "buffers"),
    attack("trap-middle", End::Aborted),
    attack("trap-middle?declared", End::Aborted),
    attack("drop-body", End::Aborted),
    attack("drop-body?declared", End::Aborted),
    attack("never-finish", End::Aborted),
    attack("never-finish?declared", End::Aborted),
    attack("bad-content-length", End::Aborted),
    attack("bad-content-length?declared=5&sent=11", End::Aborted),
];

impl Attack {
    /// Attacks, and looks at how it ended.
    pub async fn run(&self, server: &Server, guest: &str) {
        let request = client()
            .post(server.url(&format!("/{}", self.path)))
            .body(vec![b'x'; self.body]);
        let path = self.path;
        let response = match (request.send().await, self.end) {
            (Ok(response), _) => response,
            // What breaks off before its first bytes have left has no head.
            (Err(_), End::Aborted) => return,
            (Err(error), _) => panic!("{guest} {path}: {error}"),
        };
        let reply = read(response).await;
        match self.end {
            End::Answer => {
                assert_eq!(reply.status, 200, "{guest} {path}: {reply:?}");
                assert!(!reply.aborted, "{guest} {path}: {reply:?}");
            }
            End::Aborted => {
                assert_eq!(reply.status, 200, "{guest} {path}");
                assert!(reply.aborted, "{guest} {path}: {reply:?}");
            }
            End::Problem(status, name, limit) => {
                expect_problem(&reply, &format!("{guest} {path}"), status, name, limit);
            }
        }
    }
}

/// Looks at an answer that must be a problem.
pub fn expect_problem(reply: &Reply, what: &str, status: u16, name: &str, limit: Option<&str>) {
    assert_eq!(reply.status, status, "{what}: {reply:?}");
    let (said, value) = reply.problem();
    assert_eq!((said.as_str(), value.as_deref()), (name, limit), "{what}");
    if limit.is_some() {
        // Whoever meets a limit is told its value, too.
        let json = reply.json();
        assert!(
            !json["value"].as_str().unwrap_or_default().is_empty(),
            "{what}: {json}"
        );
    }
}

/// A guest with the limits of [`ATTACKS`], and its neighbours. `instance` is that field of the
/// Directive.
pub fn spec(guest: &str, instance: &str) -> String {
    let waiting: String = WAITING
        .iter()
        .map(|path| {
            format!("    - {{ path: /{path}, function: hostile, limits: {{ wall: 2s }} }}\n")
        })
        .collect();
    format!(
        "
  functions:
    hostile:
      source: {{ file: {guest}.wasm }}
      limits: {{ memory: 160Mi, cpu: 500ms, wall: 30s, concurrency: 4, body: 1Mi }}
      instance: {instance}
      grants: {{ functions: [hostile] }}
    task: {{ source: {{ file: hostile-task.wasm }}, limits: {{ cpu: 300ms, wall: 30s }} }}
    command: {{ source: {{ file: hostile-command.wasm }}, limits: {{ cpu: 300ms, wall: 30s }} }}
    neighbour: {{ source: {{ file: hello-http02.wasm }} }}
  routes:
    - {{ path: \"/{{*rest}}\", function: hostile }}
    - {{ path: /task, function: task }}
    - {{ path: \"/command/{{what}}\", function: command, command: {{ args: [\"{{path.what}}\"], contentType: text/plain }} }}
    - {{ path: /command/sleep, function: command, command: {{ args: [sleep] }}, limits: {{ wall: 2s }} }}
    - {{ path: /neighbour, function: neighbour }}
{waiting}"
    )
}
