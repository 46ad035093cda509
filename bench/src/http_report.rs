//! What `bench http` and `bench bodies` found, as a table and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::http::{Asked, Case};
use crate::machine::{Machine, warn_of_others};
use crate::peers::World;
use crate::stats::Spread;

/// The share of its thread that the load may take before it, and not the server, is measured.
const LOAD_BOUND: f64 = 0.9;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// CPU time of the server's process per answer.
    pub(crate) server_cpu_us: f64,
    /// CPU time of the load per answer.
    pub(crate) load_cpu_us: f64,
    /// How much of its one thread the load took, 0 to 1.
    pub(crate) load_share: f64,
    /// How much of the machine other processes took, 0 to 1.
    pub(crate) others_share: f64,
}

/// A peer in one case.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    #[serde(flatten)]
    pub(crate) case: Case,
    /// None when no round counted.
    pub(crate) requests_per_second: Option<Spread>,
    /// The median, as a multiple of `wasmtime serve`'s of the same world.
    pub(crate) ratio: Option<f64>,
    p50_us: Option<Spread>,
    p99_us: Option<Spread>,
    server_cpu_us: Option<Spread>,
    rounds: Vec<Round>,
    /// Why measurements did not count. Each was repeated once.
    void: Vec<String>,
    /// Rounds whose repetition did not count either.
    lost: usize,
}

impl Cell {
    pub(crate) fn new(case: Case, rounds: Vec<Round>, void: Vec<String>, lost: usize) -> Self {
        let spread = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
        Self {
            case,
            requests_per_second: spread(|round| round.requests_per_second),
            ratio: None,
            p50_us: spread(|round| round.p50_us),
            p99_us: spread(|round| round.p99_us),
            server_cpu_us: spread(|round| round.server_cpu_us),
            rounds,
            void,
            lost,
        }
    }
}

/// A line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct PeerReport {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    /// Whether the others of its world are compared with it.
    pub(crate) reference: bool,
    pub(crate) isolation: &'static str,
    pub(crate) command: String,
    /// Of ours: the function in the Directive.
    pub(crate) directive: Option<String>,
    pub(crate) cells: Vec<Cell>,
}

/// A peer that is not installed.
#[derive(Debug, Serialize)]
pub(crate) struct Missing {
    pub(crate) name: &'static str,
    pub(crate) why: String,
}

/// What must be reached.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) peer: &'static str,
    /// Who it is compared with.
    pub(crate) than: &'static str,
    pub(crate) connections: usize,
    /// Requests a second, as a multiple of the other's.
    pub(crate) at_least: f64,
    /// None when one of the two was not measured.
    pub(crate) ratio: Option<f64>,
    pub(crate) met: Option<bool>,
}

/// Who must be how many times as fast as whom, at 32 connections.
const TARGETS: [(&str, f64, &str); 5] = [
    ("strand 0.2 fresh", 4.0, "wasmtime serve 0.2"),
    ("strand 0.2 fresh", 2.0, "workerd"),
    ("strand 0.2, 50 apps", 0.5, "strand 0.2 fresh"),
    ("strand 0.2 reused", 6.0, "wasmtime serve 0.2"),
    ("strand 0.3 reused", 1.5, "wasmtime serve 0.3"),
];
const TARGET_CASE: Case = Case {
    asked: Asked::Hello,
    connections: 32,
};

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    title: &'static str,
    machine: Machine,
    load: String,
    rounds: usize,
    warm_up_seconds: f64,
    window_seconds: f64,
    cases: Vec<Case>,
    peers: Vec<PeerReport>,
    missing: Vec<Missing>,
    targets: Vec<Target>,
}

impl Report {
    pub(crate) fn new(
        title: &'static str,
        machine: Machine,
        rounds: usize,
        [warm_up, window]: [Duration; 2],
        cases: Vec<Case>,
        mut peers: Vec<PeerReport>,
        missing: Vec<Missing>,
    ) -> Self {
        compare(&mut peers);
        let targets = if cases.contains(&TARGET_CASE) {
            TARGETS
                .map(|(peer, at_least, than)| target(&peers, peer, at_least, than))
                .into()
        } else {
            Vec::new()
        };
        Self {
            title,
            machine,
            load: "strand-bench's own, the same for all: one thread, HTTP/1.1 keep-alive, closed \
                   loop, every answer's status and body checked"
                .to_owned(),
            rounds,
            warm_up_seconds: warm_up.as_secs_f64(),
            window_seconds: window.as_secs_f64(),
            cases,
            peers,
            missing,
            targets,
        }
    }

