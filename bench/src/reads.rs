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

const APP: &str = "examples/reads";
const WITHOUT_WGSIM: &str =
    "wgsim is not installed, so nothing is compared: add --install-peers (Debian's samtools)";
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
    rounds: usize,
    /// Bytes of one answer.
    bytes: u64,
    /// Wall time.
    strand_seconds: Spread,
    /// The server's CPU time for one request.
    server_cpu_seconds: Spread,
    /// Bytes.
    server_peak: u64,
    function_peak: u64,
    /// None where it is not installed.
    wgsim: Option<Wgsim>,
    /// How much of the machine others took, 0 to 1.
    others_share: Spread,
}

/// What was found of wgsim.
#[derive(Debug, Serialize)]
struct Wgsim {
    command: String,
    /// Wall time.
    seconds: Spread,
    cpu_seconds: Spread,
    /// Bytes.
    peak: u64,
    /// How many times as fast as it Strand is, by the medians.
    ratio: f64,
    met: bool,
}

/// The genome that is read.
pub(crate) fn genome(setup: &Setup) -> PathBuf {
    setup.root.join(APP).join("genomes/ecoli.fa")
}

/// What is missing here to measure at all, a line each. Without wgsim, Strand is measured alone.
pub(crate) fn missing(setup: &Setup) -> Vec<String> {
    let mut missing = Vec::new();
    let genome = genome(setup);
    if !genome.is_file() {
        missing.push(format!(
            "{} is not there; add it: cargo xtask genome ecoli (--install-peers does)",
            genome.display()
        ));
    }
    if on_path("curl").is_none() {
        missing.push("curl is not installed: add --install-peers (Debian's curl)".to_owned());
    }
    if on_path("wgsim").is_none() {
        eprintln!("reads: {WITHOUT_WGSIM}");
    }
    missing
}

/// Measures, writes the JSON, and gives the figures and where the JSON is.
pub(crate) async fn run(setup: &Setup, rounds: usize) -> Result<(Report, PathBuf)> {
    let machine = Machine::look()?;
    let app = setup.root.join(APP);
    let genome = genome(setup);
    let has_wgsim = on_path("wgsim").is_some();
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

    let bytes = if has_wgsim {
        eprintln!("reads: the same bytes as wgsim's");
        compare(folder.path(), &target, wgsim).await?
    } else {
        fetch(folder.path(), &target).await?
    };
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
            } else if has_wgsim {
                let before = children_cpu()?;
                let (_, took) = tools::time(wgsim(null, null)).await?;
                theirs.add(took, children_cpu()?.saturating_sub(before));
            }
        }
        let server = strand.process.cpu()?.saturating_sub(server_before);
        let tools = children_cpu()?.saturating_sub(tools_before);
        others.push(busy.by_others(server + tools)?);
        eprintln!(
            "round {} of {rounds}  strand {}{}",
            round + 1,
            ours.last(),
            if has_wgsim {
                format!("  wgsim {}", theirs.last())
            } else {
                String::new()
            }
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
    let (strand_seconds, server_cpu_seconds) = ours.spreads()?;
    let wgsim = if has_wgsim {
        let command = format!("{} > /dev/null", shell_line(&wgsim(null, null)));
        let peak = peak(wgsim(null, null)).await?;
        let (seconds, cpu_seconds) = theirs.spreads()?;
        let ratio = seconds.median / strand_seconds.median;
        Some(Wgsim {
            command,
            seconds,
            cpu_seconds,
            peak,
            ratio,
            met: ratio >= 1.0,
        })
    } else {
        None
    };
    let report = Report {
        machine,
        isolation: "an instance per request, within 128 MiB",
        server_command: shell_line(&server),
        curl_command: shell_line(&curl()),
        rounds,
        bytes,
        strand_seconds,
        server_cpu_seconds,
        server_peak,
        function_peak,
        wgsim,
        others_share: Spread::of(others).context("no rounds")?,
    };
    let file = setup.save("reads", &report)?;
    Ok((report, file))
}

