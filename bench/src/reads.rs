//! `bench reads`: simulated reads of E. coli over HTTP, against wgsim writing to `/dev/null`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use strand_builder::shell_line;

use crate::machine::{Busy, Machine};
use crate::process::{children_cpu, memory_field};
use crate::reads_report::{JobReport, Report, WITHOUT_WGSIM, Wgsim};
use crate::setup::{Setup, get, on_path};
use crate::stats::Spread;
use crate::strand::Strand;
use crate::tools;

const APP: &str = "examples/reads";
const SEED: &str = "42";
/// How long the first request may take: it indexes the reference.
const FIRST: Duration = Duration::from_secs(120);

/// What is simulated.
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) pairs: &'static str,
    /// The rest of the query.
    query: &'static str,
    isolation: &'static str,
    /// Whether the bytes are to be wgsim's.
    same: bool,
    /// How many times as fast as wgsim it is to be.
    pub(crate) at_least: f64,
}

const EXACT: Job = Job {
    name: "exact",
    pairs: "100000",
    query: "",
    isolation: "an instance per request, within 128 MiB",
    same: true,
    at_least: 1.0,
};
const WINDOWED: Job = Job {
    name: "windowed",
    pairs: "1000000",
    query: "&mode=windowed",
    isolation: "an instance per request, within 128 MiB; of `windows`, which it calls, \
                one for 1000 calls, within 32 MiB",
    same: false,
    at_least: 2.5,
};

impl Job {
    fn path(&self) -> String {
        let Self { pairs, query, .. } = self;
        format!("/reads?reference=ecoli&n={pairs}&seed={SEED}{query}")
    }

    fn wgsim(&self, genome: &Path, one: &Path, two: &Path) -> Command {
        let mut wgsim = Command::new("wgsim");
        wgsim
            .args(["-N", self.pairs, "-S", SEED])
            .args([genome, one, two])
            .stdout(Stdio::null());
        wgsim
    }
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
    let bench = Bench {
        setup,
        machine: Machine::look()?,
        app: setup.root.join(APP),
        genome: genome(setup),
        has_wgsim: on_path("wgsim").is_some(),
        rounds,
    };
    eprintln!("reads: building the app");
    let mut build = Command::new(&setup.strand);
    build.arg("build").arg(&bench.app);
    tools::show(build).await?;
    let mut jobs = Vec::new();
    for job in [&EXACT, &WINDOWED] {
        let measured = bench.measure(job).await;
        jobs.push(measured.with_context(|| format!("{} mode", job.name))?);
    }
    let report = Report {
        machine: bench.machine,
        rounds,
        jobs,
    };
    let file = setup.save("reads", &report)?;
    Ok((report, file))
}

struct Bench<'a> {
    setup: &'a Setup,
    machine: Machine,
    app: PathBuf,
    genome: PathBuf,
    has_wgsim: bool,
    rounds: usize,
}

