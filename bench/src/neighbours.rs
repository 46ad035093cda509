//! Who shares a node with the function whose latency `bench noise` measures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout_at};

use crate::answer::Failure;
use crate::client::{Client, Outcomes, Target};
use crate::open_loop::{self, OpenLoop, Seen};

/// Requests at once of those that are asked again and again, and of a crowd: as many as a function
/// works on at once by default.
const AT_ONCE: usize = 4;
const CROWD: usize = 64;
/// Connections that do nothing.
const IDLE: usize = 1_000;
/// How far apart these are opened, and opened again after the node has closed them.
const OPENING: Duration = Duration::from_millis(5);
/// Requests a second of a flood, and how many of them may be under way at once.
const FLOOD: u32 = 5_000;
const FLOOD_CONNECTIONS: usize = 256;
/// Connections at once, at most.
pub(crate) const CONNECTIONS: usize = IDLE + FLOOD_CONNECTIONS;
/// How long whoever was refused waits before asking again: refusals are no load.
const REFUSED: Duration = Duration::from_millis(10);

/// What goes on beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Nobody,
    Spinning,
    Allocating,
    Crowd,
    Flood,
}

impl Beside {
    /// All of them; the first is what the others are compared with.
    pub(crate) const ALL: [Self; 5] = [
        Self::Nobody,
        Self::Spinning,
        Self::Allocating,
        Self::Crowd,
        Self::Flood,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nobody => "alone",
            Self::Spinning => "beside 4 that spin",
            Self::Allocating => "beside 4 that allocate",
            Self::Crowd => "beside 64 of 3 ms",
            Self::Flood => "beside a flood",
        }
    }
}

/// What neighbours did.
#[derive(Debug, Serialize)]
pub(crate) struct Neighbours {
    /// For how long, in seconds.
    pub(crate) seconds: f64,
    /// Requests that should have been sent, of a flood.
    pub(crate) due: Option<u64>,
    pub(crate) sent: u64,
    pub(crate) answers: Outcomes,
    /// Bytes that each took at least, of those that allocate.
    pub(crate) allocated: Option<u64>,
    pub(crate) idle: Option<Idle>,
}

/// Connections that do nothing.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) connections: usize,
    /// How often one was opened again after the node had closed it.
    pub(crate) reopened: u64,
}

/// Neighbours that are about to begin.
pub(crate) enum Ready {
    Again { target: Target, at_once: usize },
    Flood { target: Target, idle: Vec<Client> },
}

impl Ready {
    /// What takes time before anything is measured; nobody's answer is none.
    pub(crate) async fn prepare(beside: Beside, target: Target) -> Result<Option<Self>> {
        Ok(match beside {
            Beside::Nobody => None,
            Beside::Spinning | Beside::Allocating => Some(Self::Again {
                target,
                at_once: AT_ONCE,
            }),
            Beside::Crowd => Some(Self::Again {
                target,
                at_once: CROWD,
            }),
            Beside::Flood => {
                let mut idle = Vec::with_capacity(IDLE);
                for _ in 0..IDLE {
                    idle.push(open_idle(&target).await?);
                    sleep(OPENING).await;
                }
                Some(Self::Flood { target, idle })
            }
        })
    }

    /// Does what they do for so long.
    pub(crate) async fn run(self, time: Duration) -> Result<Neighbours> {
        let until = Instant::now() + time;
        match self {
            Self::Again { target, at_once } => Ok(again(&target, at_once, time, until).await),
            Self::Flood { target, idle } => {
                let flood = OpenLoop {
                    target: &target,
                    rate: FLOOD,
                    warm_up: Duration::ZERO,
                    window: time,
                    connections: FLOOD_CONNECTIONS,
                    body: None,
                };
                let (seen, idle) = tokio::join!(open_loop::run(&flood), keep(idle, until));
                Ok(flooded(time, seen?, idle))
            }
        }
    }
}

/// A connection that has asked once, as browsers' have.
async fn open_idle(target: &Target) -> Result<Client> {
    let mut client = Client::new(target);
    let status = client.ask().await;
    match status.map_err(|failure| anyhow!("opening idle connections: {failure}"))? {
        200 => Ok(client),
        status => bail!("opening idle connections: an answer had the status {status}"),
    }
}

