//! A function: a component of one world with its grants and limits, ready to be
//! called.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use tokio::task::JoinHandle;

use crate::admission::{Admission, Permit};
use crate::background::{self, Deadline, Weights};
use crate::budget::MemoryBudget;
use crate::call::{Body, Call, CommandLine, FunctionId, RequestId};
use crate::cell::{Failure, new_store, problem_of};
use crate::ctx::{CallInfo, Capability};
use crate::engine::{Engine, LiveInstance, LoadedComponent};
use crate::limits::Limits;
use crate::link::{LinkError, Linked};
use crate::meter::Meter;
use crate::outcome::{Outcome, limit_body};
use crate::outgoing::Callees;
use crate::problem::{Limit, Problem};
use crate::residency::{Place, not_loaded};
use crate::shares::Share;
use crate::world::World;
use crate::worlds::{command, http02, http03, task};

/// How many requests one instance serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// In all.
    pub requests: u32,
    /// At once. More than one only for `http@0.3`.
    pub concurrency: u32,
}

impl Default for Reuse {
    fn default() -> Self {
        Self {
            requests: 1,
            concurrency: 1,
        }
    }
}

/// What a function is to be.
pub struct FunctionSpec {
    /// Its name.
    pub id: FunctionId,
    /// Its world, which its component exports.
    pub world: World,
    /// Its limits.
    pub limits: Limits,
    /// How often an instance is used.
    pub reuse: Reuse,
    /// Its part in the time of the threads for long work.
    pub weights: Weights,
    /// What it is granted.
    pub capabilities: Vec<Arc<dyn Capability>>,
    /// The functions that it may call.
    pub callees: Callees,
}

/// Where a function's component comes from whenever it is not in memory.
pub trait Source: Send + Sync {
    /// Fetches the component. What takes long is not for the thread that this is called
    /// on, which serves: [`Engine::aside`] is.
    fn fetch(&self) -> Fetching<'_>;
}

/// A component, later.
pub type Fetching<'a> =
    Pin<Box<dyn Future<Output = Result<LoadedComponent, FetchError>> + Send + 'a>>;

/// Why there is no component, for the log.
pub type FetchError = Box<dyn std::error::Error + Send + Sync>;

/// One that is in memory already, and stays.
impl Source for LoadedComponent {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(ready(Ok(self.clone())))
    }
}

/// Why a function's code is not in memory.
enum LoadError {
    NoRoom(Problem),
    Fetch(FetchError),
}

/// A function that can be called. Its code is in memory from its first call on, until
/// other functions need the room ([`Settings::code`](crate::Settings::code)).
pub struct Function {
    engine: Arc<Engine>,
    id: FunctionId,
    world: World,
    limits: Limits,
    reuse: Reuse,
    capabilities: Vec<Arc<dyn Capability>>,
    callees: Arc<Callees>,
    admission: Arc<Admission>,
    share: Arc<background::Share>,
    instances: Arc<Share>,
    budget: Arc<MemoryBudget>,
    source: Arc<dyn Source>,
    place: Arc<Place<Linked>>,
}

/// One admitted call.
pub(crate) struct Job {
    pub(crate) request: Request<Body>,
    pub(crate) command: CommandLine,
    pub(crate) info: CallInfo,
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) permit: Permit,
    /// Held while it is used, so that it stays in memory.
    pub(crate) code: Arc<Linked>,
}

impl Function {
    /// A function whose component comes from `source` when it is called.
    pub fn new(engine: &Arc<Engine>, source: Arc<dyn Source>, spec: FunctionSpec) -> Self {
        Self {
            engine: Arc::clone(engine),
            admission: Admission::new(&spec.limits),
            share: engine.background.join(&spec.id.app, spec.weights),
            instances: engine.instances_of(&spec.id.app),
            budget: engine.budget.of_app(&spec.id.app),
            place: Place::new(&engine.residency, &spec.id.app),
            source,
            id: spec.id,
            world: spec.world,
            limits: spec.limits,
            reuse: spec.reuse,
            capabilities: spec.capabilities,
            callees: Arc::new(spec.callees),
        }
    }

    /// Links a component as it is done for a call, to tell before the first one whether it
    /// can be this function.
    ///
    /// # Errors
    /// When it is of another world, or imports what is not there.
    pub fn check(&self, component: &LoadedComponent) -> Result<(), LinkError> {
        Linked::new(&self.engine, component, self.world, &self.capabilities).map(drop)
    }

    /// The function's name.
    pub fn id(&self) -> &FunctionId {
        &self.id
    }

    /// The function's world.
    pub fn world(&self) -> World {
        self.world
    }

