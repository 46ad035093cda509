//! `bench noise`: how long a function takes that needs little, beside others that need all they
//! can get.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use strand_builder::shell_line;

use crate::client::{Client, Target};
use crate::descriptors;
use crate::load::process_cpu;
use crate::machine::{Busy, Machine};
use crate::neighbours::{self, Beside, Neighbours, Ready};
use crate::noise_report::{Line, Report, compare};
use crate::open_loop::{self, OpenLoop, Seen};
use crate::priority::Priority;
use crate::setup::Setup;
use crate::stats::percentile;
use crate::strand::{App, Function, Strand};

/// CPU time that the measured function needs for an answer, and one of a crowd.
const WORK: Duration = Duration::from_millis(5);
const LITTLE: Duration = Duration::from_millis(3);
/// Requests a second, and how many may be under way at once.
const RATE: u32 = 20;
const CONNECTIONS: usize = 32;
/// Time before each measurement, in which all begin.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long neighbours go on after the last request was due: it is measured beside them too.
const AFTER: Duration = Duration::from_secs(2);

/// Rounds of work that are tried to find out how many take as long as they should, and how often.
const TRIED: u64 = 20_000_000;
const TRIES: u32 = 200;

/// The measured function, and what it answers.
const STEADY: Function = Function {
    guest: "probe02",
    limits: "",
    instance: None,
    bucket: true,
    route: "/{*rest}",
};
const DONE: &[u8] = b"done\n";
/// Takes as much memory as there is, 100 MiB of its own.
const ALLOCATING: Function = Function {
    guest: "hostile02",
    limits: "memory: 102Mi",
    instance: None,
    bucket: false,
    route: "/{*rest}",
};
const SPINNING: Function = Function {
    guest: "hostile02",
    limits: "",
    instance: None,
    bucket: false,
    route: "/{*rest}",
};
const FLOODED: Function = Function {
    guest: "hello-http02",
    limits: "",
    instance: None,
    bucket: false,
    route: "/",
};

/// The apps of the node, which all of it serves all the time.
const APPS: [(&str, &Function); 5] = [
    ("steady", &STEADY),
    ("spinning", &SPINNING),
    ("allocating", &ALLOCATING),
    ("crowding", &STEADY),
    ("flooded", &FLOODED),
];

/// What is missing here to measure at all, a line each.
pub(crate) fn missing(setup: &Setup) -> Vec<String> {
    let mut missing = setup.missing_guests(&APPS.map(|(_, function)| function.guest));
    let connections = CONNECTIONS + neighbours::CONNECTIONS;
    missing.extend(descriptors::missing("noise", connections));
    missing
}

/// Measures, writes the JSON, and gives the figures and where the JSON is.
pub(crate) async fn run(setup: &Setup, window: Duration) -> Result<(Report, PathBuf)> {
    let machine = Machine::look()?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let mut apps = Vec::new();
    for (name, function) in APPS {
        let app = App {
            name,
            host: Some(&host(name)),
            function,
        };
        let place = folder.path().join(name);
        app.write(&place, &std::fs::read(setup.guest(function.guest)?)?)?;
        apps.push(place);
    }
    let bench = Bench {
        setup,
        machine: &machine,
        apps,
        folder: folder.path(),
        window,
    };
    eprintln!("noise: how many rounds of work take {WORK:?} of CPU time");
    let rounds = bench.calibrate().await?;
    let mut lines = Vec::new();
    let mut server_command = String::new();
    for beside in Beside::ALL {
        let (line, command) = bench.measure(beside, rounds).await?;
        eprintln!("noise: {}", line.brief());
        lines.push(line);
        server_command = command;
    }
    compare(&mut lines);
    let requests = f64::from(RATE) * (WARM_UP + window).as_secs_f64();
    let report = Report {
        machine,
        server_command,
        path: work(rounds),
        requests_per_second: RATE,
        window_seconds: window.as_secs_f64(),
        work_ms: WORK.as_secs_f64() * 1e3,
        cpu_ms: lines.first().map_or(0.0, |alone| alone.server_cpu_seconds) * 1e3 / requests,
        lines,
    };
    let file = setup.save("noise", &report)?;
    Ok((report, file))
}

fn host(app: &str) -> String {
    format!("{app}.example")
}

/// The path of so many rounds of work.
fn work(rounds: u64) -> String {
    format!("/work/{rounds}")
}

fn target(strand: &Strand, app: &str, path: &str) -> Target {
    Target {
        address: strand.address,
        host: host(app),
        path: path.to_owned(),
    }
}

struct Bench<'a> {
    setup: &'a Setup,
    machine: &'a Machine,
    apps: Vec<PathBuf>,
    folder: &'a Path,
    window: Duration,
}

