//! `bench http` and `bench bodies`: requests over HTTP/1.1, to ours and the peers' servers in
//! interleaved rounds.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::descriptors;
use crate::http_report::{Cell, Missing, PeerReport, Report, Round};
use crate::load::{self, Exchange, Load, Measured, Void};
use crate::machine::{Busy, Machine};
use crate::peers::{self, Peer, Running};
use crate::setup::Setup;

/// Time before each measurement.
const WARM_UP: Duration = Duration::from_secs(1);

/// Connections with which bodies are measured.
const BODIES_CONNECTIONS: usize = 32;
/// Bytes of a body.
const SMALL: usize = 1 << 10;
const LARGE: usize = 1 << 20;

/// What is asked of every peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    /// A greeting, each peer's own.
    Hello,
    /// An answer of so many bytes.
    Down(usize),
    /// How many bytes came with the request.
    Up(usize),
}

/// One table: what is asked, over how many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Case {
    pub(crate) asked: Asked,
    pub(crate) connections: usize,
}

impl Case {
    /// Bytes of the large body of a request or its answer.
    pub(crate) fn bytes(&self) -> usize {
        match self.asked {
            Asked::Hello => 0,
            Asked::Down(bytes) | Asked::Up(bytes) => bytes,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = self.bytes() >> 10;
        let way = match self.asked {
            Asked::Hello => return write!(f, "{} connections", self.connections),
            Asked::Down(_) => "down",
            Asked::Up(_) => "up",
        };
        write!(f, "{kib} KiB {way}")
    }
}

/// A bench: whom to ask for what.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    peers: Vec<Peer>,
    pub(crate) cases: Vec<Case>,
}

impl Plan {
    /// Hello world over so many connections.
    pub(crate) fn hello(connections: &[usize]) -> Self {
        let case = |connections: &usize| Case {
            asked: Asked::Hello,
            connections: *connections,
        };
        Self {
            name: "http",
            title: "hello world over HTTP/1.1",
            peers: peers::hello(),
            cases: connections.iter().map(case).collect(),
        }
    }

    /// Small and large bodies in both directions.
    pub(crate) fn bodies() -> Self {
        let case = |asked| Case {
            asked,
            connections: BODIES_CONNECTIONS,
        };
        Self {
            name: "bodies",
            title: "bodies over HTTP/1.1 and 32 connections",
            peers: peers::bodies(),
            cases: [
                Asked::Down(SMALL),
                Asked::Up(SMALL),
                Asked::Down(LARGE),
                Asked::Up(LARGE),
            ]
            .map(case)
            .into(),
        }
    }

    /// What is missing here to measure at all, a line each. Peers are left out instead.
    pub(crate) fn missing(&self, setup: &Setup) -> Vec<String> {
        let guests: Vec<&str> = self.peers.iter().filter_map(Peer::guest).collect();
        let mut missing = setup.missing_guests(&guests);
        let connections = self.cases.iter().map(|case| case.connections);
        missing.extend(descriptors::missing(
            self.name,
            connections.max().unwrap_or(0),
        ));
        missing
    }
}

