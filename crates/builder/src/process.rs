//! Child processes with a bound on their time and on what is kept of their output.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes kept of a child's output: enough for the end of an installer's log.
const TAIL: usize = 8 * 1024;

/// How a child ended.
#[derive(Debug)]
pub struct Finished {
    /// Whether it exited with 0 in time.
    pub success: bool,
    /// "exit status: 100", or that its time was up.
    pub how: String,
    /// The last 8 KiB of its output, both streams together, without surrounding blank space.
    pub tail: String,
}

/// Runs `command` without input for at most `limit`, then kills it.
///
/// # Errors
/// When it cannot be started or waited for.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Finished> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let tail = Arc::new(Mutex::new(VecDeque::new()));
    let (open, closed) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        keep_tail(stdout, Arc::clone(&tail), open.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        keep_tail(stderr, Arc::clone(&tail), open.clone());
    }
    drop(open);

    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if started.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(50));
    };
    // The readers end with the pipes, but a grandchild may hold those open for ever.
    let _ = closed.recv_timeout(Duration::from_secs(1));

    let mut kept = tail.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Finished {
        success: status.is_some_and(|status| status.success()),
        how: status.map_or_else(
            || format!("stopped after {} s", limit.as_secs()),
            |status| status.to_string(),
        ),
        tail: String::from_utf8_lossy(kept.make_contiguous())
            .trim()
            .to_owned(),
    })
}

/// Drains `pipe` into `tail` on a thread of its own, which holds `open` until the pipe is closed.
fn keep_tail(
    mut pipe: impl Read + Send + 'static,
    tail: Arc<Mutex<VecDeque<u8>>>,
    open: Sender<()>,
) {
    thread::spawn(move || {
        let _open = open;
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend(&buffer[..n]);
            let excess = tail.len().saturating_sub(TAIL);
            tail.drain(..excess);
        }
    });
}

/// `command` as a line that can be pasted into a shell.
pub fn shell_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| shell_word(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Finished {
        run(Command::new("sh").args(["-c", script]), limit).unwrap()
    }

    #[test]
    fn both_streams_are_kept_and_the_status_told() {
        let finished = sh("echo one; echo two >&2; exit 3", Duration::from_secs(10));
        assert!(!finished.success);
        assert_eq!(finished.how, "exit status: 3");
        assert!(finished.tail.contains("one") && finished.tail.contains("two"));
    }

    #[test]
    fn only_the_end_of_a_flood_is_kept() {
        let finished = sh(
            "yes flood | head -c 1000000; echo last",
            Duration::from_secs(10),
        );
        assert!(finished.success);
        assert!(finished.tail.len() <= TAIL);
        assert!(finished.tail.ends_with("last"), "{}", finished.tail);
    }

    #[test]
    fn a_child_that_never_ends_is_stopped() {
        let started = Instant::now();
        let finished = sh("echo begun; exec sleep 60", Duration::from_millis(500));
        assert!(!finished.success);
        assert_eq!(finished.tail, "begun");
        assert!(finished.how.starts_with("stopped after"));
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_does_not_hold_us() {
        let started = Instant::now();
        let finished = sh("sleep 20 & echo done", Duration::from_secs(10));
        assert!(finished.success);
        assert!(started.elapsed() < Duration::from_secs(8));
    }

    #[test]
    fn a_line_can_be_pasted() {
        let mut command = Command::new("cargo");
        command.args(["--config", r#"a.linker="/x y/ld""#, "it's", ""]);
        assert_eq!(
            shell_line(&command),
            r#"cargo --config 'a.linker="/x y/ld"' 'it'\''s' ''"#
        );
    }
}