    /// Rounds of ours that do not count, because their repetition was void too. What a peer
    /// cannot do stands in the table, and is no reason to measure nothing more.
    pub(crate) fn lost(&self) -> usize {
        let ours = self.cells().filter(|(peer, _)| peer.directive.is_some());
        ours.map(|(_, cell)| cell.lost).sum()
    }

    fn cells(&self) -> impl Iterator<Item = (&PeerReport, &Cell)> {
        self.peers
            .iter()
            .flat_map(|peer| peer.cells.iter().map(move |cell| (peer, cell)))
    }
}

/// Fills in the ratios.
fn compare(peers: &mut [PeerReport]) {
    let references: Vec<(World, Vec<Option<Spread>>)> = peers
        .iter()
        .filter(|peer| peer.reference)
        .map(|peer| {
            let figures = peer.cells.iter().map(|cell| cell.requests_per_second);
            (peer.world, figures.collect())
        })
        .collect();
    for peer in peers {
        let Some((_, reference)) = references.iter().find(|(world, _)| *world == peer.world) else {
            continue;
        };
        for (cell, reference) in peer.cells.iter_mut().zip(reference) {
            cell.ratio = cell
                .requests_per_second
                .zip(*reference)
                .map(|(own, reference)| own.median / reference.median);
        }
    }
}

fn target(peers: &[PeerReport], peer: &'static str, at_least: f64, than: &'static str) -> Target {
    let median = |name| {
        let report = peers.iter().find(|report| report.name == name)?;
        let mut cells = report.cells.iter();
        let cell = cells.find(|cell| cell.case == TARGET_CASE)?;
        Some(cell.requests_per_second?.median)
    };
    let ratio = median(peer)
        .zip(median(than))
        .map(|(own, other)| own / other);
    Target {
        peer,
        than,
        connections: TARGET_CASE.connections,
        at_least,
        ratio,
        met: ratio.map(|ratio| ratio >= at_least),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.title, self.machine)?;
        writeln!(
            f,
            "{} interleaved rounds of {} s after {} s of warming up; medians (minimum to maximum)",
            self.rounds, self.window_seconds, self.warm_up_seconds
        )?;
        writeln!(f, "load: {}\n", self.load)?;
        for peer in &self.peers {
            writeln!(f, "{}: {}", peer.name, peer.isolation)?;
            writeln!(f, "  {}", peer.command)?;
            if let Some(directive) = &peer.directive {
                writeln!(f, "  {directive}")?;
            }
        }
        for missing in &self.missing {
            writeln!(f, "{}: {}", missing.name, missing.why)?;
        }
        for case in &self.cases {
            self.table(f, case)?;
        }
        writeln!(f)?;
        for target in &self.targets {
            target.write(f)?;
        }
        self.warn(f)
    }
}

impl Report {
    fn table(&self, f: &mut fmt::Formatter<'_>, case: &Case) -> fmt::Result {
        // Of a greeting nobody wants to know how many bytes it is.
        let with_bytes = case.bytes() > 0;
        let bytes_column = |text: String| match with_bytes {
            true => format!(" {text:>8}"),
            false => String::new(),
        };
        writeln!(
            f,
            "\n{:<20} {:>28}{} {:>7} {:>9} {:>9} {:>8}  isolation",
            case.to_string(),
            "requests a second",
            bytes_column("MiB/s".to_owned()),
            "ratio",
            "p50 µs",
            "p99 µs",
            "CPU µs"
        )?;
        for (peer, cell) in self.cells() {
            if cell.case != *case {
                continue;
            }
            let Some(requests) = cell.requests_per_second else {
                let why = cell.void.last().map_or("not measured", String::as_str);
                writeln!(f, "{:<20} void: {why}", peer.name)?;
                continue;
            };
            let ratio = cell
                .ratio
                .map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
            let mib = requests.median * case.bytes() as f64 / f64::from(1 << 20);
            // Both come from the same rounds as the requests.
            let median = |spread: Option<Spread>| spread.map_or(0.0, |spread| spread.median);
            writeln!(
                f,
                "{:<20} {:>28}{} {ratio:>7} {:>9.0} {:>9.0} {:>8.1}  {}",
                peer.name,
                format!("{requests:.0}"),
                bytes_column(format!("{mib:.0}")),
                median(cell.p50_us),
                median(cell.p99_us),
                median(cell.server_cpu_us),
                peer.isolation
            )?;
        }
        Ok(())
    }

