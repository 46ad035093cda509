//! `bench reads`: simulated reads of E. coli over HTTP, against wgsim writing to `/dev/null`.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use strand_builder::shell_line;

use crate::machine::{Busy, DISTURBED, Machine};
use crate::process::{children_cpu, memory_field};
use crate::setup::{Setup, get, on_path};
use crate::stats::Spread;
use crate::strand::Strand;
use crate::tools;

const PAIRS: &str = "100000";
const SEED: &str = "42";
/// How long the first request may take: it indexes the reference.
const FIRST: Duration = Duration::from_secs(120);

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    isolation: &'static str,
    server_command: String,
    curl_command: String,
    wgsim_command: String,
    rounds: usize,
    /// Bytes of one answer.
    bytes: u64,
    /// Wall times.
    strand_seconds: Spread,
    wgsim_seconds: Spread,
    /// CPU times: the server's for one request, and wgsim's.
    server_cpu_seconds: Spread,
    wgsim_cpu_seconds: Spread,
    /// How many times as fast as wgsim, by the medians.
    ratio: f64,
    met: bool,
    /// Bytes.
    server_peak: u64,
    function_peak: u64,
    wgsim_peak: u64,
    /// How much of the machine others took, 0 to 1.
    others_share: Spread,
}

/// Measures, writes the JSON, and gives the figures and where the JSON is.
pub(crate) async fn run(setup: &Setup, rounds: usize) -> Result<(Report, PathBuf)> {
    let machine = Machine::look()?;
    let app = setup.root.join("examples/reads");
    let genome = app.join("genomes/ecoli.fa");
    if !genome.is_file() {
        bail!(
            "{} is not there; add it: cargo xtask genome ecoli",
            genome.display()
        );
    }
    for (program, package) in [("wgsim", "samtools"), ("curl", "curl")] {
        if on_path(program).is_none() {
            bail!("{program} is not installed: add --install-peers (Debian's {package})");
        }
    }
    eprintln!("reads: building the app");
    let mut build = Command::new(&setup.strand);
    build.arg("build").arg(&app);
    tools::show(build).await?;

    let folder = tempfile::tempdir().context("a temporary folder")?;
    let (strand, server) = Strand::start(setup, &app, folder.path())?;
    let url = |pairs: &str| format!("/reads?reference=ecoli&n={pairs}&seed={SEED}");
    eprintln!("reads: a first request, which indexes the reference");
    let (status, body) = get(strand.address, &url("1"), None, FIRST)?;
    if status != 200 {
        bail!(
            "the first request was answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
    }
    let target = format!("http://{}{}", strand.address, url(PAIRS));
    let curl = || {
        let mut curl = Command::new("curl");
        curl.args([
            "-so",
            "/dev/null",
            "-w",
            "%{http_code} %{size_download}",
            &target,
        ]);
        curl
    };
    let wgsim = |one: &Path, two: &Path| {
        let mut wgsim = Command::new("wgsim");
        wgsim
            .args(["-N", PAIRS, "-S", SEED])
            .args([&genome, one, two])
            .stdout(Stdio::null());
        wgsim
    };
    let null = Path::new("/dev/null");

    eprintln!("reads: the same bytes as wgsim's");
    let bytes = compare(folder.path(), &target, wgsim).await?;
    let expected = format!("200 {bytes}");

    let (mut ours, mut theirs, mut others) = (Figures::default(), Figures::default(), vec![]);
    for round in 0..rounds {
        let busy = Busy::watch(&machine)?;
        let (server_before, tools_before) = (strand.process.cpu()?, children_cpu()?);
        // Each round begins with the other one.
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                let before = strand.process.cpu()?;
                let (said, took) = tools::time(curl()).await?;
                if said != expected {
                    bail!(
                        "a request was answered with `{said}` (status and bytes), not `{expected}`"
                    );
                }
                ours.add(took, strand.process.cpu()?.saturating_sub(before));
            } else {
                let before = children_cpu()?;
                let (_, took) = tools::time(wgsim(null, null)).await?;
                theirs.add(took, children_cpu()?.saturating_sub(before));
            }
        }
        let server = strand.process.cpu()?.saturating_sub(server_before);
        let tools = children_cpu()?.saturating_sub(tools_before);
        others.push(busy.by_others(server + tools)?);
        eprintln!(
            "round {} of {rounds}  strand {}  wgsim {}",
            round + 1,
            ours.last(),
            theirs.last()
        );
    }
    let server_peak = strand.process.memory("VmHWM")?;

    // Apart from the rounds: looking takes time.
    let mut function_peak = 0;
    tools::watch(curl(), |_| {
        // The function may be gone already.
        function_peak = function_peak.max(strand.metric("strand_memory_used_bytes").unwrap_or(0));
    })
    .await?;
    let mut wgsim_peak = 0;
    tools::watch(wgsim(null, null), |id| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        wgsim_peak = wgsim_peak.max(memory_field(&status, "VmHWM").unwrap_or(0));
    })
    .await?;

    let (strand_seconds, server_cpu_seconds) = ours.spreads()?;
    let (wgsim_seconds, wgsim_cpu_seconds) = theirs.spreads()?;
    let ratio = wgsim_seconds.median / strand_seconds.median;
    let report = Report {
        machine,
        isolation: "an instance per request, within 128 MiB",
        server_command: shell_line(&server),
        curl_command: shell_line(&curl()),
        wgsim_command: format!("{} > /dev/null", shell_line(&wgsim(null, null))),
        rounds,
        bytes,
        strand_seconds,
        wgsim_seconds,
        server_cpu_seconds,
        wgsim_cpu_seconds,
        ratio,
        met: ratio >= 1.0,
        server_peak,
        function_peak,
        wgsim_peak,
        others_share: Spread::of(others).context("no rounds")?,
    };
    let file = setup.save("reads", &report)?;
    Ok((report, file))
}

