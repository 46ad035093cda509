//! A bounded writer that never blocks those who write.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// How long the thread gathers lines before it writes them, so that a busy node
/// pays for a system call a hundred times a second and not for every line.
const GATHER: Duration = Duration::from_millis(10);

/// How long the guard waits at the end for lines to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Says that lines were dropped, in the log's own format; with a line end.
pub type Notice = fn(dropped: u64) -> String;

/// Takes log lines. Clones write to the same place.
///
/// Bounded in bytes, which is why it is not a channel of lines.
#[derive(Clone, Debug)]
pub struct LogWriter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    ended: Condvar,
    capacity: usize,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    /// The thread sleeps until it is woken: only then is waking it worth it.
    asleep: bool,
    closed: bool,
    ended: bool,
}

/// Writes what is left when it is dropped, for at most two seconds.
#[derive(Debug)]
#[must_use = "lines are lost at the end unless this lives as long as the process"]
pub struct LogGuard(Arc<Shared>);

impl LogWriter {
    /// Starts the thread that writes to `sink`; at most `capacity` bytes of lines
    /// wait for it. A sink that fails loses the lines that it failed on.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        sink: impl Write + Send + 'static,
        capacity: usize,
        notice: Notice,
    ) -> io::Result<(Self, LogGuard)> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            ended: Condvar::new(),
            capacity,
            dropped: AtomicU64::new(0),
        });
        thread::Builder::new().name("strand-log".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.drain(sink, notice)
        })?;
        Ok((Self(Arc::clone(&shared)), LogGuard(shared)))
    }

    /// Takes one line with its line end; false when it was dropped for want of
    /// room.
    pub fn line(&self, line: &[u8]) -> bool {
        let mut queue = self.0.lock();
        if queue.bytes.len() + line.len() > self.0.capacity || queue.closed {
            drop(queue);
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        queue.bytes.extend_from_slice(line);
        let wake = std::mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.0.filled.notify_one();
        }
        true
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self, mut sink: impl Write, notice: Notice) {
        let mut told = 0;
        let mut batch = Vec::new();
        loop {
            let closed = self.take(&mut batch);
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped > told {
                batch.extend_from_slice(notice(dropped - told).as_bytes());
                told = dropped;
            }
            // There is nowhere to tell of a failure: this is the log.
            let _ = sink.write_all(&batch).and_then(|()| sink.flush());
            batch.clear();
            if closed {
                break;
            }
        }
        self.lock().ended = true;
        self.ended.notify_all();
    }

    /// Waits for lines and takes them; true when no more will come.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let mut queue = self.lock();
        while queue.bytes.is_empty() && !queue.closed {
            queue.asleep = true;
            queue = self
                .filled
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        queue.asleep = false;
        let until = Instant::now() + GATHER;
        while !queue.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self
                .filled
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        std::mem::swap(&mut queue.bytes, batch);
        queue.closed
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        self.0.filled.notify_one();
        let until = Instant::now() + LAST_WORDS;
        while !queue.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self
                .0
                .ended
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A dropped line is counted, not failed: the caller can do nothing about it.
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a LogWriter;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn notice(dropped: u64) -> String {
        format!("dropped {dropped}\n")
    }

    /// Writes when it is let, and says that it wants to.
    struct Gate {
        wants: mpsc::Sender<()>,
        let_through: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.wants.send(()).unwrap();
            self.let_through.recv().unwrap();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_sink_loses_lines_and_says_how_many() {
        let (wants, wanted) = mpsc::channel();
        let (open, let_through) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let gate = Gate {
            wants,
            let_through,
            written: Arc::clone(&written),
        };
        let (writer, guard) = LogWriter::start(gate, 20, notice).unwrap();
        assert!(writer.line(b"first\n"));
        wanted.recv().unwrap();
        // The sink is stuck: 20 bytes fit, and nobody waits.
        assert!(writer.line(b"123456789\n"));
        assert!(writer.line(b"123456789\n"));
        assert!(!writer.line(b"x\n"));
        assert!(!writer.line(b"y\n"));
        assert_eq!(writer.dropped(), 2);
        for _ in 0..2 {
            open.send(()).unwrap();
        }
        drop(guard);
        assert_eq!(
            String::from_utf8(written.lock().unwrap().clone()).unwrap(),
            "first\n123456789\n123456789\ndropped 2\n"
        );
    }

    #[test]
    fn a_stuck_sink_does_not_hold_up_the_end() {
        let (wants, wanted) = mpsc::channel();
        let (_open, let_through) = mpsc::channel();
        let gate = Gate {
            wants,
            let_through,
            written: Arc::default(),
        };
        let (writer, guard) = LogWriter::start(gate, 100, notice).unwrap();
        writer.line(b"first\n");
        wanted.recv().unwrap();
        let start = Instant::now();
        drop(guard);
        assert!(start.elapsed() < LAST_WORDS + Duration::from_secs(1));
        assert!(!writer.line(b"late\n"));
    }
}