/// Keeps connections open; how often one was opened again.
async fn keep(idle: Vec<Client>, until: Instant) -> Idle {
    let connections = idle.len();
    // One at a time, for many are closed at once.
    let turn = Arc::new(Mutex::new(()));
    let mut kept = JoinSet::new();
    for mut client in idle {
        let turn = Arc::clone(&turn);
        kept.spawn(async move {
            let mut reopened = 0;
            while timeout_at(until.into(), client.closed()).await.is_ok() {
                let _turn = turn.lock().await;
                match timeout_at(until.into(), client.ask()).await {
                    Ok(answer) => reopened += u64::from(answer.is_ok()),
                    Err(_over) => break,
                }
                sleep(OPENING).await;
            }
            reopened
        });
    }
    let reopened = kept.join_all().await.into_iter().sum();
    Idle {
        connections,
        reopened,
    }
}

fn flooded(time: Duration, seen: Seen, idle: Idle) -> Neighbours {
    Neighbours {
        seconds: time.as_secs_f64(),
        due: Some(seen.due),
        sent: seen.sent,
        answers: seen.outcomes,
        allocated: None,
        idle: Some(idle),
    }
}

/// Some at once, each of which asks again when it has been answered.
async fn again(target: &Target, at_once: usize, time: Duration, until: Instant) -> Neighbours {
    let mut asking = JoinSet::new();
    for _ in 0..at_once {
        asking.spawn(one_again(Client::new(target), until));
    }
    let mut all = Neighbours {
        seconds: time.as_secs_f64(),
        due: None,
        sent: 0,
        answers: Outcomes::default(),
        allocated: None,
        idle: None,
    };
    for (sent, answers, allocated) in asking.join_all().await {
        all.sent += sent;
        all.answers.merge(&answers);
        all.allocated = all.allocated.into_iter().chain(allocated).min();
    }
    all
}

/// How many requests it sent, how they were answered, and the least that one allocated.
async fn one_again(mut client: Client, until: Instant) -> (u64, Outcomes, Option<u64>) {
    let (mut sent, mut answers, mut allocated) = (0, Outcomes::default(), None);
    loop {
        sent += 1;
        let Ok(outcome) = timeout_at(until.into(), client.ask()).await else {
            return (sent, answers, allocated);
        };
        answers.count(&outcome);
        match outcome {
            Ok(200) => allocated = allocated.into_iter().chain(bytes(client.body())).min(),
            // It was ended at a limit, as it was meant to.
            Ok(500 | 504) => {}
            Ok(_) | Err(Failure::Connection(_) | Failure::Closed) => sleep(REFUSED).await,
            Err(_) => return (sent, answers, allocated),
        }
        if Instant::now() >= until {
            return (sent, answers, allocated);
        }
    }
}

/// What a function that allocates says it took.
fn bytes(body: &[u8]) -> Option<u64> {
    std::str::from_utf8(body).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::server;

    const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n104\n";

    /// Ever longer times, for machines on which nothing happens in a short one.
    fn times() -> impl Iterator<Item = Duration> {
        (0..10).map(|doublings| Duration::from_millis(20 << doublings))
    }

    #[tokio::test]
    async fn whoever_was_answered_asks_again() {
        let target = server(TAKEN, usize::MAX, Duration::ZERO).await;
        for time in times() {
            let ready = Ready::prepare(Beside::Allocating, target.clone()).await;
            let did = ready.unwrap().unwrap().run(time).await.unwrap();
            assert_eq!(did.answers.total(), did.answers.of("200"));
            assert!(did.sent >= did.answers.total());
            if did.answers.total() > AT_ONCE as u64 {
                assert_eq!(did.allocated, Some(104));
                return;
            }
        }
        panic!("nobody asked again");
    }

    #[tokio::test]
    async fn nobody_does_nothing() {
        let target = server(TAKEN, usize::MAX, Duration::ZERO).await;
        let ready = Ready::prepare(Beside::Nobody, target).await.unwrap();
        assert!(ready.is_none());
    }

    #[tokio::test]
    async fn idle_connections_that_were_closed_are_opened_again() {
        // Closed after the first answer.
        let target = server(TAKEN, 1, Duration::ZERO).await;
        for time in times() {
            let idle = vec![open_idle(&target).await.unwrap()];
            let kept = keep(idle, Instant::now() + time).await;
            assert_eq!(kept.connections, 1);
            if kept.reopened > 0 {
                return;
            }
        }
        panic!("it was not opened again");
    }
}
