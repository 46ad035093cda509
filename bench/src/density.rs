//! `bench density`: a node with many apps, each with a component of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use strand_builder::shell_line;
use tokio::time::sleep;

use crate::client::{Client, Target};
use crate::density_report::{Held, Prepared, Report, Requests};
use crate::machine::{Busy, Machine};
use crate::memory::Memory;
use crate::setup::Setup;
use crate::stats::{Spread, percentile};
use crate::strand::{App, Function, Strand, Up, distinct};

/// What every app has, but for a section that makes it another component.
const GUEST: &str = "hello-http02";
const FUNCTION: Function = Function {
    guest: GUEST,
    limits: "",
    instance: None,
    bucket: false,
    route: "/",
};
/// As much compiled code as is ever asked for, on disk and in memory: what was prepared or asked is
/// not to go again.
const CONFIG: &str = "[compile]\ncache = \"128Gi\"\n[engine]\ncode = \"16Gi\"\n";

/// Starts that are measured.
const STARTS: usize = 3;
/// How often a node is asked whether it is ready, and how long it may take: so long for each app,
/// if all have to be compiled, and a while.
const POLL: Duration = Duration::from_millis(2);
const EACH: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is told how far the preparation is.
const PROGRESS: Duration = Duration::from_secs(30);
/// How long a node is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(3);
/// Apps that are asked, spread over all.
const ASKED: usize = 300;
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// What is missing here to measure at all, a line each.
pub(crate) fn missing(setup: &Setup) -> Vec<String> {
    setup.missing_guests(&[GUEST])
}

/// Measures, writes the JSON, and gives the figures and where the JSON is.
pub(crate) async fn run(setup: &Setup, apps: usize) -> Result<(Report, PathBuf)> {
    let machine = Machine::look()?;
    let place = setup.cache.join("density");
    let nodes = Nodes::write(setup, &place, apps)?;

    eprintln!("density: a first start, which compiles what is not in the cache");
    let prepared = nodes.prepare(apps).await?;
    eprintln!("density: {prepared}");

    let (alone_ready, alone, one) = nodes.alone().await?;
    let mut ready = Vec::with_capacity(STARTS);
    let mut others = Vec::with_capacity(STARTS);
    let mut cold = true;
    let mut last = None;
    for start in 1..=STARTS {
        // One node at a time: the last one goes first.
        drop(last.take());
        cold &= drop_page_cache();
        let busy = Busy::watch(&machine)?;
        let (strand, took) = nodes.start(apps).await?;
        others.push(busy.by_others(strand.process.cpu()?)?);
        eprintln!(
            "density: start {start} of {STARTS}: ready after {:.3} s",
            took.as_secs_f64()
        );
        ready.push(took.as_secs_f64());
        last = Some(strand);
    }
    let strand = last.context("no starts")?;
    let compiled = strand.metric("strand_compilations_total{result=\"compiled\"}")?;
    if compiled > 0 {
        bail!("the cache was not warm: {compiled} components were compiled again");
    }
    sleep(IDLE).await;
    let idle = Memory::of(&strand.process)?;

    let asked = spread(apps, ASKED);
    eprintln!("density: requests to {} of the apps", asked.len());
    let first = ask(&strand, &asked).await?;
    sleep(IDLE).await;
    let touched = Memory::of(&strand.process)?;
    let second = ask(&strand, &asked).await?;

    let report = Report {
        machine,
        server_command: shell_line(&one),
        apps,
        prepared,
        page_cache_dropped: cold,
        starts: STARTS,
        ready_seconds: Spread::of(ready).context("no starts")?,
        alone_ready_seconds: alone_ready.as_secs_f64(),
        alone,
        idle,
        touched,
        per_idle_app: Held::each(&alone, &idle, apps - 1),
        per_touched_app: Held::each(&idle, &touched, asked.len()),
        asked: asked.len(),
        first_request: requests(first)?,
        second_request: requests(second)?,
        others_share: Spread::of(others).context("no starts")?,
    };
    let file = setup.save("density", &report)?;
    Ok((report, file))
}

/// The apps' folders, and all that nodes of them need. They stay, as compiled code does.
struct Nodes<'a> {
    setup: &'a Setup,
    apps: PathBuf,
    state: PathBuf,
    config: PathBuf,
    /// Of nodes that come and go.
    folder: tempfile::TempDir,
}

impl<'a> Nodes<'a> {
    fn write(setup: &'a Setup, place: &Path, apps: usize) -> Result<Self> {
        let nodes = Self {
            setup,
            apps: place.join("apps"),
            state: place.join("state"),
            config: place.join("node.toml"),
            folder: tempfile::tempdir().context("a temporary folder")?,
        };
        let wasm = fs::read(setup.guest(GUEST)?)?;
        for app in 0..apps {
            let host = host(app);
            App {
                name: &name(app),
                host: Some(&host),
                function: &FUNCTION,
            }
            .write(&nodes.apps.join(name(app)), &distinct(&wasm, &name(app)))?;
        }
        fs::write(&nodes.config, CONFIG).with_context(|| format!("{}", nodes.config.display()))?;
        Ok(nodes)
    }

    /// A node with the first ones of the apps. Their folders are named relative to where it
    /// starts: a command line has no room for ten thousand paths.
    fn up(&self, apps: usize) -> Result<Up> {
        let names: Vec<String> = (0..apps).map(name).collect();
        let mut up = Up::new(self.setup, &self.state, &names)?;
        up.command
            .current_dir(&self.apps)
            .arg("--config")
            .arg(&self.config);
        Ok(up)
    }