/// Measures, writes the JSON, and gives the table and where the JSON is.
pub(crate) async fn run(
    setup: &Setup,
    plan: Plan,
    rounds: usize,
    window: Duration,
) -> Result<(Report, PathBuf)> {
    let machine = Machine::look()?;
    let mut here = Vec::new();
    let mut missing = Vec::new();
    let Plan {
        name,
        title,
        peers,
        cases,
    } = plan;
    for peer in peers {
        match peer.missing(setup) {
            None => here.push(peer),
            Some(why) => {
                eprintln!("{}: {why}", peer.name);
                missing.push(Missing {
                    name: peer.name,
                    why,
                });
            }
        }
    }
    let each = (WARM_UP + window).as_secs() * cases.len() as u64;
    let minutes = (each * here.len() as u64 * rounds as u64).div_ceil(60);
    eprintln!(
        "{name}: {rounds} rounds of {} servers, about {minutes} minutes",
        here.len()
    );

    let mut bench = Bench {
        setup,
        machine: &machine,
        window,
        rounds,
        cases: &cases,
        seen: here.iter().map(|_| Seen::new(cases.len())).collect(),
    };
    for round in 0..rounds {
        // Each round begins with another one, so that none always follows the same neighbour.
        for turn in 0..here.len() {
            let index = (round + turn) % here.len();
            bench.measure_peer(round, index, &here[index]).await?;
        }
    }

    let peers = here
        .iter()
        .zip(bench.seen)
        .map(|(peer, seen)| seen.report(peer, &cases))
        .collect();
    let report = Report::new(
        title,
        machine,
        rounds,
        [WARM_UP, window],
        cases,
        peers,
        missing,
    );
    let file = setup.save(name, &report)?;
    Ok((report, file))
}

struct Bench<'a> {
    setup: &'a Setup,
    machine: &'a Machine,
    window: Duration,
    rounds: usize,
    cases: &'a [Case],
    seen: Vec<Seen>,
}

/// What was seen of one peer.
struct Seen {
    command: String,
    /// One for each case.
    cells: Vec<Rounds>,
}

/// What was seen of one peer in one case.
#[derive(Clone, Default)]
struct Rounds {
    counted: Vec<Round>,
    void: Vec<String>,
    lost: usize,
}

impl Bench<'_> {
    /// One peer's turn in a round: a server of its own, and each case in turn.
    async fn measure_peer(&mut self, round: usize, index: usize, peer: &Peer) -> Result<()> {
        let mut server = Server::start(self.setup, peer)?;
        for (number, case) in self.cases.iter().enumerate() {
            let mut result = self.measure(&server.running, case).await?;
            if let Err(void) = &result {
                self.say(round, peer, case, &format!("void: {void}"));
                self.seen[index].cells[number].void.push(void.to_string());
                // Perhaps it is the server's state that is broken.
                server = Server::start(self.setup, peer)?;
                result = self.measure(&server.running, case).await?;
            }
            let said = match &result {
                Ok(measured) => format!(
                    "{:>8.0} a second, {:.0} µs of the server's CPU each",
                    measured.requests_per_second, measured.server_cpu_us
                ),
                Err(void) => format!("void: {void}"),
            };
            self.say(round, peer, case, &said);
            let cell = &mut self.seen[index].cells[number];
            match result {
                Ok(measured) => cell.counted.push(measured),
                Err(void) => {
                    cell.void.push(void.to_string());
                    cell.lost += 1;
                }
            }
        }
        let command = &mut self.seen[index].command;
        command.clone_from(&server.running.command);
        Ok(())
    }

    async fn measure(&self, running: &Running, case: &Case) -> Result<Result<Round, Void>> {
        let bytes = vec![b'x'; case.bytes()];
        let (path, count) = (format!("/{}", bytes.len()), bytes.len().to_string());
        let exchange = match case.asked {
            Asked::Hello => Exchange {
                path: "/",
                upload: None,
                answer: &running.body,
            },
            Asked::Down(_) => Exchange {
                path: &path,
                upload: None,
                answer: &bytes,
            },
            Asked::Up(_) => Exchange {
                path: "/up",
                upload: Some(&bytes),
                answer: count.as_bytes(),
            },
        };
        let busy = Busy::watch(self.machine)?;
        let before = running.process.cpu()?;
        let measured = load::run(&Load {
            address: running.address,
            hosts: &running.hosts,
            exchange,
            connections: case.connections,
            warm_up: WARM_UP,
            window: self.window,
        })
        .await;
        let measured = match measured {
            Ok(measured) => measured,
            Err(void) => return Ok(Err(void)),
        };
        let server = running.process.cpu()?.saturating_sub(before);
        let others = busy.by_others(server + measured.own_cpu)?;
        Ok(Ok(round_of(&measured, server, others)))
    }

    fn say(&self, round: usize, peer: &Peer, case: &Case, what: &str) {
        let (round, rounds, name, case) = (round + 1, self.rounds, peer.name, case.to_string());
        eprintln!("round {round} of {rounds}  {name:<20} {case:>16}  {what}");
    }
}

