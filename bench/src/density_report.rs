//! What `bench density` found, as text and as JSON.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::machine::{Machine, warn_of_others};
use crate::memory::Memory;
use crate::stats::{Spread, mebibytes};

/// The targets: seconds until a node is ready, milliseconds of a first request, bytes of an app
/// that nobody has asked for anything.
const READY_SECONDS: f64 = 2.0;
const FIRST_REQUEST_MS: f64 = 15.0;
const IDLE_APP: f64 = 102_400.0;

/// What the first start did.
#[derive(Debug, Serialize)]
pub(crate) struct Prepared {
    pub(crate) compiled: u64,
    /// Of earlier runs.
    pub(crate) cached: u64,
    pub(crate) seconds: f64,
    /// What the cache has, of all runs.
    pub(crate) kept: u64,
    pub(crate) kept_bytes: u64,
    pub(crate) place: PathBuf,
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} components compiled, {} taken from the cache, in {:.1} s; {:.0} MiB in {} files in {}",
            self.compiled,
            self.cached,
            self.seconds,
            mebibytes(self.kept_bytes),
            self.kept,
            self.place.display()
        )
    }
}

/// How long requests took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Requests {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            p50_ms,
            p99_ms,
            max_ms,
        } = self;
        write!(
            f,
            "p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, at most {max_ms:.2} ms"
        )
    }
}

/// Bytes that each of some apps holds. Negative where there is less than before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Held {
    pub(crate) resident: f64,
    pub(crate) anonymous: f64,
    pub(crate) file: f64,
    pub(crate) memfds: f64,
    pub(crate) page_tables: f64,
}

impl Held {
    /// What so many apps made of it.
    pub(crate) fn each(before: &Memory, after: &Memory, apps: usize) -> Self {
        let each =
            |kind: fn(&Memory) -> u64| (kind(after) as f64 - kind(before) as f64) / apps as f64;
        Self {
            resident: each(Memory::resident),
            anonymous: each(|memory| memory.anonymous),
            file: each(|memory| memory.file),
            memfds: each(|memory| memory.memfds.max(memory.shared)),
            page_tables: each(|memory| memory.page_tables),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kibibytes = |bytes: f64| bytes / 1024.0;
        write!(
            f,
            "{:.1} KiB: anonymous {:.1}, files {:.1}, memfds {:.1}; page tables {:.1}",
            kibibytes(self.resident),
            kibibytes(self.anonymous),
            kibibytes(self.file),
            kibibytes(self.memfds),
            kibibytes(self.page_tables)
        )
    }
}

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Of the node with one app; the others have more folders.
    pub(crate) server_command: String,
    pub(crate) apps: usize,
    pub(crate) prepared: Prepared,
    /// Before each start that is measured.
    pub(crate) page_cache_dropped: bool,
    pub(crate) starts: usize,
    /// From exec until `/healthz` says so.
    pub(crate) ready_seconds: Spread,
    pub(crate) alone_ready_seconds: f64,
    pub(crate) alone: Memory,
    pub(crate) idle: Memory,
    /// After some have been asked.
    pub(crate) touched: Memory,
    /// What each app more than one adds to a node.
    pub(crate) per_idle_app: Held,
    /// What it adds once it has been asked.
    pub(crate) per_touched_app: Held,
    pub(crate) asked: usize,
    pub(crate) first_request: Requests,
    pub(crate) second_request: Requests,
    /// How much of the machine others took during a start, 0 to 1.
    pub(crate) others_share: Spread,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apps = self.apps;
        writeln!(
            f,
            "{apps} apps, each with a component of its own: {}",
            self.machine
        )?;
        writeln!(
            f,
            "  {} (and {} more folders)",
            self.server_command,
            apps - 1
        )?;
        writeln!(f, "preparation          {}", self.prepared)?;
        let cache = if self.page_cache_dropped {
            "the page cache dropped before each"
        } else {
            "the page cache not dropped: that needs root"
        };
        writeln!(
            f,
            "exec to ready        {:.3} s, {} starts, {cache}; with one app {:.3} s",
            self.ready_seconds, self.starts, self.alone_ready_seconds
        )?;
        writeln!(f, "with one app         {}", Whole(&self.alone))?;
        writeln!(
            f,
            "with {:<15} {}",
            format!("{apps} apps"),
            Whole(&self.idle)
        )?;
        writeln!(f, "an idle app adds     {}", self.per_idle_app)?;
        writeln!(
            f,
            "first request        {}, {} apps, one at a time, connecting included",
            self.first_request, self.asked
        )?;
        writeln!(f, "second request       {}", self.second_request)?;
        writeln!(
            f,
            "with {:<15} {}",
            format!("{} asked", self.asked),
            Whole(&self.touched)
        )?;
        writeln!(f, "an app asked adds    {}", self.per_touched_app)?;
        let ready = self.ready_seconds.median;
        let first = self.first_request.p99_ms;
        let each = self.per_idle_app.resident;
        for (target, met) in [
            (
                format!(
                    "ready within {READY_SECONDS} s (median): {}",
                    said(ready <= READY_SECONDS)
                ),
                format!("{ready:.3} s"),
            ),
            (
                format!(
                    "first request under {FIRST_REQUEST_MS} ms (p99): {}",
                    said(first < FIRST_REQUEST_MS)
                ),
                format!("{first:.2} ms"),
            ),
            (
                format!(
                    "an idle app at most {:.0} KiB: {}",
                    IDLE_APP / 1024.0,
                    said(each <= IDLE_APP)
                ),
                format!("{:.1} KiB", each / 1024.0),
            ),
        ] {
            writeln!(f, "target: {target}, {met}")?;
        }
        warn_of_others(f, "a start", Some(self.others_share))
    }
}

