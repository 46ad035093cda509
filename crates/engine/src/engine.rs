//! The engine: one a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::Component;

use crate::artifact::Artifact;
use crate::background::Background;
use crate::budget::MemoryBudget;
use crate::config::{Allocation, Settings, build_engine};
use crate::problem::{Limit, Problem};
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

    /// Maps an artefact.
    ///
    /// # Errors
    /// When the artefact was made for another engine; compile the source again.
    pub fn load(&self, artifact: &Artifact) -> Result<LoadedComponent, EngineError> {
        crate::mapping::map(&self.wasm, artifact)
            .map(LoadedComponent)
            .map_err(|error| EngineError::Map(format!("{error:#}")))
    }
}

/// A component that is mapped and ready to be made a function of.
#[derive(Clone)]
pub struct LoadedComponent(pub(crate) Component);

impl LoadedComponent {
    /// What the component imports and exports.
    pub fn interfaces(&self) -> Interfaces {
        interfaces(&self.0)
    }
}

impl std::fmt::Debug for LoadedComponent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedComponent").finish_non_exhaustive()
    }
}
