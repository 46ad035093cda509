//! The engine: one a process.

use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::Component;

use crate::artifact::Artifact;
use crate::background::Background;
use crate::budget::MemoryBudget;
use crate::config::{Allocation, Settings, build_engine};
use crate::link::Linkers;
use crate::problem::{Limit, Problem};
use crate::residency::{Charge, CodeInMemory, Residency};
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
    pub(crate) residency: Arc<Residency>,
    pub(crate) linkers: Linkers,
    /// Turns for [`Engine::aside`].
    turns: Semaphore,
    allocation: Allocation,
}

/// Counts one instance while it lives.
pub(crate) struct LiveInstance {
    share: Arc<Share>,
    places: u64,
}

impl Drop for LiveInstance {
    fn drop(&mut self) {
        self.share.give_back(self.places);
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
            residency: Residency::new(settings.code),
            linkers: Linkers::default(),
            turns: Semaphore::new(settings.threads.max(1)),
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

    /// Instances that live now, one that takes several places of the pool counted as so many.
    pub fn live_instances(&self) -> u64 {
        self.instances.used()
    }

    /// An app's share of the instances.
    pub(crate) fn instances_of(&self, app: &str) -> Arc<Share> {
        self.instances.of_app(app)
    }

    /// Counts one more instance of an app, if it may have one more that takes so many places.
    /// Without a pool nothing else bounds them.
    pub(crate) fn count_instance(
        &self,
        app: &Arc<Share>,
        places: u64,
    ) -> Result<LiveInstance, Problem> {
        match app.take(places) {
            Ok(_) => Ok(LiveInstance {
                share: Arc::clone(app),
                places,
            }),
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

    /// How much compiled code is in memory.
    pub fn code(&self) -> CodeInMemory {
        self.residency.in_memory()
    }

    /// Whether there is code in memory beyond its limit, for which apps pay: so it is when calls
    /// of many functions have run at once.
    pub fn has_too_much_code(&self) -> bool {
        self.residency.has_paid()
    }

    /// Has code beyond the limit go that is in no use, or count in the limit where there is room
    /// for it by now. Takes milliseconds.
    pub fn unload_code(&self) {
        self.residency.settle();
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