/// The most memory that a program takes, in bytes.
async fn peak(command: Command) -> Result<u64> {
    let mut peak = 0;
    tools::watch(command, |id| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        peak = peak.max(memory_field(&status, "VmHWM").unwrap_or(0));
    })
    .await?;
    Ok(peak)
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
    let (one, two) = (folder.join("1.fq"), folder.join("2.fq"));
    tools::time(wgsim(&one, &two)).await?;
    let bytes = fetch(folder, url).await?;
    let open = |path: &Path| Ok::<_, anyhow::Error>(BufReader::new(fs::File::open(path)?));
    let answer = open(&folder.join(ANSWER))?;
    let differs = interleaved_differ(answer, open(&one)?, open(&two)?)?;
    if let Some(line) = differs {
        bail!("the answer is not what wgsim writes, from line {line} on: {url}");
    }
    Ok(bytes)
}

/// Where [`fetch`] puts an answer.
const ANSWER: &str = "answer.fq";

/// Fetches an answer into the folder. Its bytes.
async fn fetch(folder: &Path, url: &str) -> Result<u64> {
    let answer = folder.join(ANSWER);
    let mut curl = Command::new("curl");
    curl.args(["-sSf", "-o"]).arg(&answer).arg(url);
    tools::time(curl).await?;
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
        let compared = match self.wgsim {
            Some(_) => ", the same bytes as wgsim's",
            None => "",
        };
        writeln!(
            f,
            "{} interleaved rounds; medians (minimum to maximum); {:.1} MiB{compared}",
            self.rounds,
            mebibytes(self.bytes)
        )?;
        writeln!(f, "  {}\n  {}", self.server_command, self.curl_command)?;
        if let Some(wgsim) = &self.wgsim {
            writeln!(f, "  {}", wgsim.command)?;
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
        let target = "target: at least as fast as wgsim:";
        match &self.wgsim {
            Some(wgsim) => {
                writeln!(
                    f,
                    "wgsim             {:.3} s, CPU {:.2} s, peak {:.0} MiB, a process of its own, no sandbox",
                    wgsim.seconds,
                    wgsim.cpu_seconds,
                    mebibytes(wgsim.peak)
                )?;
                let said = if wgsim.met { "met" } else { "missed" };
                writeln!(f, "{target} {said}, {:.2} times", wgsim.ratio)?;
            }
            None => writeln!(f, "wgsim: {WITHOUT_WGSIM}\n{target} not measured")?,
        }
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

    #[test]
    fn without_wgsim_nothing_is_claimed() {
        let spread = |median| Spread {
            median,
            min: median,
            max: median,
        };
        let report = |wgsim| Report {
            machine: Machine::of_tests(),
            isolation: "an instance per request",
            server_command: "strand up".to_owned(),
            curl_command: "curl".to_owned(),
            rounds: 5,
            bytes: 1 << 20,
            strand_seconds: spread(0.5),
            server_cpu_seconds: spread(0.4),
            server_peak: 1 << 20,
            function_peak: 1 << 20,
            wgsim,
            others_share: spread(0.0),
        };
        let alone = report(None).to_string();
        assert!(alone.contains("strand over HTTP  0.500"), "{alone}");
        assert!(!alone.contains("the same bytes"), "{alone}");
        assert!(
            alone.ends_with("as fast as wgsim: not measured\n"),
            "{alone}"
        );
        let both = report(Some(Wgsim {
            command: "wgsim".to_owned(),
            seconds: spread(1.0),
            cpu_seconds: spread(1.0),
            peak: 1 << 20,
            ratio: 2.0,
            met: true,
        }))
        .to_string();
        assert!(both.contains("the same bytes as wgsim's"), "{both}");
        assert!(
            both.ends_with("as fast as wgsim: met, 2.00 times\n"),
            "{both}"
        );
    }
}
