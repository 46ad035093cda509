//! The engine: one a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;
use wasmtime::component::Component;

use crate::artifact::Artifact;
use crate::background::Background;
use crate::budget::MemoryBudget;
use crate::config::{Allocation, Settings, build_engine};
use crate::link::Linkers;
use crate::problem::{Limit, Problem};
use crate::residency::{Charge, CodeInMemory, Residency};
use crate::ticker::Ticker;
use crate::world::{Interfaces, interfaces};

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Wasmtime refused its configuration.
    #[error("the engine does not start: {0}")]
    Wasmtime(String),
    /// Code that cannot be mapped.
    #[error("{0}")]
    Map(String),
    /// No thread.
    #[error("no thread for the engine: {0}")]
    Thread(#[from] std::io::Error),
}

/// Runs functions. One a process: Wasmtime's signal handlers and pools are.
#[derive(Debug)]
pub struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) ticker: Ticker,
    pub(crate) background: Background,
    pub(crate) budget: Arc<MemoryBudget>,
    pub(crate) residency: Arc<Residency>,
    pub(crate) linkers: Linkers,
    /// Turns for [`Engine::aside`].
    turns: Semaphore,
    live: Arc<AtomicU64>,
    instances: u32,
    allocation: Allocation,
}

/// Counts one instance while it lives.
pub(crate) struct LiveInstance(Arc<AtomicU64>);

impl Drop for LiveInstance {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// Starts an engine.
    ///
    /// # Errors
    /// When Wasmtime or the operating system refuses.
    pub fn new(settings: &Settings) -> Result<Arc<Self>, EngineError> {
        let (wasm, allocation) =
            build_engine(settings).map_err(|error| EngineError::Wasmtime(format!("{error:#}")))?;
        Ok(Arc::new(Self {
            ticker: Ticker::start(&wasm)?,
            background: Background::start(settings.threads)?,
            wasm,
            budget: MemoryBudget::new(settings.memory_budget),
            residency: Residency::new(settings.code),
            linkers: Linkers::default(),
            turns: Semaphore::new(settings.threads.max(1)),
            live: Arc::default(),
            instances: settings.instances,
            allocation,
        }))
    }

    /// How instances get their memory on this machine.
    pub fn allocation(&self) -> Allocation {
        self.allocation
    }

    /// The node's memory budget.
    pub fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// Instances that live now.
    pub fn live_instances(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// Counts one more instance, if there may be one more. Without a pool nothing else
    /// bounds them.
    pub(crate) fn count_instance(&self) -> Result<LiveInstance, Problem> {
        let live = LiveInstance(Arc::clone(&self.live));
        if self.live.fetch_add(1, Ordering::Relaxed) < u64::from(self.instances) {
            Ok(live)
        } else {
            Err(self.no_more_instances())
        }
    }

    /// What a call is told for which there is no instance.
    pub(crate) fn no_more_instances(&self) -> Problem {
        let instances = match self.allocation {
            Allocation::Pooling { instances, .. } => instances,
            Allocation::OnDemand => self.instances,
        };
        let detail = format!("this node runs as many instances as it has room for: {instances}");
        Problem::limit(Limit::Concurrency, instances, detail)
    }

    /// How much compiled code is in memory.
    pub fn code(&self) -> CodeInMemory {
        self.residency.in_memory()
    }

    /// Whether more code is in memory than may be: so it is when calls of many functions
    /// have run at once.
    pub fn has_too_much_code(&self) -> bool {
        self.residency.is_over_limit()
    }

    /// Has code go that is beyond its limit and in no use. Takes milliseconds.
    pub fn unload_code(&self) {
        self.residency.make_room();
    }

    /// Does what takes milliseconds, away from the threads that serve. As much at once as
    /// there are threads for long work; more waits for its turn. Must be called on a Tokio
    /// runtime.
    pub async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        // Never closed.
        let _turn = self.turns.acquire().await;
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and with it whoever waits here.
                Err(_cancelled) => std::future::pending().await,
            },
        }
    }

    /// Maps an artefact. It counts as code in memory while the component, or a function
    /// that was linked with it, is there.
    ///
    /// # Errors
    /// When the artefact was made for another engine; compile the source again.
    pub fn load(&self, artifact: &Artifact) -> Result<LoadedComponent, EngineError> {
        let component = crate::mapping::map(&self.wasm, artifact)
            .map_err(|error| EngineError::Map(format!("{error:#}")))?;
        let charge = self.residency.charge(artifact.code().len() as u64);
        Ok(LoadedComponent {
            component,
            charge: Arc::new(charge),
        })
    }
}

/// A component that is mapped and ready to be made a function of.
#[derive(Clone)]
pub struct LoadedComponent {
    pub(crate) component: Component,
    pub(crate) charge: Arc<Charge>,
}

impl LoadedComponent {
    /// What the component imports and exports.
    pub fn interfaces(&self) -> Interfaces {
        interfaces(&self.component)
    }
}

impl std::fmt::Debug for LoadedComponent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedComponent").finish_non_exhaustive()
    }
}
