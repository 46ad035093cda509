//! A Tokio runtime per core. A connection and the guests that it calls stay on
//! one thread, which spares them wake-ups across cores.

use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How long what still runs may take when the cores stop. Guests do not count:
/// they were drained before.
const STOP: Duration = Duration::from_secs(1);

/// The threads.
pub(crate) struct Cores {
    handles: Vec<Handle>,
    threads: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Cores {
    /// Starts a thread with a runtime for each core that this process may use.
    pub(crate) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism()?.get();
        let mut cores = Self {
            handles: Vec::with_capacity(count),
            threads: Vec::with_capacity(count),
        };
        for index in 0..count {
            let (stop, stopped) = oneshot::channel::<()>();
            let (handle, handles) = mpsc::channel();
            let thread = thread::Builder::new()
                .name(format!("strand-core-{index}"))
                .spawn(move || {
                    let runtime = Builder::new_current_thread().enable_all().build();
                    let runtime = match runtime {
                        Ok(runtime) => {
                            let _ = handle.send(Ok(runtime.handle().clone()));
                            runtime
                        }
                        Err(error) => {
                            let _ = handle.send(Err(error));
                            return;
                        }
                    };
                    // Ends when the sender is dropped, too.
                    let _ = runtime.block_on(stopped);
                    runtime.shutdown_timeout(STOP);
                })?;
            let handle = handles
                .recv()
                .map_err(|_| io::Error::other("a core's thread ended at once"))??;
            cores.handles.push(handle);
            cores.threads.push((stop, thread));
        }
        Ok(cores)
    }

    pub(crate) fn handles(&self) -> &[Handle] {
        &self.handles
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        let (stops, threads): (Vec<_>, Vec<_>) = self.threads.drain(..).unzip();
        drop(stops);
        for thread in threads {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}
