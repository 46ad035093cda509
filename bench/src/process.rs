//! Processes that are measured: always killed, and what the system says of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use strand_builder::shell_line;

/// Lines of a log that an error shows.
const TAIL: usize = 20;

/// A running process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a process that writes what it says to a file: a pipe would need somebody who reads
    /// it, on the cores that are measured.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("{}", log.display()))?;
        let err = out.try_clone().context("a second handle of the log")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("`{}` could not be started", shell_line(command)))?;
        Ok(Self {
            child,
            log: log.to_path_buf(),
        })
    }

    /// # Errors
    /// When the process has ended; with the end of its log.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("it ended ({status}); it had said:\n{}", self.tail());
        }
        Ok(())
    }

    /// The end of what it said.
    pub(crate) fn tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// CPU time of the process so far, in ticks of the system's clock (10 ms).
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        cpu_ticks(&stat, OWN)
            .map(ticks)
            .with_context(|| format!("no CPU times in {stat:?}"))
    }

    /// Bytes of memory by a field of `/proc/PID/status` (proc(5)): `VmRSS` now, `VmHWM` at most.
    pub(crate) fn memory(&self, field: &str) -> Result<u64> {
        let status = self.proc("status")?;
        memory_field(&status, field).with_context(|| format!("no {field} in {status:?}"))
    }

    /// A file of its folder in `/proc`.
    pub(crate) fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).with_context(|| path)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of a field of a `status` file of `/proc`.
pub(crate) fn memory_field(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes = line.strip_prefix(':')?.trim().strip_suffix("kB")?;
    kibibytes
        .trim()
        .parse::<u64>()
        .ok()
        .map(|number| number << 10)
}

/// CPU time of all children of this process that have ended, in ticks of the system's clock.
pub(crate) fn children_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("/proc/self/stat")?;
    cpu_ticks(&stat, CHILDREN)
        .map(ticks)
        .with_context(|| format!("no CPU times in {stat:?}"))
}

/// Where a `stat` file of `/proc` has user time, system time behind it, counted after the name
/// (proc(5)): the process's own, and that of its children that were waited for.
const OWN: usize = 11;
const CHILDREN: usize = 13;

/// User and system time of a `stat` file of `/proc`, in ticks.
fn cpu_ticks(stat: &str, at: usize) -> Option<u64> {
    // The second field is a name in parentheses, which may hold both blanks and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(at);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Time of so many ticks of the system's clock.
pub(crate) fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs_f64(count as f64 / per_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_bytes() {
        let status = "Name:\tstrand\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(memory_field(status, "VmRSS"), Some(1 << 20));
        assert_eq!(memory_field(status, "VmHWM"), Some(2 << 20));
        assert_eq!(memory_field(status, "Vm"), None);
        assert_eq!(memory_field(status, "VmSwap"), None);
    }

    #[test]
    fn cpu_time_is_user_and_system_time() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 900 0 0 0 120 34 5 6 20 0 9 0 100 1 2 3";
        assert_eq!(cpu_ticks(stat, OWN), Some(154));
        assert_eq!(cpu_ticks(stat, CHILDREN), Some(11));
        assert_eq!(cpu_ticks("7 (a) S 1", OWN), None);
    }

    #[test]
    fn a_process_is_killed_when_dropped_and_tells_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo ready; exec sleep 1000"]);
        let mut process = Process::start(&mut shell, &log).unwrap();
        while process.tail().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(process.tail(), "ready");
        process.check_alive().unwrap();
        assert!(process.memory("VmRSS").unwrap() > 0);
        let folder_of_process = format!("/proc/{}", process.child.id());
        drop(process);
        assert!(!Path::new(&folder_of_process).exists());
    }

    #[test]
    fn a_process_that_ended_says_how() {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo no port >&2; exit 3"]);
        let mut process = Process::start(&mut shell, &folder.path().join("log")).unwrap();
        let error = loop {
            match process.check_alive() {
                Ok(()) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => break error.to_string(),
            }
        };
        assert!(
            error.contains("exit status: 3") && error.contains("no port"),
            "{error}"
        );
    }
}
