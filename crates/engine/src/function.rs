//! A function: a component of one world with its grants and limits, ready to be
//! called.

use std::sync::Arc;
use std::time::Instant;

use http::{Request, Response};
use tokio::task::JoinHandle;
use wasmtime::component::Linker;
use wasmtime_wasi::{p2, p3};

use crate::admission::{Admission, Permit};
use crate::background::{self, Weights};
use crate::budget::MemoryBudget;
use crate::call::{Body, Call, CommandLine, FunctionId, RequestId};
use crate::cell::{Failure, new_store, problem_of};
use crate::ctx::{CallInfo, Capability, Ctx};
use crate::engine::{Engine, LiveInstance, LoadedComponent};
use crate::limits::Limits;
use crate::meter::Meter;
use crate::outcome::{Outcome, limit_body};
use crate::outgoing::Callees;
use crate::problem::Problem;
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
    /// Its world; without one, the first of [`World::ALL`] that is exported.
    pub world: Option<World>,
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

/// Why a component cannot be a function.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No world among the exports, or not the one asked for.
    #[error("it exports no {wanted}; it exports: {exports}")]
    NoWorld {
        /// The world asked for, or any of them.
        wanted: String,
        /// What it does export.
        exports: String,
    },
    /// An import that nobody provides, or of another type.
    #[error("it cannot be linked: {0}")]
    Link(String),
}

enum Pre {
    Http03(http03::Handler),
    Http02(http02::Handler),
    Task(task::TaskPre<Ctx>),
    Command03(p3::bindings::CommandPre<Ctx>),
    Command02(p2::bindings::CommandPre<Ctx>),
}

/// A function that is ready to be called.
pub struct Function {
    engine: Arc<Engine>,
    id: FunctionId,
    limits: Limits,
    reuse: Reuse,
    capabilities: Vec<Arc<dyn Capability>>,
    callees: Arc<Callees>,
    admission: Arc<Admission>,
    share: Arc<background::Share>,
    instances: Arc<Share>,
    budget: Arc<MemoryBudget>,
    pre: Pre,
}

/// One admitted call.
pub(crate) struct Job {
    pub(crate) request: Request<Body>,
    pub(crate) command: CommandLine,
    pub(crate) info: CallInfo,
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) permit: Permit,
}

impl Function {
    /// Links a component with what it is granted.
    ///
    /// # Errors
    /// When the component is of no world that we know, or of another one than
    /// asked for, or imports what is not there.
    pub fn new(
        engine: &Arc<Engine>,
        component: &LoadedComponent,
        spec: FunctionSpec,
    ) -> Result<Self, LoadError> {
        let world = choose_world(component, spec.world)?;
        let pre = link(engine, component, world, &spec)
            .map_err(|error| LoadError::Link(format!("{error:#}")))?;
        Ok(Self {
            engine: Arc::clone(engine),
            admission: Admission::new(&spec.limits),
            share: engine.background.join(&spec.id.app, spec.weights),
            instances: engine.instances_of(&spec.id.app),
            budget: engine.budget.of_app(&spec.id.app),
            id: spec.id,
            limits: spec.limits,
            reuse: spec.reuse,
            capabilities: spec.capabilities,
            callees: Arc::new(spec.callees),
            pre,
        })
    }

    /// The function's name.
    pub fn id(&self) -> &FunctionId {
        &self.id
    }