/// Seconds of wall and of CPU time, round by round.
#[derive(Default)]
struct Figures {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Figures {
    fn add(&mut self, wall: Duration, cpu: Duration) {
        self.wall.push(wall.as_secs_f64());
        self.cpu.push(cpu.as_secs_f64());
    }

    fn last(&self) -> String {
        self.wall
            .last()
            .map_or_else(String::new, |seconds| format!("{seconds:.3} s"))
    }

    fn spreads(self) -> Result<(Spread, Spread)> {
        let spreads = Spread::of(self.wall).zip(Spread::of(self.cpu));
        spreads.context("no rounds")
    }
}

/// Sees to it that both do the same work: the answer is wgsim's two files, interleaved. Its bytes.
async fn compare(folder: &Path, url: &str, wgsim: impl Fn(&Path, &Path) -> Command) -> Result<u64> {
    let file = |name: &str| folder.join(name);
    let (one, two, answer) = (file("1.fq"), file("2.fq"), file("answer.fq"));
    tools::time(wgsim(&one, &two)).await?;
    let mut curl = Command::new("curl");
    curl.args(["-sSf", "-o"]).arg(&answer).arg(url);
    tools::time(curl).await?;
    let open = |path: &Path| Ok::<_, anyhow::Error>(BufReader::new(fs::File::open(path)?));
    let differs = interleaved_differ(open(&answer)?, open(&one)?, open(&two)?)?;
    if let Some(line) = differs {
        bail!("the answer is not what wgsim writes, from line {line} on: {url}");
    }
    Ok(fs::metadata(&answer)?.len())
}

/// The first line (from 1) where an answer is not the records (four lines each) of `one` and
/// `two` in turn.
fn interleaved_differ(
    mut answer: impl BufRead,
    mut one: impl BufRead,
    mut two: impl BufRead,
) -> Result<Option<u64>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 1_u64.. {
        ours.clear();
        theirs.clear();
        answer.read_until(b'\n', &mut ours)?;
        if (number - 1) / 4 % 2 == 0 {
            one.read_until(b'\n', &mut theirs)?;
        } else {
            two.read_until(b'\n', &mut theirs)?;
        }
        if ours != theirs {
            return Ok(Some(number));
        }
        if ours.is_empty() {
            // Both are at their end; so must the third one be.
            let rest = [one.fill_buf()?.len(), two.fill_buf()?.len()];
            return Ok((rest != [0, 0]).then_some(number));
        }
    }
    // More lines than there are numbers.
    Ok(None)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        writeln!(f, "reads of E. coli, {PAIRS} pairs: {}", self.machine)?;
        writeln!(
            f,
            "{} interleaved rounds; medians (minimum to maximum); {:.1} MiB, the same bytes as wgsim's",
            self.rounds,
            mebibytes(self.bytes)
        )?;
        for line in [
            &self.server_command,
            &self.curl_command,
            &self.wgsim_command,
        ] {
            writeln!(f, "  {line}")?;
        }
        writeln!(
            f,
            "strand over HTTP  {:.3} s, server's CPU {:.2} s, peak {:.0} MiB, the function's {:.0} MiB, {}",
            self.strand_seconds,
            self.server_cpu_seconds,
            mebibytes(self.server_peak),
            mebibytes(self.function_peak),
            self.isolation
        )?;
        writeln!(
            f,
            "wgsim             {:.3} s, CPU {:.2} s, peak {:.0} MiB, a process of its own, no sandbox",
            self.wgsim_seconds,
            self.wgsim_cpu_seconds,
            mebibytes(self.wgsim_peak)
        )?;
        writeln!(
            f,
            "target: at least as fast as wgsim: {}, {:.2} times",
            if self.met { "met" } else { "missed" },
            self.ratio
        )?;
        if self.others_share.max > DISTURBED {
            writeln!(
                f,
                "disturbed: other processes took {:.0}% of the machine in a round (median), {:.0}% at most",
                self.others_share.median * 100.0,
                self.others_share.max * 100.0
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_with_both_files_to_their_ends() {
        let differ = |answer: &str, one: &str, two: &str| {
            interleaved_differ(answer.as_bytes(), one.as_bytes(), two.as_bytes()).unwrap()
        };
        let (one, two) = ("@1\nA\n+\n2\n@3\nC\n+\n2\n", "@2\nG\n+\n2\n@4\nT\n+\n2\n");
        let both = "@1\nA\n+\n2\n@2\nG\n+\n2\n@3\nC\n+\n2\n@4\nT\n+\n2\n";
        assert_eq!(differ(both, one, two), None);
        assert_eq!(differ("", "", ""), None);
        assert_eq!(differ(&both.replace('G', "A"), one, two), Some(6));
        assert_eq!(differ(&both[..9], one, two), Some(5));
        assert_eq!(differ(both, &one[..9], two), Some(9));
        assert_eq!(differ(both, one, &format!("{two}@6\n")), Some(17));
        assert_eq!(differ(&format!("{both}@5\n"), one, two), Some(17));
    }
}
