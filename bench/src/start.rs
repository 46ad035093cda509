//! `bench start`: from exec to the first answer, memory, and what an instance and a call cost in
//! process.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::{Client, Target};
use crate::in_process::{self, InProcess, Times};
use crate::machine::{Busy, Machine, warn_of_others};
use crate::setup::{Setup, get};
use crate::stats::{Spread, mebibytes};
use crate::strand::{Function, MANY_AT_ONCE, Strand, Up};

/// The guest of the starts, the one that sleeps, and those that are measured in process.
const STARTED: &str = "hello-http02";
const SLEEPER: &str = "probe02";
const MEASURED_IN_PROCESS: [&str; 2] = ["hello-http02", "hello-http03"];

/// Starts that are measured.
const STARTS: usize = 20;
/// How often the address is tried meanwhile: fine against milliseconds, and still a small part of
/// one core.
const POLL: Duration = Duration::from_micros(200);
/// How long a start, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a server is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(1);
/// Instances whose memory is measured, each of which sleeps so long.
const INSTANCES: usize = 200;
const SLEEP: &str = "/sleep/5000";
/// When all of them must be there: before the first wakes up.
const ALL_ASLEEP: Duration = Duration::from_secs(4);

/// The targets: first answer in milliseconds, instantiation in microseconds.
const FIRST_ANSWER_MS: f64 = 100.0;
const INSTANTIATION_US: f64 = 20.0;

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    isolation: &'static str,
    starts: usize,
    /// From exec to the first 200.
    first_answer_ms: Spread,
    first_answer_met: bool,
    /// Bytes.
    resident_idle: u64,
    resident_per_instance: f64,
    instances: usize,
    in_process: Vec<InProcess>,
    /// How much of the machine others took during the starts, 0 to 1.
    others_share: f64,
}

/// What is missing here to measure at all, a line each.
pub(crate) fn missing(setup: &Setup) -> Vec<String> {
    setup.missing_guests(MEASURED_IN_PROCESS.iter().chain([&STARTED, &SLEEPER]))
}

/// Measures, writes the JSON, and gives the figures and where the JSON is.
pub(crate) async fn run(setup: &Setup) -> Result<(Report, PathBuf)> {
    let machine = Machine::look()?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let hello = Function {
        guest: STARTED,
        limits: MANY_AT_ONCE,
        instance: None,
        bucket: false,
        route: "/",
    };
    let app = folder.path().join("app");
    hello.write_app(setup, &app)?;

    eprintln!("start: compiling into the cache, then {STARTS} starts");
    let (strand, _) = Strand::start(setup, &app, folder.path())?;
    drop(strand);
    let mut others = Vec::new();
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let busy = Busy::watch(&machine)?;
        let (took, cpu) = first_answer(setup, &app, folder.path())?;
        others.push(busy.by_others(cpu)?);
        starts.push(took.as_secs_f64() * 1000.0);
    }
    let first_answer_ms = Spread::of(starts).context("no starts")?;

    eprintln!("start: memory, idle and with {INSTANCES} instances");
    let resident_idle = idle(setup, &app, folder.path())?;
    let resident_per_instance = per_instance(setup).await?;

    eprintln!("start: instances and calls in process");
    let in_process = in_process::measure(setup, &MEASURED_IN_PROCESS).await?;

    let report = Report {
        machine,
        isolation: "an instance per request",
        starts: STARTS,
        first_answer_met: first_answer_ms.median <= FIRST_ANSWER_MS,
        first_answer_ms,
        resident_idle,
        resident_per_instance,
        instances: INSTANCES,
        in_process,
        others_share: Spread::of(others).map_or(0.0, |spread| spread.median),
    };
    let file = setup.save("start", &report)?;
    Ok((report, file))
}

/// Starts the server with a cache that holds everything; the time to its first good answer, and
/// its CPU time until then.
fn first_answer(setup: &Setup, app: &Path, folder: &Path) -> Result<(Duration, Duration)> {
    let up = Up::new(setup, &folder.join("state"), &[app])?;
    let begun = Instant::now();
    let (mut strand, _) = up.start(&folder.join("strand.log"))?;
    loop {
        // Refused connections are what waiting looks like. A connection that is accepted before
        // the server is ready is answered as soon as it is.
        if get(strand.address, "/", None, PATIENCE).is_ok_and(|(status, _)| status == 200) {
            return Ok((begun.elapsed(), strand.process.cpu()?));
        }
        strand.process.check_alive().context("strand up")?;
        if begun.elapsed() > PATIENCE {
            bail!(
                "no answer after {PATIENCE:?}; strand up had said:\n{}",
                strand.process.tail()
            );
        }
        thread::sleep(POLL);
    }
}

fn idle(setup: &Setup, app: &Path, folder: &Path) -> Result<u64> {
    let (strand, _) = Strand::start(setup, app, folder)?;
    let compiled = strand.metric("strand_compilations_total{result=\"compiled\"}")?;
    if compiled > 0 {
        bail!("the cache was not warm: {compiled} components were compiled again");
    }
    thread::sleep(IDLE);
    strand.process.memory("VmRSS")
}