    /// The function's world.
    pub fn world(&self) -> World {
        match self.pre {
            Pre::Http03(_) => World::Http03,
            Pre::Http02(_) => World::Http02,
            Pre::Task(_) => World::Task,
            Pre::Command03(_) => World::Command03,
            Pre::Command02(_) => World::Command02,
        }
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
        };
        match &self.pre {
            Pre::Http03(_) => http03::call(self, job).await,
            Pre::Http02(_) => http02::call(self, job).await,
            Pre::Task(_) => task::call(self, job).await,
            Pre::Command03(_) | Pre::Command02(_) => command::call(self, job).await,
        }
    }

    /// Makes an instance as for a call and drops it again, without calling it: what
    /// a fresh instance costs, for measurements.
    ///
    /// # Errors
    /// The problem, when there is no room for it.
    pub async fn instantiate_once(&self) -> Result<(), Problem> {
        let wall = self.limits.wall;
        let info = CallInfo {
            function: self.id.clone(),
            id: RequestId::new(""),
            deadline: Instant::now() + wall,
            wall,
            depth: 0,
        };
        let meter = Meter::new(self.limits.cpu);
        let mut store = new_store(self, &info, &meter, |_| ())?;
        let pre = match &self.pre {
            Pre::Http03(handler) => handler.instance_pre(),
            Pre::Http02(handler) => handler.instance_pre(),
            Pre::Task(pre) => pre.instance_pre(),
            Pre::Command03(pre) => pre.instance_pre(),
            Pre::Command02(pre) => pre.instance_pre(),
        };
        match pre.instantiate_async(&mut store).await {
            Ok(_instance) => Ok(()),
            Err(error) => Err(problem_of(Failure::Guest(error), self, store.data())),
        }
    }

    /// Drives a guest's task, here or in the background.
    pub(crate) fn spawn(
        &self,
        meter: Arc<Meter>,
        deadline: impl Fn() -> Instant + Send + Sync + 'static,
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

    /// Counts one more instance, if its app may have one more.
    pub(crate) fn count_instance(&self) -> Result<LiveInstance, Problem> {
        self.engine.count_instance(&self.instances)
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

    pub(crate) fn http02(&self) -> Option<&http02::Handler> {
        match &self.pre {
            Pre::Http02(handler) => Some(handler),
            _ => None,
        }
    }

    pub(crate) fn http03(&self) -> Option<&http03::Handler> {
        match &self.pre {
            Pre::Http03(handler) => Some(handler),
            _ => None,
        }
    }

    pub(crate) fn task(&self) -> Option<&task::TaskPre<Ctx>> {
        match &self.pre {
            Pre::Task(pre) => Some(pre),
            _ => None,
        }
    }

    pub(crate) fn command(&self) -> Option<command::CommandPre<'_>> {
        match &self.pre {
            Pre::Command02(pre) => Some(command::CommandPre::P2(pre)),
            Pre::Command03(pre) => Some(command::CommandPre::P3(pre)),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("id", &self.id)
            .field("world", &self.world())
            .finish_non_exhaustive()
    }
}

fn choose_world(component: &LoadedComponent, wanted: Option<World>) -> Result<World, LoadError> {
    let exports = component.interfaces().exports;
    let worlds = World::among(exports.iter().map(String::as_str));
    let chosen = match wanted {
        Some(wanted) => worlds.contains(&wanted).then_some(wanted),
        None => worlds.first().copied(),
    };
    chosen.ok_or_else(|| LoadError::NoWorld {
        wanted: wanted.map_or_else(
            || "world that Strand runs".to_owned(),
            |world| format!("interface of world `{world}`"),
        ),
        exports: if exports.is_empty() {
            "nothing".to_owned()
        } else {
            exports.join(", ")
        },
    })
}

fn link(
    engine: &Engine,
    component: &LoadedComponent,
    world: World,
    spec: &FunctionSpec,
) -> wasmtime::Result<Pre> {
    let mut linker = Linker::<Ctx>::new(&engine.wasm);
    p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    for capability in &spec.capabilities {
        capability.add_to_linker(&mut linker)?;
    }
    let pre = linker.instantiate_pre(&component.0)?;
    Ok(match world {
        World::Http03 => Pre::Http03(http03::Handler::new(
            wasmtime_wasi_http::p3::bindings::ServicePre::new(pre)?,
        )),
        World::Http02 => Pre::Http02(http02::Handler::new(
            wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre)?,
        )),
        World::Task => Pre::Task(task::TaskPre::new(pre)?),
        World::Command03 => Pre::Command03(p3::bindings::CommandPre::new(pre)?),
        World::Command02 => Pre::Command02(p2::bindings::CommandPre::new(pre)?),
    })
}
