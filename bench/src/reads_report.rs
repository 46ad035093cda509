//! What `bench reads` found, as text and as JSON.

use std::fmt;

use serde::Serialize;

use crate::machine::{Machine, warn_of_others};
use crate::stats::{Spread, mebibytes};

pub(crate) const WITHOUT_WGSIM: &str =
    "wgsim is not installed, so nothing is compared: add --install-peers (Debian's samtools)";

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) jobs: Vec<JobReport>,
}

/// What was found in one mode.
#[derive(Debug, Serialize)]
pub(crate) struct JobReport {
    pub(crate) mode: &'static str,
    pub(crate) pairs: &'static str,
    pub(crate) isolation: &'static str,
    /// Whether the answer was found to be wgsim's.
    pub(crate) same: bool,
    pub(crate) server_command: String,
    pub(crate) curl_command: String,
    /// Bytes of one answer.
    pub(crate) bytes: u64,
    /// Wall time.
    pub(crate) strand_seconds: Spread,
    /// The server's CPU time for one request.
    pub(crate) server_cpu_seconds: Spread,
    /// Bytes.
    pub(crate) server_peak: u64,
    pub(crate) function_peak: u64,
    /// How many times as fast as wgsim it is to be.
    pub(crate) at_least: f64,
    /// None where it is not installed.
    pub(crate) wgsim: Option<Wgsim>,
    /// How much of the machine others took, 0 to 1.
    pub(crate) others_share: Spread,
}

/// What was found of wgsim.
#[derive(Debug, Serialize)]
pub(crate) struct Wgsim {
    pub(crate) command: String,
    /// Wall time.
    pub(crate) seconds: Spread,
    pub(crate) cpu_seconds: Spread,
    /// Bytes.
    pub(crate) peak: u64,
    /// How many times as fast as it Strand is, by the medians.
    pub(crate) ratio: f64,
    pub(crate) met: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "reads of E. coli: {}", self.machine)?;
        writeln!(
            f,
            "{} interleaved rounds; medians (minimum to maximum)",
            self.rounds
        )?;
        for job in &self.jobs {
            job.write(f)?;
        }
        if self.jobs.iter().any(|job| job.wgsim.is_none()) {
            writeln!(f, "wgsim: {WITHOUT_WGSIM}")?;
        }
        for job in &self.jobs {
            job.target(f)?;
        }
        for job in &self.jobs {
            let during = format!("a round of {} mode", job.mode);
            warn_of_others(f, &during, Some(job.others_share))?;
        }
        Ok(())
    }
}

impl JobReport {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = if self.same {
            ", the same bytes as wgsim's"
        } else {
            ""
        };
        writeln!(
            f,
            "\n{} mode, {} pairs, {:.1} MiB{same}",
            self.mode,
            self.pairs,
            mebibytes(self.bytes)
        )?;
        writeln!(f, "  {}\n  {}", self.server_command, self.curl_command)?;
        if let Some(wgsim) = &self.wgsim {
            writeln!(f, "  {}", wgsim.command)?;
        }
        writeln!(
            f,
            "strand over HTTP  {:.3} s, server's CPU {:.2} s, peak {:.0} MiB, the functions' {:.0} MiB, {}",
            self.strand_seconds,
            self.server_cpu_seconds,
            mebibytes(self.server_peak),
            mebibytes(self.function_peak),
            self.isolation
        )?;
        if let Some(wgsim) = &self.wgsim {
            writeln!(
                f,
                "wgsim             {:.3} s, CPU {:.2} s, peak {:.0} MiB, a process of its own, no sandbox",
                wgsim.seconds,
                wgsim.cpu_seconds,
                mebibytes(wgsim.peak)
            )?;
        }
        Ok(())
    }

    fn target(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, at_least, .. } = self;
        write!(
            f,
            "target: {mode} mode at least {at_least} times as fast as wgsim: "
        )?;
        match &self.wgsim {
            Some(wgsim) => {
                let said = if wgsim.met { "met" } else { "missed" };
                writeln!(f, "{said}, {:.2} times", wgsim.ratio)
            }
            None => writeln!(f, "not measured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(wgsim: impl Fn() -> Option<Wgsim>) -> String {
        let spread = |median| Spread {
            median,
            min: median,
            max: median,
        };
        let job = |mode, same, at_least| JobReport {
            mode,
            pairs: "100000",
            isolation: "an instance per request",
            same,
            server_command: "strand up".to_owned(),
            curl_command: "curl".to_owned(),
            bytes: 1 << 20,
            strand_seconds: spread(0.5),
            server_cpu_seconds: spread(0.4),
            server_peak: 1 << 20,
            function_peak: 1 << 20,
            at_least,
            wgsim: wgsim(),
            others_share: spread(0.0),
        };
        let both = wgsim().is_some();
        Report {
            machine: Machine::of_tests(),
            rounds: 5,
            jobs: vec![job("exact", both, 1.0), job("windowed", false, 2.5)],
        }
        .to_string()
    }

    #[test]
    fn without_wgsim_nothing_is_claimed() {
        let alone = report(|| None);
        assert!(alone.contains("strand over HTTP  0.500"), "{alone}");
        assert!(!alone.contains("the same bytes"), "{alone}");
        assert!(
            alone.ends_with(
                "target: exact mode at least 1 times as fast as wgsim: not measured\n\
                 target: windowed mode at least 2.5 times as fast as wgsim: not measured\n"
            ),
            "{alone}"
        );
    }

    #[test]
    fn each_mode_has_its_target_and_only_one_the_same_bytes() {
        let spread = Spread {
            median: 1.0,
            min: 1.0,
            max: 1.0,
        };
        let both = report(|| {
            Some(Wgsim {
                command: "wgsim".to_owned(),
                seconds: spread,
                cpu_seconds: spread,
                peak: 1 << 20,
                ratio: 2.0,
                met: true,
            })
        });
        assert!(
            both.contains("exact mode, 100000 pairs, 1.0 MiB, the same bytes as wgsim's\n"),
            "{both}"
        );
        assert!(
            both.contains("windowed mode, 100000 pairs, 1.0 MiB\n"),
            "{both}"
        );
        assert!(
            both.ends_with(
                "target: exact mode at least 1 times as fast as wgsim: met, 2.00 times\n\
                 target: windowed mode at least 2.5 times as fast as wgsim: met, 2.00 times\n"
            ),
            "{both}"
        );
    }
}