impl Bench<'_> {
    /// All rounds of one job, with a server of their own.
    async fn measure(&self, job: &Job) -> Result<JobReport> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let (strand, server) = Strand::start(self.setup, &self.app, folder.path())?;
        eprintln!("reads: a first request, which indexes the reference");
        let first = format!("/reads?reference=ecoli&n=1&seed={SEED}{}", job.query);
        let (status, body) = get(strand.address, &first, None, FIRST)?;
        if status != 200 {
            bail!(
                "the first request was answered {status}: {}",
                String::from_utf8_lossy(&body)
            );
        }
        let target = format!("http://{}{}", strand.address, job.path());
        let curl = || {
            let mut curl = Command::new("curl");
            curl.args(["-so", "/dev/null", "-w", "%{http_code} %{size_download}"])
                .arg(&target);
            curl
        };
        let bytes = if job.same && self.has_wgsim {
            eprintln!("reads: the same bytes as wgsim's");
            self.compare(job, folder.path(), &target).await?
        } else {
            let (said, _) = tools::time(curl()).await?;
            bytes_of(&said)?
        };
        let null = Path::new("/dev/null");
        let wgsim = || job.wgsim(&self.genome, null, null);

        let (mut ours, mut theirs, mut others) = (Figures::default(), Figures::default(), vec![]);
        for round in 0..self.rounds {
            let busy = Busy::watch(&self.machine)?;
            let (server_before, tools_before) = (strand.process.cpu()?, children_cpu()?);
            // Each round begins with the other one.
            for turn in 0..2 {
                if (round + turn) % 2 == 0 {
                    let before = strand.process.cpu()?;
                    let (said, took) = tools::time(curl()).await?;
                    if bytes_of(&said)? != bytes {
                        bail!(
                            "a request was answered with `{said}` (status and bytes), and others with {bytes} bytes"
                        );
                    }
                    ours.add(took, strand.process.cpu()?.saturating_sub(before));
                } else if self.has_wgsim {
                    let before = children_cpu()?;
                    let (_, took) = tools::time(wgsim()).await?;
                    theirs.add(took, children_cpu()?.saturating_sub(before));
                }
            }
            let server = strand.process.cpu()?.saturating_sub(server_before);
            let tools = children_cpu()?.saturating_sub(tools_before);
            others.push(busy.by_others(server + tools)?);
            self.say(job, round, &ours, &theirs);
        }
        let server_peak = strand.process.memory("VmHWM")?;

        // Apart from the rounds: looking takes time.
        let mut function_peak = 0;
        tools::watch(curl(), |_| {
            // The function may be gone already.
            function_peak =
                function_peak.max(strand.metric("strand_memory_used_bytes").unwrap_or(0));
        })
        .await?;
        let (strand_seconds, server_cpu_seconds) = ours.spreads()?;
        let wgsim = if self.has_wgsim {
            let command = format!("{} > /dev/null", shell_line(&wgsim()));
            let peak = peak(wgsim()).await?;
            let (seconds, cpu_seconds) = theirs.spreads()?;
            let ratio = seconds.median / strand_seconds.median;
            Some(Wgsim {
                command,
                seconds,
                cpu_seconds,
                peak,
                ratio,
                met: ratio >= job.at_least,
            })
        } else {
            None
        };
        Ok(JobReport {
            mode: job.name,
            pairs: job.pairs,
            isolation: job.isolation,
            same: job.same && self.has_wgsim,
            server_command: shell_line(&server),
            curl_command: shell_line(&curl()),
            bytes,
            strand_seconds,
            server_cpu_seconds,
            server_peak,
            function_peak,
            at_least: job.at_least,
            wgsim,
            others_share: Spread::of(others).context("no rounds")?,
        })
    }

    fn say(&self, job: &Job, round: usize, ours: &Figures, theirs: &Figures) {
        let (round, rounds, name) = (round + 1, self.rounds, job.name);
        let wgsim = if self.has_wgsim {
            format!("  wgsim {}", theirs.last())
        } else {
            String::new()
        };
        eprintln!(
            "round {round} of {rounds}  {name:<8}  strand {}{wgsim}",
            ours.last()
        );
    }

    /// Sees to it that both do the same work: the answer is wgsim's two files, interleaved. Its
    /// bytes.
    async fn compare(&self, job: &Job, folder: &Path, url: &str) -> Result<u64> {
        let (one, two) = (folder.join("1.fq"), folder.join("2.fq"));
        tools::time(job.wgsim(&self.genome, &one, &two)).await?;
        let answer = folder.join("answer.fq");
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
}

/// The bytes of an answer, of which `curl` says status and bytes.
fn bytes_of(said: &str) -> Result<u64> {
    let bytes = said
        .strip_prefix("200 ")
        .and_then(|bytes| bytes.parse().ok());
    bytes.with_context(|| format!("a request was answered with `{said}` (status and bytes)"))
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
    fn only_a_good_answer_has_bytes() {
        assert_eq!(bytes_of("200 12345").unwrap(), 12_345);
        for said in ["500 120", "200 ", "000 0", ""] {
            assert!(bytes_of(said).is_err(), "{said}");
        }
    }
}
