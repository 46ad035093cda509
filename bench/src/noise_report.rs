//! What `bench noise` found, as a table and as JSON.

use std::fmt;

use serde::Serialize;

use crate::client::Outcomes;
use crate::machine::{Machine, warn_of_others};
use crate::neighbours::Neighbours;
use crate::stats::{Spread, mebibytes};

/// How many times as long as alone 99 of 100 requests may take beside others.
const AT_MOST: f64 = 5.0;

/// One measurement.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Line {
    pub(crate) beside: &'static str,
    /// From when a request was due until its answer had been read, of good answers.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// As multiples of what it was alone.
    pub(crate) p50_ratio: f64,
    pub(crate) p99_ratio: f64,
    pub(crate) max_ratio: f64,
    pub(crate) due: u64,
    /// Of these, without a good answer.
    pub(crate) failed: u64,
    pub(crate) answers: Outcomes,
    /// How much later than due the load sent its requests: a part of the latencies.
    pub(crate) late_p99_ms: f64,
    pub(crate) server_cpu_seconds: f64,
    /// How much of one core the load took, neighbours included, 0 to 1.
    pub(crate) load_share: f64,
    /// Whether the load went before the node on the cores that they share.
    pub(crate) load_has_priority: bool,
    /// How much of the machine other processes took, 0 to 1.
    pub(crate) others_share: f64,
    pub(crate) neighbours: Option<Neighbours>,
    pub(crate) met: bool,
}

impl Line {
    /// What is said as soon as it is known.
    pub(crate) fn brief(&self) -> String {
        format!(
            "{}: p50 {:.2} ms, p99 {:.2} ms, {} failed",
            self.beside, self.p50_ms, self.p99_ms, self.failed
        )
    }

    fn compare(&mut self, [p50_ms, p99_ms, max_ms]: [f64; 3]) {
        self.p50_ratio = self.p50_ms / p50_ms;
        self.p99_ratio = self.p99_ms / p99_ms;
        self.max_ratio = self.max_ms / max_ms;
        self.met = self.p99_ratio <= AT_MOST && self.failed == 0;
    }
}

/// Compares all lines with the first one, which is alone.
pub(crate) fn compare(lines: &mut [Line]) {
    let Some(alone) = lines.first() else {
        return;
    };
    let alone = [alone.p50_ms, alone.p99_ms, alone.max_ms];
    for line in lines {
        line.compare(alone);
    }
}

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) server_command: String,
    pub(crate) path: String,
    pub(crate) requests_per_second: u32,
    pub(crate) window_seconds: f64,
    /// CPU time of the function's work, as it was calibrated.
    pub(crate) work_ms: f64,
    /// CPU time of the node for each request, alone: the work, and all there is around it.
    pub(crate) cpu_ms: f64,
    /// The first one is alone, and the others compared with it.
    pub(crate) lines: Vec<Line>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "beside others: {}", self.machine)?;
        writeln!(
            f,
            "`{}` needs {} ms of CPU time itself, a request {:.2} ms of the node's, alone, in an \
             instance of its own",
            self.path, self.work_ms, self.cpu_ms
        )?;
        writeln!(
            f,
            "{} requests a second in open loop for {} s, latency from when each was due",
            self.requests_per_second, self.window_seconds
        )?;
        writeln!(f, "  {}\n", self.server_command)?;
        writeln!(
            f,
            "{:<24} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>7}  failed",
            "", "p50 ms", "p99 ms", "max ms", "p50 x", "p99 x", "max x", "late ms"
        )?;
        for line in &self.lines {
            writeln!(
                f,
                "{:<24} {:>9.2} {:>9.2} {:>9.2} {:>7.2} {:>7.2} {:>7.2} {:>7.2}  {} of {}",
                line.beside,
                line.p50_ms,
                line.p99_ms,
                line.max_ms,
                line.p50_ratio,
                line.p99_ratio,
                line.max_ratio,
                line.late_p99_ms,
                line.failed,
                line.due
            )?;
        }
        writeln!(f)?;
        for line in &self.lines {
            if let Some(neighbours) = &line.neighbours {
                writeln!(f, "{}: {neighbours}", line.beside)?;
            }
            if line.failed > 0 {
                writeln!(f, "failed: {}: {}", line.beside, line.answers)?;
            }
        }
        for line in self.lines.iter().skip(1) {
            let said = if line.met { "met" } else { "missed" };
            writeln!(
                f,
                "target: {}: p99 at most {AT_MOST} times alone, no failures: {said}, {:.2} times, {} failed",
                line.beside, line.p99_ratio, line.failed
            )?;
        }
        self.warn(f)
    }
}