    /// Has everything compiled.
    async fn prepare(&self, apps: usize) -> Result<Prepared> {
        let begun = Instant::now();
        let (mut strand, _) = self
            .up(apps)?
            .start(&self.folder.path().join("strand.log"))?;
        let mut said = begun;
        wait(&mut strand, apps, || {
            if said.elapsed() > PROGRESS {
                said = Instant::now();
                let (kept, _) = self.artifacts();
                eprintln!("density: {kept} components are compiled and kept");
            }
        })
        .await?;
        let seconds = begun.elapsed().as_secs_f64();
        let compiled = strand.metric("strand_compilations_total{result=\"compiled\"}")?;
        let cached = strand.metric("strand_compilations_total{result=\"cached\"}")?;
        let (kept, bytes) = self.artifacts();
        Ok(Prepared {
            compiled,
            cached,
            seconds,
            kept,
            kept_bytes: bytes,
            place: self.state.clone(),
        })
    }

    /// A node with one app, which the others are compared with: how soon it was ready, its
    /// memory, and how it was started.
    async fn alone(&self) -> Result<(Duration, Memory, Command)> {
        drop_page_cache();
        let begun = Instant::now();
        let (mut strand, command) = self.up(1)?.start(&self.folder.path().join("strand.log"))?;
        wait(&mut strand, 1, || {}).await?;
        let ready = begun.elapsed();
        sleep(IDLE).await;
        Ok((ready, Memory::of(&strand.process)?, command))
    }

    /// Starts a node; the time from before its process is made until it is ready.
    async fn start(&self, apps: usize) -> Result<(Strand, Duration)> {
        let up = self.up(apps)?;
        let begun = Instant::now();
        let (mut strand, _) = up.start(&self.folder.path().join("strand.log"))?;
        wait(&mut strand, apps, || {}).await?;
        Ok((strand, begun.elapsed()))
    }

    /// How much compiled code is kept: files and bytes.
    fn artifacts(&self) -> (u64, u64) {
        let folder = fs::read_dir(self.state.join("artifacts"));
        let files = folder.into_iter().flatten().flatten();
        files
            // One that goes in the meantime is not kept.
            .filter_map(|file| file.metadata().ok())
            .fold((0, 0), |(files, bytes), file| {
                (files + 1, bytes + file.len())
            })
    }
}

fn name(app: usize) -> String {
    format!("app-{app}")
}

fn host(app: usize) -> String {
    format!("{}.example", name(app))
}

/// Waits until a node is ready, and gives others their turn in the meantime.
async fn wait(strand: &mut Strand, apps: usize, mut meanwhile: impl FnMut()) -> Result<()> {
    let patience = PATIENCE + EACH * u32::try_from(apps).unwrap_or(u32::MAX);
    let end = Instant::now() + patience;
    while !strand.is_ready()? {
        if Instant::now() > end {
            bail!(
                "strand up was not ready after {patience:?}; it had said:\n{}",
                strand.process.tail()
            );
        }
        meanwhile();
        sleep(POLL).await;
    }
    Ok(())
}

/// Has the system forget what it has read from disks, as after its own start; whether it did.
fn drop_page_cache() -> bool {
    // What is not written yet cannot be forgotten.
    rustix::fs::sync();
    let dropped = fs::write("/proc/sys/vm/drop_caches", "3\n");
    if let Err(error) = &dropped {
        eprintln!("density: the page cache is not dropped, which needs root: {error}");
    }
    dropped.is_ok()
}

/// So many of the apps, or all, evenly spread.
fn spread(apps: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(apps);
    (0..wanted).map(|index| index * apps / wanted).collect()
}

/// Asks each of some apps, one at a time, on a connection of its own; nanoseconds from before it
/// connects until the answer has been read.
async fn ask(strand: &Strand, apps: &[usize]) -> Result<Vec<u64>> {
    let mut took = Vec::with_capacity(apps.len());
    for app in apps {
        let target = Target {
            address: strand.address,
            host: host(*app),
            path: "/".to_owned(),
        };
        let mut client = Client::new(&target);
        let begun = Instant::now();
        let answer = tokio::time::timeout(ANSWER, client.ask()).await;
        let nanoseconds = begun.elapsed().as_nanos();
        let answer = answer.with_context(|| format!("{}: no answer", target.host))?;
        let status = answer.map_err(|failure| anyhow!("{}: {failure}", target.host))?;
        if status != 200 {
            let said = String::from_utf8_lossy(client.body());
            bail!("{} answered {status}: {said}", target.host);
        }
        took.push(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
    }
    Ok(took)
}

fn requests(mut nanoseconds: Vec<u64>) -> Result<Requests> {
    nanoseconds.sort_unstable();
    let milliseconds = |share| {
        let found = percentile(&nanoseconds, share).context("no app was asked")?;
        Ok::<_, anyhow::Error>(found as f64 / 1e6)
    };
    Ok(Requests {
        p50_ms: milliseconds(0.5)?,
        p99_ms: milliseconds(0.99)?,
        max_ms: milliseconds(1.0)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_that_are_asked_are_spread_over_all() {
        assert_eq!(spread(1000, 4), [0, 250, 500, 750]);
        assert_eq!(spread(7, 3), [0, 2, 4]);
        assert_eq!(spread(3, 300), [0, 1, 2]);
    }

    #[test]
    fn requests_are_in_milliseconds() {
        let found = requests((1..=300).rev().map(|it| it * 1_000_000).collect()).unwrap();
        assert_eq!(
            (found.p50_ms, found.p99_ms, found.max_ms),
            (150.0, 297.0, 300.0)
        );
        assert!(requests(Vec::new()).is_err());
    }
}
