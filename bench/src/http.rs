//! `bench http`: hello world over HTTP/1.1, ours and the peers' in interleaved rounds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::http_report::{Cell, Missing, PeerReport, Report, Round};
use crate::load::{self, Load, Measured, Void};
use crate::machine::{Busy, Machine};
use crate::peers::{self, Peer, Running};
use crate::setup::Setup;

/// Time before each measurement.
const WARM_UP: Duration = Duration::from_secs(1);

/// What is missing here to measure at all, a line each. Peers are left out instead.
pub(crate) fn missing(setup: &Setup) -> Vec<String> {
    let peers = peers::all();
    let guests: Vec<&str> = peers.iter().filter_map(Peer::guest).collect();
    setup.missing_guests(&guests)
}

/// Measures, writes the JSON, and gives the table and where the JSON is.
pub(crate) async fn run(
    setup: &Setup,
    rounds: usize,
    window: Duration,
    connections: &[usize],
) -> Result<(Report, PathBuf)> {
    let machine = Machine::look()?;
    let mut here = Vec::new();
    let mut missing = Vec::new();
    for peer in peers::all() {
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
    let each = (WARM_UP + window).as_secs() * connections.len() as u64;
    let minutes = (each * here.len() as u64 * rounds as u64).div_ceil(60);
    eprintln!(
        "http: {rounds} rounds of {} servers, about {minutes} minutes",
        here.len()
    );

    let mut bench = Bench {
        setup,
        machine: &machine,
        window,
        rounds,
        connections,
        seen: here.iter().map(|_| Seen::default()).collect(),
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
        .map(|(peer, seen)| seen.report(peer, connections))
        .collect();
    let report = Report::new(
        machine,
        rounds,
        [WARM_UP, window],
        connections.into(),
        peers,
        missing,
    );
    let file = setup.save("http", &report)?;
    Ok((report, file))
}

struct Bench<'a> {
    setup: &'a Setup,
    machine: &'a Machine,
    window: Duration,
    rounds: usize,
    connections: &'a [usize],
    seen: Vec<Seen>,
}

/// What was seen of one peer.
#[derive(Default)]
struct Seen {
    command: String,
    body: Vec<u8>,
    rounds: BTreeMap<usize, Vec<Round>>,
    void: BTreeMap<usize, Vec<String>>,
    lost: BTreeMap<usize, usize>,
}

impl Bench<'_> {
    /// One peer's turn in a round: a server of its own, and each number of connections in turn.
    async fn measure_peer(&mut self, round: usize, index: usize, peer: &Peer) -> Result<()> {
        let mut server = Server::start(self.setup, peer)?;
        for &connections in self.connections {
            let mut result = self.measure(&server.running, connections).await?;
            if let Err(void) = &result {
                self.note_void(round, index, peer, connections, void);
                // Perhaps it is the server's state that is broken.
                server = Server::start(self.setup, peer)?;
                result = self.measure(&server.running, connections).await?;
            }
            match result {
                Ok(measured) => {
                    self.say(
                        round,
                        peer,
                        connections,
                        &format!(
                            "{:>8.0} a second, {:.0} µs of the server's CPU each",
                            measured.requests_per_second, measured.server_cpu_us
                        ),
                    );
                    let seen = &mut self.seen[index];
                    seen.rounds.entry(connections).or_default().push(measured);
                }
                Err(void) => {
                    self.note_void(round, index, peer, connections, &void);
                    *self.seen[index].lost.entry(connections).or_default() += 1;
                }
            }
        }
        let seen = &mut self.seen[index];
        seen.command.clone_from(&server.running.command);
        seen.body.clone_from(&server.running.body);
        Ok(())
    }

    async fn measure(&self, running: &Running, connections: usize) -> Result<Result<Round, Void>> {
        let busy = Busy::watch(self.machine)?;
        let before = running.process.cpu()?;
        let measured = load::run(&Load {
            address: running.address,
            hosts: &running.hosts,
            connections,
            warm_up: WARM_UP,
            window: self.window,
            body: &running.body,
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

    fn note_void(
        &mut self,
        round: usize,
        index: usize,
        peer: &Peer,
        connections: usize,
        why: &Void,
    ) {
        self.say(round, peer, connections, &format!("void: {why}"));
        let void = &mut self.seen[index].void;
        void.entry(connections).or_default().push(why.to_string());
    }

    fn say(&self, round: usize, peer: &Peer, connections: usize, what: &str) {
        let (round, rounds, name) = (round + 1, self.rounds, peer.name);
        eprintln!("round {round} of {rounds}  {name:<20} {connections:>3} connections  {what}");
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
    fn report(mut self, peer: &Peer, connections: &[usize]) -> PeerReport {
        let directive = match &peer.kind {
            peers::Kind::Strand(function) | peers::Kind::StrandApps(function, _) => {
                Some(function.section())
            }
            _ => None,
        };
        let cells = connections
            .iter()
            .map(|connections| {
                Cell::new(
                    *connections,
                    self.rounds.remove(connections).unwrap_or_default(),
                    self.void.remove(connections).unwrap_or_default(),
                    self.lost.remove(connections).unwrap_or_default(),
                )
            })
            .collect();
        PeerReport {
            name: peer.name,
            world: peer.world,
            reference: peer.is_reference_of(peer.world),
            isolation: peer.isolation,
            command: self.command,
            directive,
            body_bytes: self.body.len(),
            cells,
        }
    }
}
