//! The thread that advances the engine's epoch while guests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::meter::QUANTUM;

/// Ticks without a guest after which the thread sleeps. High enough that a
/// trickle of requests does not pay for a wake-up each.
const IDLE_TICKS: u32 = 100;

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// Advances the epoch once a quantum while any guest has its turn. An operating
/// system thread, because a busy guest must not be able to delay it.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let engine = engine.weak();
        let thread = thread::Builder::new().name("strand-ticker".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut idle = 0;
                while !shared.stop.load(Ordering::Relaxed) {
                    let Some(engine) = engine.upgrade() else {
                        return;
                    };
                    engine.increment_epoch();
                    drop(engine);
                    if shared.running.load(Ordering::Relaxed) == 0 {
                        idle += 1;
                    } else {
                        idle = 0;
                    }
                    if idle < IDLE_TICKS {
                        thread::sleep(QUANTUM);
                        continue;
                    }
                    shared.asleep.store(true, Ordering::SeqCst);
                    // A turn that began between the count above and the store
                    // saw `asleep` false and will not wake us: look again.
                    if shared.running.load(Ordering::SeqCst) == 0
                        && !shared.stop.load(Ordering::SeqCst)
                    {
                        thread::park();
                    }
                    shared.asleep.store(false, Ordering::SeqCst);
                    idle = 0;
                }
            }
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Says that a guest runs until the guard is dropped.
    pub(crate) fn turn(&self) -> TurnGuard<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        TurnGuard(&self.shared.running)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic; if it did, there is nobody to tell.
            let _ = thread.join();
        }
    }
}

/// A guest's turn.
pub(crate) struct TurnGuard<'a>(&'a AtomicUsize);

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}