    /// Calls the function. Must run on a Tokio runtime; the guest begins on the
    /// same one, and moves to the engine's threads when it needs long. Dropping the answer's body before its end ends the guest.
    ///
    /// # Errors
    /// The problem, when the call ends in one before its answer begins.
    pub async fn call(self: &Arc<Self>, call: Call) -> Result<Response<Body>, Problem> {
        let now = Instant::now();
        let own = self.limits.wall;
        let wall = call.limits.wall.map_or(own, |wall| wall.min(own));
        let wall = call.deadline.map_or(wall, |deadline| {
            deadline.saturating_duration_since(now).min(wall)
        });
        let deadline = now + wall;
        let outcome = Outcome::new();
        let (parts, body) = call.request.into_parts();
        let own = self.limits.body;
        let most = call.limits.body.map_or(own, |body| body.min(own));
        let body = limit_body(body, most, &outcome)?;
        let permit = self.admission.enter(now, deadline, wall).await?;
        let code = self.code(now, deadline, wall).await?;
        let job = Job {
            request: Request::from_parts(parts, body),
            command: call.command,
            info: CallInfo {
                function: self.id.clone(),
                id: call.id,
                deadline,
                wall,
                depth: call.depth,
            },
            outcome,
            permit,
            code,
        };
        match self.world {
            World::Http03 => http03::call(self, job).await,
            World::Http02 => http02::call(self, job).await,
            World::Task => task::call(self, job).await,
            World::Command03 | World::Command02 => command::call(self, job).await,
        }
    }

    /// The function's code, brought into memory if it is not there. That is waited for
    /// until the deadline, which is so long after the call's arrival.
    async fn code(
        self: &Arc<Self>,
        now: Instant,
        deadline: Instant,
        wall: Duration,
    ) -> Result<Arc<Linked>, Problem> {
        if let Some(code) = self.place.get(now) {
            return Ok(code);
        }
        let arriving = self.place.load(|| {
            let function = Arc::clone(self);
            async move { function.load().await }
        });
        // Boxed: most calls need no room for it.
        let arriving = Box::pin(tokio::time::timeout_at(deadline.into(), arriving));
        arriving.await.unwrap_or_else(|_elapsed| {
            let value = format!("{wall:?}");
            let detail = format!("the call waited for the function's code for all of its {value}");
            Err(Problem::limit(Limit::Wall, value, detail))
        })
    }

    async fn load(&self) -> Result<Linked, Problem> {
        let linked = match self.source.fetch().await {
            Ok(component) => self.link(component).await,
            Err(error) => Err(LoadError::Fetch(error)),
        };
        linked.map_err(|error| match error {
            LoadError::NoRoom(problem) => problem,
            LoadError::Fetch(error) => {
                tracing::error!(app = %self.id.app, function = %self.id.function, error, "the function's code cannot be loaded");
                not_loaded()
            }
        })
    }

    async fn link(&self, component: LoadedComponent) -> Result<Linked, LoadError> {
        let (engine, world) = (Arc::clone(&self.engine), self.world);
        let capabilities = self.capabilities.clone();
        let (budget, app) = (Arc::clone(&self.budget), Arc::clone(self.place.app()));
        let linking = move || {
            let residency = &engine.residency;
            residency
                .admit(&app, &component.charge, &budget)
                .map_err(LoadError::NoRoom)?;
            Linked::new(&engine, &component, world, &capabilities)
                .map_err(|error| LoadError::Fetch(error.into()))
        };
        self.engine.aside(linking).await
    }

    /// Makes an instance as for a call and drops it again, without calling it: what
    /// a fresh instance costs, for measurements.
    ///
    /// # Errors
    /// The problem, when there is no room for it.
    pub async fn instantiate_once(self: &Arc<Self>) -> Result<(), Problem> {
        let (now, wall) = (Instant::now(), self.limits.wall);
        let code = self.code(now, now + wall, wall).await?;
        let info = CallInfo {
            function: self.id.clone(),
            id: RequestId::new(""),
            deadline: now + wall,
            wall,
            depth: 0,
        };
        let meter = Meter::new(self.limits.cpu);
        let mut store = new_store(self, &code, &info, &meter, |_| ())?;
        match code.instance_pre().instantiate_async(&mut store).await {
            Ok(_instance) => Ok(()),
            Err(error) => Err(problem_of(Failure::Guest(error), self, store.data())),
        }
    }

    /// Drives a guest's task, here or in the background.
    pub(crate) fn spawn(
        &self,
        meter: Arc<Meter>,
        deadline: impl Deadline,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        background::spawn(&self.share, meter, deadline, task)
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The node's memory budget, charged by this function's app.
    pub(crate) fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// Counts one more instance, if its app may have one more that takes so many places.
    pub(crate) fn count_instance(&self, places: u64) -> Result<LiveInstance, Problem> {
        self.engine.count_instance(&self.instances, places)
    }

    /// The function's limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn reuse(&self) -> Reuse {
        self.reuse
    }

    pub(crate) fn capabilities(&self) -> &[Arc<dyn Capability>] {
        &self.capabilities
    }

    pub(crate) fn callees(&self) -> &Arc<Callees> {
        &self.callees
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("id", &self.id)
            .field("world", &self.world)
            .finish_non_exhaustive()
    }
}