    fn warn(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (peer, cell) in self.cells() {
            let (name, case) = (peer.name, cell.case);
            for why in &cell.void {
                writeln!(f, "void: {name}, {case}: {why}")?;
            }
            if cell.lost > 0 {
                writeln!(
                    f,
                    "lost: {name}, {case}: {} of {} rounds, void when repeated too",
                    cell.lost, self.rounds
                )?;
            }
            let bound = cell
                .rounds
                .iter()
                .filter(|round| round.load_share > LOAD_BOUND);
            if bound.count() > 0 {
                writeln!(
                    f,
                    "bound by the load: {name}, {case}, could be faster than this load can ask"
                )?;
            }
        }
        let others = self
            .cells()
            .flat_map(|(_, cell)| cell.rounds.iter().map(|round| round.others_share));
        warn_of_others(f, "a measurement", Spread::of(others))
    }
}

impl Target {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            peer,
            than,
            connections,
            at_least,
            ..
        } = self;
        write!(
            f,
            "target: {peer} at {connections} connections at least {at_least} times {than}: "
        )?;
        match (self.met, self.ratio) {
            (Some(met), Some(ratio)) => {
                let said = if met { "met" } else { "missed" };
                writeln!(f, "{said}, {ratio:.2} times")
            }
            _ => writeln!(f, "not measured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::CONNECTIONS;
    use crate::http::Plan;

    fn cases() -> Vec<Case> {
        Plan::hello(&CONNECTIONS).cases
    }

    fn round(requests_per_second: f64, others_share: f64) -> Round {
        Round {
            requests_per_second,
            p50_us: 10.0,
            p99_us: 20.0,
            server_cpu_us: 30.0,
            load_cpu_us: 8.0,
            load_share: 0.5,
            others_share,
        }
    }

    fn peer(name: &'static str, world: World, figures: &[f64], lost: usize) -> PeerReport {
        let cell = |case| {
            let rounds = figures.iter().map(|figure| round(*figure, 0.0)).collect();
            let void = vec!["an answer had the status 503".to_owned(); lost * 2];
            Cell::new(case, rounds, void, lost)
        };
        PeerReport {
            name,
            world,
            reference: name.starts_with("wasmtime"),
            isolation: "an instance per request",
            command: name.to_owned(),
            directive: name.starts_with("strand").then(String::new),
            cells: cases().into_iter().map(cell).collect(),
        }
    }

    fn report(peers: Vec<PeerReport>) -> Report {
        report_of(cases(), peers)
    }

    fn report_of(cases: Vec<Case>, peers: Vec<PeerReport>) -> Report {
        Report::new(
            "hello world over HTTP/1.1",
            Machine::of_tests(),
            3,
            [Duration::from_secs(1), Duration::from_secs(5)],
            cases,
            peers,
            Vec::new(),
        )
    }

    #[test]
    fn medians_are_compared_within_a_world() {
        let report = report(vec![
            peer("strand 0.2 fresh", World::Http02, &[40.0, 20.0, 90.0], 0),
            peer("strand 0.2, 50 apps", World::Http02, &[19.0], 0),
            peer("wasmtime serve 0.2", World::Http02, &[12.0, 1.0, 10.0], 0),
            peer("strand 0.3 reused", World::Http03, &[11.0], 0),
            peer("wasmtime serve 0.3", World::Http03, &[10.0], 0),
            peer("workerd", World::JavaScript, &[10.0], 0),
        ]);
        let ratios: Vec<_> = report
            .peers
            .iter()
            .map(|peer| peer.cells[1].ratio)
            .collect();
        assert_eq!(
            ratios,
            [Some(4.0), Some(1.9), Some(1.0), Some(1.1), Some(1.0), None]
        );
        let met: Vec<_> = report.targets.iter().map(|target| target.met).collect();
        assert_eq!(
            met,
            [Some(true), Some(true), Some(false), None, Some(false)]
        );
        let text = report.to_string();
        for line in [
            "strand 0.2 fresh at 32 connections at least 4 times wasmtime serve 0.2: met, 4.00 times",
            "strand 0.2 fresh at 32 connections at least 2 times workerd: met, 4.00 times",
            "strand 0.2, 50 apps at 32 connections at least 0.5 times strand 0.2 fresh: missed, 0.47 times",
            "strand 0.2 reused at 32 connections at least 6 times wasmtime serve 0.2: not measured",
            "strand 0.3 reused at 32 connections at least 1.5 times wasmtime serve 0.3: missed, 1.10 times",
        ] {
            assert!(
                text.contains(&format!("target: {line}\n")),
                "{line}\n{text}"
            );
        }
        assert_eq!(report.lost(), 0);
        assert!(!text.contains("disturbed"), "{text}");
    }

    /// The head of a case's table, and its first line.
    fn table(text: &str, case: Case) -> (&str, &str) {
        let case = case.to_string();
        let mut lines = text.lines().skip_while(|line| !line.starts_with(&case));
        (lines.next().unwrap(), lines.next().unwrap())
    }

    #[test]
    fn bodies_have_a_column_of_how_much_went_by() {
        for (asked, rate, expected) in [
            (Asked::Down(1 << 20), 1234.0, "1234"),
            (Asked::Up(1 << 20), 0.4, "0"),
            (Asked::Down(1 << 10), 3072.0, "3"),
        ] {
            let case = Case {
                asked,
                connections: 32,
            };
            let mut peer = peer("strand 0.2 fresh", World::Http02, &[], 0);
            peer.cells = vec![Cell::new(case, vec![round(rate, 0.0)], Vec::new(), 0)];
            let text = report_of(vec![case], vec![peer]).to_string();
            let (head, line) = table(&text, case);
            // What comes before in both lines is ASCII.
            let end = head.find("MiB/s").expect(head) + "MiB/s".len();
            let column = line[..end].split_whitespace().last();
            assert_eq!(column, Some(expected), "{text}");
            // Nothing of it is compared with what a greeting has to reach.
            assert!(!text.contains("target:"), "{text}");
        }
    }

    #[test]
    fn greetings_have_no_such_column() {
        let text = report(vec![peer("workerd", World::JavaScript, &[7.0], 0)]).to_string();
        let (head, line) = table(&text, TARGET_CASE);
        assert!(!text.contains("MiB/s"), "{text}");
        assert!(head.contains("requests a second   ratio"), "{head:?}");
        assert!(line.contains("7 (7 to 7)       -"), "{line:?}");
    }

    #[test]
    fn what_a_peer_cannot_do_is_told_and_is_no_loss_of_ours() {
        let report = report(vec![peer("wasmtime serve 0.3", World::Http03, &[], 1)]);
        assert_eq!(report.lost(), 0);
        let text = report.to_string();
        assert!(text.contains("void when repeated too"), "{text}");
    }

    #[test]
    fn void_rounds_are_told_and_missing_peers_decide_nothing() {
        let report = report(vec![peer("strand 0.2 fresh", World::Http02, &[], 1)]);
        assert_eq!(report.lost(), cases().len());
        assert_eq!(report.targets[0].met, None);
        let text = report.to_string();
        assert!(
            text.contains("void: an answer had the status 503"),
            "{text}"
        );
        assert!(
            text.contains("1 of 3 rounds, void when repeated too"),
            "{text}"
        );
        assert!(text.contains("not measured"), "{text}");
    }

    #[test]
    fn a_machine_that_others_use_is_told() {
        let mut disturbed = peer("workerd", World::JavaScript, &[1.0], 0);
        disturbed.cells[0].rounds[0] = round(1.0, 0.4);
        let text = report(vec![disturbed]).to_string();
        assert!(text.contains("40% at most"), "{text}");
    }
}