impl Bench<'_> {
    /// How many rounds of work the function needs [`WORK`] for.
    async fn calibrate(&self) -> Result<u64> {
        let (strand, _) = Strand::start_all(self.setup, &self.apps, self.folder)?;
        // The request that does nothing is subtracted: the function is to need that long.
        let nothing = cpu_of(&strand, 0).await?;
        let tried = cpu_of(&strand, TRIED).await?;
        rounds_for(WORK, TRIED, tried.saturating_sub(nothing))
            .with_context(|| format!("{TRIED} rounds of work took no CPU time"))
    }

    /// One line, with a node of its own; and how the node was started.
    async fn measure(&self, beside: Beside, rounds: u64) -> Result<(Line, String)> {
        let (strand, command) = Strand::start_all(self.setup, &self.apps, self.folder)?;
        let other = match beside {
            Beside::Nobody => target(&strand, "steady", &work(0)),
            Beside::Spinning => target(&strand, "spinning", "/spin"),
            Beside::Allocating => target(&strand, "allocating", "/alloc-polite"),
            Beside::Crowd => {
                let little = rounds as f64 * LITTLE.div_duration_f64(WORK);
                target(&strand, "crowding", &work(little as u64))
            }
            Beside::Flood => target(&strand, "flooded", "/"),
        };
        eprintln!(
            "noise: {}, {} s",
            beside.name(),
            (WARM_UP + self.window + AFTER).as_secs()
        );
        let neighbours = Ready::prepare(beside, other).await?;
        let steady = target(&strand, "steady", &work(rounds));
        let load = OpenLoop {
            target: &steady,
            rate: RATE,
            warm_up: WARM_UP,
            window: self.window,
            connections: CONNECTIONS,
            body: Some(DONE),
        };
        let priority = Priority::take();
        let (cpu, own_cpu) = (strand.process.cpu()?, process_cpu());
        let busy = Busy::watch(self.machine)?;
        let begun = Instant::now();
        let measured = async {
            match neighbours {
                None => Ok((open_loop::run(&load).await?, None)),
                Some(neighbours) => {
                    let time = WARM_UP + self.window + AFTER;
                    let (seen, did) =
                        tokio::try_join!(open_loop::run(&load), neighbours.run(time))?;
                    Ok::<_, anyhow::Error>((seen, Some(did)))
                }
            }
        };
        let (seen, did) = measured.await?;
        let server = strand.process.cpu()?.saturating_sub(cpu);
        let own = process_cpu().saturating_sub(own_cpu);
        let took = begun.elapsed().as_secs_f64();
        let line = Line {
            server_cpu_seconds: server.as_secs_f64(),
            load_share: own.as_secs_f64() / took,
            others_share: busy.by_others(server + own)?,
            load_has_priority: priority.is_some(),
            ..line(beside, &seen, did)?
        };
        Ok((line, shell_line(&command)))
    }
}

/// CPU time of the node for one request of so many rounds of work.
async fn cpu_of(strand: &Strand, rounds: u64) -> Result<Duration> {
    let mut client = Client::new(&target(strand, "steady", &work(rounds)));
    let before = strand.process.cpu()?;
    for _ in 0..TRIES {
        match client.ask().await {
            Ok(200) if client.body() == DONE => {}
            Ok(status) => bail!("the function that is to be measured answered {status}"),
            Err(failure) => bail!("the function that is to be measured: {failure}"),
        }
    }
    Ok(strand.process.cpu()?.saturating_sub(before) / TRIES)
}

/// How many rounds take `wanted` if `tried` rounds took so long; none if they took no time.
fn rounds_for(wanted: Duration, tried: u64, took: Duration) -> Option<u64> {
    if took.is_zero() {
        return None;
    }
    let rounds = tried as f64 * wanted.as_secs_f64() / took.as_secs_f64();
    Some((rounds as u64).max(1))
}

/// What there is to say of one measurement, but for what it cost.
fn line(beside: Beside, seen: &Seen, neighbours: Option<Neighbours>) -> Result<Line> {
    let milliseconds = |sorted: &[u64], share| {
        percentile(sorted, share)
            .map(|nanoseconds| nanoseconds as f64 / 1e6)
            .with_context(|| format!("{}: not one request was answered", beside.name()))
    };
    Ok(Line {
        beside: beside.name(),
        p50_ms: milliseconds(&seen.latencies, 0.5)?,
        p99_ms: milliseconds(&seen.latencies, 0.99)?,
        max_ms: milliseconds(&seen.latencies, 1.0)?,
        due: seen.due,
        failed: seen.failed(),
        answers: seen.outcomes.clone(),
        late_p99_ms: milliseconds(&seen.late, 0.99)?,
        neighbours,
        ..Line::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_as_many_as_take_the_wanted_time() {
        let milliseconds = Duration::from_millis;
        assert_eq!(
            rounds_for(WORK, 1_000_000, milliseconds(2)),
            Some(2_500_000)
        );
        assert_eq!(rounds_for(WORK, 1_000_000, milliseconds(10)), Some(500_000));
        assert_eq!(rounds_for(WORK, 1, Duration::from_secs(60)), Some(1));
        assert_eq!(rounds_for(WORK, 1_000_000, Duration::ZERO), None);
    }

    #[test]
    fn a_line_is_in_milliseconds_and_counts_what_failed() {
        let mut seen = Seen {
            latencies: (1..=100).map(|it| it * 1_000_000).collect(),
            late: vec![50_000],
            due: 103,
            sent: 103,
            ..Seen::default()
        };
        seen.outcomes.add("200", 100);
        seen.outcomes.add("503", 3);
        let line = line(Beside::Spinning, &seen, None).unwrap();
        assert_eq!((line.p50_ms, line.p99_ms, line.max_ms), (50.0, 99.0, 100.0));
        assert_eq!((line.due, line.failed), (103, 3));
        assert_eq!(line.late_p99_ms, 0.05);
    }
}