fn round_of(measured: &Measured, server: Duration, others: f64) -> Round {
    let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
    let per_answer = |cpu: Duration| cpu.as_secs_f64() * 1e6 / measured.answers as f64;
    Round {
        requests_per_second: measured.requests_per_second,
        p50_us: microseconds(measured.p50),
        p99_us: microseconds(measured.p99),
        server_cpu_us: per_answer(server),
        load_cpu_us: per_answer(measured.own_cpu),
        load_share: measured.own_cpu.as_secs_f64() / measured.elapsed.as_secs_f64(),
        others_share: others,
    }
}

/// A peer's server with its temporary folder. The server goes first.
struct Server {
    running: Running,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(setup: &Setup, peer: &Peer) -> Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        Ok(Self {
            running: peer.start(setup, folder.path())?,
            _folder: folder,
        })
    }
}

impl Seen {
    fn new(cases: usize) -> Self {
        Self {
            command: String::new(),
            cells: vec![Rounds::default(); cases],
        }
    }

    fn report(self, peer: &Peer, cases: &[Case]) -> PeerReport {
        let directive = match &peer.kind {
            peers::Kind::Strand(function) | peers::Kind::StrandApps(function, _) => {
                Some(function.section())
            }
            _ => None,
        };
        let cell = |(case, cell): (&Case, Rounds)| {
            let Rounds {
                counted,
                void,
                lost,
            } = cell;
            Cell::new(*case, counted, void, lost)
        };
        PeerReport {
            name: peer.name,
            world: peer.world,
            reference: peer.is_reference_of(peer.world),
            isolation: peer.isolation,
            command: self.command,
            directive,
            cells: cases.iter().zip(self.cells).map(cell).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_told_by_what_tells_it_from_the_others_of_its_bench() {
        let case = |asked, connections| Case { asked, connections }.to_string();
        assert_eq!(case(Asked::Hello, 256), "256 connections");
        assert_eq!(case(Asked::Down(SMALL), 32), "1 KiB down");
        assert_eq!(case(Asked::Up(SMALL), 32), "1 KiB up");
        assert_eq!(case(Asked::Down(LARGE), 32), "1024 KiB down");
        assert_eq!(case(Asked::Up(LARGE), 32), "1024 KiB up");
    }

    #[test]
    fn bodies_are_small_and_large_in_both_directions() {
        let plan = Plan::bodies();
        let cases = plan.cases.iter().map(Case::to_string);
        assert_eq!(
            cases.collect::<Vec<_>>(),
            ["1 KiB down", "1 KiB up", "1024 KiB down", "1024 KiB up"]
        );
        assert!(plan.cases.iter().all(|case| case.connections == 32));
        assert!(plan.title.ends_with("32 connections"), "{}", plan.title);
        let peers = plan.peers.iter().map(|peer| peer.name);
        assert_eq!(
            peers.collect::<Vec<_>>(),
            [
                "strand 0.2 fresh",
                "strand 0.2 reused",
                "wasmtime serve 0.2",
                "strand 0.3 fresh",
                "strand 0.3 reused",
                "wasmtime serve 0.3",
                "workerd"
            ]
        );
    }

    #[test]
    fn each_world_s_peers_run_the_same_guest() {
        for plan in [Plan::hello(&[1]), Plan::bodies()] {
            for reference in &plan.peers {
                if !reference.is_reference_of(reference.world) {
                    continue;
                }
                for peer in &plan.peers {
                    if peer.world == reference.world {
                        assert_eq!(peer.guest(), reference.guest(), "{}", peer.name);
                    }
                }
            }
        }
    }
}