impl Report {
    fn warn(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.lines.iter().map(|line| line.load_share);
        if let Some(most) = Spread::of(most) {
            let priority = if self.lines.iter().all(|line| line.load_has_priority) {
                "with priority over it"
            } else {
                "without priority over it, which needs root: requests are sent late"
            };
            writeln!(
                f,
                "the load took {:.0}% of a core at most, of those that it shares with the node, {priority}",
                most.max * 100.0
            )?;
        }
        let others = self.lines.iter().map(|line| line.others_share);
        warn_of_others(f, "a measurement", Spread::of(others))
    }
}

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let a_second = |count: u64| count as f64 / self.seconds;
        match self.due {
            Some(due) => write!(
                f,
                "{:.0} requests a second were due and {:.1} sent",
                a_second(due),
                a_second(self.sent)
            )?,
            None => write!(f, "{} requests", self.sent)?,
        }
        write!(f, " in {} s; answers: {}", self.seconds, self.answers)?;
        let good = self.answers.of("200");
        if good > 0 {
            write!(f, "; {:.1} a second with 200", a_second(good))?;
        }
        if let Some(bytes) = self.allocated {
            write!(f, "; each took {:.0} MiB", mebibytes(bytes))?;
        }
        if let Some(idle) = &self.idle {
            write!(
                f,
                "; {} idle connections, opened again {} times",
                idle.connections, idle.reopened
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neighbours::Idle;

    fn line(beside: &'static str, p99_ms: f64, failed: u64) -> Line {
        let mut answers = Outcomes::default();
        answers.add("200", 1200 - failed);
        answers.add("503", failed);
        Line {
            beside,
            p50_ms: p99_ms / 2.0,
            p99_ms,
            max_ms: 2.0 * p99_ms,
            due: 1200,
            failed,
            answers,
            ..Line::default()
        }
    }

    fn report(mut lines: Vec<Line>) -> Report {
        compare(&mut lines);
        Report {
            machine: Machine::of_tests(),
            server_command: "strand up".to_owned(),
            path: "/work/5".to_owned(),
            requests_per_second: 20,
            window_seconds: 60.0,
            work_ms: 5.0,
            cpu_ms: 5.5,
            lines,
        }
    }

    #[test]
    fn lines_are_compared_with_the_first() {
        let lines = vec![
            line("alone", 6.0, 0),
            line("beside a", 30.0, 0),
            line("beside b", 31.0, 0),
            line("beside c", 6.0, 2),
        ];
        let said = report(lines).to_string();
        for part in [
            "target: beside a: p99 at most 5 times alone, no failures: met, 5.00 times, 0 failed\n",
            "target: beside b: p99 at most 5 times alone, no failures: missed, 5.17 times, 0 failed\n",
            "target: beside c: p99 at most 5 times alone, no failures: missed, 1.00 times, 2 failed\n",
            "failed: beside c: 200: 1198, 503: 2\n",
        ] {
            assert!(said.contains(part), "no `{part}` in:\n{said}");
        }
        assert!(!said.contains("target: alone"), "{said}");
        assert!(!said.contains("disturbed"), "{said}");
    }

    #[test]
    fn what_a_flood_offered_and_how_it_was_answered_is_told() {
        let mut answers = Outcomes::default();
        answers.add("200", 480_000);
        answers.add("503", 12_000);
        answers.add("not sent", 8_000);
        let flood = Neighbours {
            seconds: 100.0,
            due: Some(500_000),
            sent: 492_000,
            answers,
            allocated: None,
            idle: Some(Idle {
                connections: 1000,
                reopened: 3,
            }),
        };
        assert_eq!(
            flood.to_string(),
            "5000 requests a second were due and 4920.0 sent in 100 s; \
             answers: 200: 480000, 503: 12000, not sent: 8000; 4800.0 a second with 200; \
             1000 idle connections, opened again 3 times"
        );
    }
}