fn said(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// All of a node's memory.
struct Whole<'a>(&'a Memory);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.0;
        write!(
            f,
            "{:.1} MiB: anonymous {:.1}, files {:.1}, memfds {:.1}; Pss {:.1}, Rss {:.1}, page tables {:.1}",
            mebibytes(memory.resident()),
            mebibytes(memory.anonymous),
            mebibytes(memory.file),
            mebibytes(memory.memfds.max(memory.shared)),
            mebibytes(memory.pss),
            mebibytes(memory.rss),
            mebibytes(memory.page_tables)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(anonymous: u64, memfds: u64) -> Memory {
        Memory {
            anonymous,
            memfds,
            ..Memory::default()
        }
    }

    fn report(ready: f64, first: f64, alone: Memory, idle: Memory) -> String {
        let spread = |median| Spread {
            median,
            min: median,
            max: median,
        };
        let requests = |p99_ms| Requests {
            p50_ms: 1.0,
            p99_ms,
            max_ms: 20.0,
        };
        Report {
            machine: Machine::of_tests(),
            server_command: "strand up app-0".to_owned(),
            apps: 1001,
            prepared: Prepared {
                compiled: 1,
                cached: 1000,
                seconds: 5.0,
                kept: 1001,
                kept_bytes: 1 << 30,
                place: PathBuf::from("cache"),
            },
            page_cache_dropped: true,
            starts: 3,
            ready_seconds: spread(ready),
            alone_ready_seconds: 0.1,
            alone,
            idle,
            touched: idle,
            per_idle_app: Held::each(&alone, &idle, 1000),
            per_touched_app: Held::each(&idle, &idle, 300),
            asked: 300,
            first_request: requests(first),
            second_request: requests(first),
            others_share: spread(0.0),
        }
        .to_string()
    }

    #[test]
    fn what_an_app_holds_is_what_it_adds() {
        let held = Held::each(&memory(1000, 0), &memory(4000, 2000), 10);
        assert_eq!(
            (held.anonymous, held.memfds, held.resident),
            (300.0, 200.0, 500.0)
        );
        assert_eq!(
            Held::each(&memory(10, 0), &memory(0, 0), 10).anonymous,
            -1.0
        );
    }

    #[test]
    fn targets_are_met_up_to_their_bounds() {
        let base = memory(50 << 20, 0);
        let met = report(2.0, 14.99, base, memory((50 << 20) + 102_400_000, 0));
        for line in [
            "target: ready within 2 s (median): met, 2.000 s\n",
            "target: first request under 15 ms (p99): met, 14.99 ms\n",
            "target: an idle app at most 100 KiB: met, 100.0 KiB\n",
            "  strand up app-0 (and 1000 more folders)\n",
        ] {
            assert!(met.contains(line), "no `{line}` in:\n{met}");
        }
        let missed = report(2.01, 15.0, base, memory(50 << 20, 102_401_000));
        for line in [
            "(median): missed, 2.010 s\n",
            "(p99): missed, 15.00 ms\n",
            "100 KiB: missed, 100.0 KiB\n",
        ] {
            assert!(missed.contains(line), "no `{line}` in:\n{missed}");
        }
    }
}
