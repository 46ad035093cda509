//! The engine: one a process.

use std::sync::Arc;

use wasmtime::component::Component;

use crate::artifact::Artifact;
use crate::background::Background;
use crate::budget::MemoryBudget;
use crate::config::{Allocation, Settings, build_engine};
use crate::problem::{Limit, Problem};
use crate::shares::{Refused, Share, Shares};
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
    instances: Arc<Shares>,
    allocation: Allocation,
}

/// Counts one instance while it lives.
pub(crate) struct LiveInstance(Arc<Share>);

impl Drop for LiveInstance {
    fn drop(&mut self) {
        self.0.give_back(1);
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
        let instances = match allocation {
            Allocation::Pooling { instances, .. } => instances,
            Allocation::OnDemand => settings.instances,
        };
        Ok(Arc::new(Self {
            ticker: Ticker::start(&wasm)?,
            background: Background::start(settings.threads)?,
            wasm,
            budget: MemoryBudget::new(settings.memory_budget),
            instances: Shares::new(instances.into()),
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
        self.instances.used()
    }

    /// An app's share of the instances.
    pub(crate) fn instances_of(&self, app: &str) -> Arc<Share> {
        self.instances.of_app(app)
    }

    /// Counts one more instance of an app, if it may have one more. Without a pool nothing
    /// else bounds them.
    pub(crate) fn count_instance(&self, app: &Arc<Share>) -> Result<LiveInstance, Problem> {
        match app.take(1) {
            Ok(_) => Ok(LiveInstance(Arc::clone(app))),
            Err(Refused::Spent) => Err(self.no_more_instances()),
            Err(Refused::HasItsPart) => {
                let most = self.instances.limit();
                let detail = format!(
                    "of the {most} instances that this node has room for, the last ones are for apps that have fewer"
                );
                Err(Problem::limit(Limit::Concurrency, most, detail))
            }
        }
    }

    /// What a call is told for which there is no instance.
    pub(crate) fn no_more_instances(&self) -> Problem {
        let most = self.instances.limit();
        let detail = format!("this node runs as many instances as it has room for: {most}");
        Problem::limit(Limit::Concurrency, most, detail)
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