/// Bytes that one more live instance takes, its connection and its task included.
async fn per_instance(setup: &Setup) -> Result<f64> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let app = folder.path().join("app");
    let sleeper = Function {
        guest: SLEEPER,
        limits: MANY_AT_ONCE,
        instance: None,
        bucket: true,
        route: "/{*rest}",
    };
    sleeper.write_app(setup, &app)?;
    let (strand, _) = Strand::start(setup, &app, folder.path())?;
    thread::sleep(IDLE);
    let before = strand.process.memory("VmRSS")?;
    let mut requests = JoinSet::new();
    for _ in 0..INSTANCES {
        requests.spawn(sleep(strand.address));
    }
    let begun = Instant::now();
    loop {
        // Lets the requests go out.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let live = strand.metric("strand_instances")?;
        if live == INSTANCES as u64 {
            break;
        }
        if begun.elapsed() > ALL_ASLEEP {
            bail!("{live} of {INSTANCES} instances after {ALL_ASLEEP:?}");
        }
    }
    let during = strand.process.memory("VmRSS")?;
    while let Some(status) = requests.join_next().await {
        let status = status??;
        if status != 200 {
            bail!("a function that sleeps answered {status}");
        }
    }
    Ok(during.saturating_sub(before) as f64 / INSTANCES as f64)
}

/// Asks for an answer that takes a while; its status.
async fn sleep(address: SocketAddr) -> Result<u16> {
    let mut client = Client::new(&Target {
        address,
        host: address.to_string(),
        path: SLEEP.to_owned(),
    });
    let answer = tokio::time::timeout(PATIENCE, client.ask()).await;
    let status = answer.context("a function that sleeps did not wake up")?;
    status.map_err(|failure| anyhow!("a function that sleeps: {failure}"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |met| if met { "met" } else { "missed" };
        writeln!(f, "start: {}", self.machine)?;
        writeln!(
            f,
            "exec to first answer, warm cache     {:.1} ms, {} starts, {}",
            self.first_answer_ms, self.starts, self.isolation
        )?;
        writeln!(
            f,
            "resident when idle                   {:.1} MiB",
            mebibytes(self.resident_idle)
        )?;
        writeln!(
            f,
            "resident per live instance           {:.0} KiB, with its connection, {} of them, {}",
            self.resident_per_instance / 1024.0,
            self.instances,
            self.isolation
        )?;
        for guest in &self.in_process {
            let line = |what, times: &Times| {
                format!(
                    "{what:<19} {:<16} p50 {:.1} µs, p99 {:.1} µs, {} times, {}",
                    guest.guest, times.p50_us, times.p99_us, guest.measured, guest.isolation
                )
            };
            writeln!(f, "{}", line("instantiation", &guest.instantiation))?;
            writeln!(f, "{}", line("a call in process", &guest.call))?;
        }
        writeln!(
            f,
            "target: first answer within {FIRST_ANSWER_MS} ms (median): {}",
            said(self.first_answer_met)
        )?;
        for guest in &self.in_process {
            writeln!(
                f,
                "target: {} instantiated and torn down within {INSTANTIATION_US} µs (p50): {}",
                guest.guest,
                said(guest.instantiation.p50_us < INSTANTIATION_US)
            )?;
        }
        warn_of_others(f, "the starts", Spread::of([self.others_share]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_that_of_the_instance_and_not_of_the_call() {
        let times = |p50_us| Times {
            p50_us,
            p99_us: 2.0 * p50_us,
        };
        let guest = |instantiation, call| InProcess {
            guest: "hello-http02",
            isolation: "an instance each",
            measured: 20_000,
            instantiation: times(instantiation),
            call: times(call),
        };
        let report = |in_process| Report {
            machine: Machine::of_tests(),
            isolation: "an instance per request",
            starts: STARTS,
            first_answer_ms: Spread {
                median: 10.0,
                min: 9.0,
                max: 11.0,
            },
            first_answer_met: true,
            resident_idle: 1 << 20,
            resident_per_instance: 1024.0,
            instances: INSTANCES,
            in_process: vec![in_process],
            others_share: 0.0,
        };
        let said = report(guest(12.34, 45.0)).to_string();
        for line in [
            "instantiation       hello-http02     p50 12.3 µs, p99 24.7 µs, 20000 times, an instance each\n",
            "a call in process   hello-http02     p50 45.0 µs, p99 90.0 µs, 20000 times, an instance each\n",
            "target: hello-http02 instantiated and torn down within 20 µs (p50): met\n",
        ] {
            assert!(said.contains(line), "no `{line}` in:\n{said}");
        }
        let said = report(guest(20.0, 19.0)).to_string();
        assert!(said.contains("within 20 µs (p50): missed\n"), "{said}");
    }
}
