//! The machine that is measured on, and what else it is doing meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::process::ticks;
use crate::stats::Spread;

/// Load from elsewhere, as a share of the whole machine, that is worth a warning.
const DISTURBED: f64 = 0.05;

/// What figures depend on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Bytes.
    pub(crate) memory: u64,
    /// The load average of the last minute, when the measurement began.
    pub(crate) load_average: f64,
}

#[cfg(test)]
impl Machine {
    /// One for tests of reports.
    pub(crate) fn of_tests() -> Self {
        Self {
            processor: "P".into(),
            cores: 2,
            kernel: "6".into(),
            memory: 1 << 30,
            load_average: 0.0,
        }
    }
}

impl Machine {
    /// This machine.
    pub(crate) fn look() -> Result<Self> {
        let read = |path: &'static str| fs::read_to_string(path).context(path);
        let processor = field(&read("/proc/cpuinfo")?, "model name");
        let memory = crate::process::memory_field(&read("/proc/meminfo")?, "MemTotal");
        let load_average = read("/proc/loadavg")?;
        let load_average = load_average
            .split(' ')
            .next()
            .and_then(|it| it.parse().ok());
        Ok(Self {
            processor: processor.unwrap_or_else(|| "unnamed processor".to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            memory: memory.context("no MemTotal in /proc/meminfo")?,
            load_average: load_average.context("no number in /proc/loadavg")?,
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gibibytes = self.memory as f64 / f64::from(1 << 30);
        write!(
            f,
            "{} cores of {}, {gibibytes:.0} GiB, Linux {}, load average {:.2}",
            self.cores, self.processor, self.kernel, self.load_average
        )
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Watches how busy the machine is in all.
pub(crate) struct Busy {
    since: Instant,
    before: Duration,
    cores: usize,
}

impl Busy {
    /// Watches from now on.
    pub(crate) fn watch(machine: &Machine) -> Result<Self> {
        Ok(Self {
            since: Instant::now(),
            before: busy_time()?,
            cores: machine.cores,
        })
    }

    /// The share of the whole machine (0 to 1) that was taken since by others than those who are
    /// measured, whose CPU time is `ours`.
    pub(crate) fn by_others(&self, ours: Duration) -> Result<f64> {
        let busy = busy_time()?.saturating_sub(self.before);
        let there_was = self.since.elapsed().as_secs_f64() * self.cores as f64;
        Ok(busy.saturating_sub(ours).as_secs_f64() / there_was)
    }
}

/// Says so if the shares of the machine that others took (0 to 1) were large enough to matter.
pub(crate) fn warn_of_others(
    f: &mut std::fmt::Formatter<'_>,
    during: &str,
    shares: Option<Spread>,
) -> std::fmt::Result {
    match shares {
        Some(shares) if shares.max > DISTURBED => writeln!(
            f,
            "disturbed: other processes took {:.0}% of the machine during {during} (median), {:.0}% at most",
            shares.median * 100.0,
            shares.max * 100.0
        ),
        _ => Ok(()),
    }
}

/// CPU time that all cores together were busy since the machine started.
fn busy_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    busy_ticks(&stat)
        .map(ticks)
        .context("no CPU times in /proc/stat")
}

/// All fields of the first line of `/proc/stat` but idle, waiting for disks, and guests', which
/// are counted in others (proc(5)).
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let mut sum = 0;
    for (index, field) in line.split_whitespace().take(8).enumerate() {
        let count: u64 = field.parse().ok()?;
        if !matches!(index, 3 | 4) {
            sum += count;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_all_but_idle_waiting_and_guests() {
        let stat = "cpu  1 2 4 1000 2000 8 16 32 4000 8000\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(63));
        assert_eq!(busy_ticks("intr 1 2\n"), None);
    }

    #[test]
    fn a_machine_is_described() {
        let machine = Machine::look().unwrap();
        assert!(machine.cores > 0 && machine.memory > 0, "{machine}");
        assert_eq!(field("model name\t: A: B\n", "model name").unwrap(), "A: B");
    }

    #[test]
    fn a_machine_that_others_use_is_told() {
        struct Said(Option<Spread>);
        impl std::fmt::Display for Said {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                warn_of_others(f, "a start", self.0)
            }
        }
        let said = |shares: &[f64]| Said(Spread::of(shares.iter().copied())).to_string();
        assert_eq!(said(&[]), "");
        assert_eq!(said(&[0.05, 0.0]), "");
        assert_eq!(
            said(&[0.0, 0.01, 0.4]),
            "disturbed: other processes took 1% of the machine during a start (median), 40% at most\n"
        );
    }

    #[test]
    fn ones_own_work_is_not_by_others() {
        let machine = Machine::look().unwrap();
        let busy = Busy::watch(&machine).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let far_more = Duration::from_secs(3600);
        assert_eq!(busy.by_others(far_more).unwrap(), 0.0);
    }
}
