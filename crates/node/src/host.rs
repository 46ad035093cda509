//! What every verb that runs functions needs: the engine, the compiler, and the
//! back ends that a node was given.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};
use strand_compiler::{
    ChildLimits, CompileError, Compiler, CompilerConfig, KeyError, load_or_create_key,
};
use strand_directive::{Diagnostic, Function as FunctionSection, World};
use strand_engine::{
    ArtifactKey, Callees, Dispatch, Engine, EngineError, Function, FunctionId, FunctionSpec, Reuse,
    Settings, Weights, format_bytes,
};
use strand_objects::Bucket;
use strand_telemetry::Metrics;

use crate::app::{
    AppDir, AppError, Contents, FunctionCause, FunctionError, MAX_WASM, Unusable, Wasm, ceilings,
    engine_world,
};
use crate::code::{FunctionFile, Maker};
use crate::config::NodeConfig;
use crate::grants::{Backends, BackendsError, buckets};
use crate::registry::Registry;
use crate::sources::{Known, Sources};
use crate::state::StateDir;

/// Bytes without which no function of any use runs.
const LEAST_BUDGET: u64 = 16 << 20;

/// How a host is opened.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The state folder.
    pub state: PathBuf,
    /// The node's configuration.
    pub config: NodeConfig,
    /// The program that is started to compile; it is given the limits as
    /// arguments (`MEMORY-BYTES CPU-SECONDS`).
    pub compiler: (PathBuf, Vec<OsString>),
}

/// Why a host does not open.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There is no memory to run anything in.
    #[error(
        "there is no memory to run functions in: the budget is {}, at least {} are needed; free \
         some, or say with `memory = \"…\"` in `--config` how much they may use",
        format_bytes(*.budget), format_bytes(LEAST_BUDGET)
    )]
    Memory {
        /// Bytes of the budget.
        budget: u64,
    },
    /// The state folder.
    #[error("the state folder {path}: {source}", path = path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The installation's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The artefact cache.
    #[error(transparent)]
    Cache(#[from] CompileError),
    /// A back end.
    #[error(transparent)]
    Backends(#[from] BackendsError),
}

/// The engine, the compiler and the back ends.
pub struct Host {
    maker: Arc<Maker>,
    metrics: Arc<Metrics>,
    key: ArtifactKey,
    backends: Backends,
    config: NodeConfig,
    state: StateDir,
}

/// An app whose functions can be called.
pub struct LoadedApp {
    /// Its functions.
    pub registry: Arc<Registry>,
    /// What is odd about its components and no error.
    pub warnings: Vec<Diagnostic>,
}

impl Host {
    /// Opens the state folder and starts the engine.
    ///
    /// # Errors
    /// When any of it cannot be had.
    pub fn open(options: HostOptions) -> Result<Self, HostError> {
        // For the clients that find their TLS provider by themselves. It may be
        // there already: a process has one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let state = StateDir::open(&options.state).map_err(|source| HostError::State {
            path: options.state.clone(),
            source,
        })?;
        let budget = options.config.memory_budget();
        if budget < LEAST_BUDGET {
            return Err(HostError::Memory { budget });
        }
        let engine = Engine::new(&Settings {
            threads: options.config.engine.threads(),
            memory_budget: budget,
            instances: options.config.engine.instances(budget),
            warm_slots: options.config.engine.warm_slots(),
            keep_resident: options.config.engine.keep_resident(budget),
            code: options.config.engine.code(budget),
        })?;
        let key = load_or_create_key(state.path())?;
        let compiler = Compiler::new(compiler_config(&options, &state), key.clone())?;
        let metrics = Arc::new(Metrics::new());
        let maker = Maker {
            engine,
            compiler,
            counts: metrics.compilations().clone(),
        };
        Ok(Self {
            maker: Arc::new(maker),
            metrics,
            key,
            backends: Backends::new(options.config.functions.connections)?,
            config: options.config,
            state,
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.maker.engine
    }

    /// The compiler.
    pub fn compiler(&self) -> &Arc<Compiler> {
        &self.maker.compiler
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The node's configuration.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// The state folder.
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// Opens the back ends that the functions are granted (one and those that it calls, or all),
    /// to tell before anything long is begun if one is not to be had.
    ///
    /// # Errors
    /// With all bindings that do not fit the app, or when a back end cannot be opened.
    pub fn check_backends(&self, app: &AppDir, only: Option<&str>) -> Result<(), AppError> {
        open_buckets(app, only).map(drop)
    }

    /// Loads the functions of apps: one and those that it calls, or all. Of files that are
    /// known nothing but their names is looked at, and no code is in memory yet.
    ///
    /// # Errors
    /// All problems of all functions of an app that can be told before they are compiled; if
    /// there are none, all of compiling and linking.
    pub async fn load(
        &self,
        apps: &[AppDir],
        only: Option<&str>,
    ) -> Result<Vec<LoadedApp>, AppError> {
        let compiler = &self.maker.compiler;
        let sources = Sources::open(
            self.state.sources(),
            self.key.clone(),
            compiler.fingerprint(),
        );
        let loading = stream::iter(apps).map(|app| self.load_app(&sources, app, only));
        let loaded = loading.buffered(children()).try_collect().await;
        // Also if one cannot be loaded: the others need not be read again.
        sources.save();
        loaded
    }

    async fn load_app(
        &self,
        sources: &Sources,
        app: &AppDir,
        only: Option<&str>,
    ) -> Result<LoadedApp, AppError> {
        // There may be thousands, and others on this thread who want to be heard.
        tokio::task::yield_now().await;
        let registry = Arc::new(Registry::default());
        let mut diagnostics = Vec::new();
        let mut files = Vec::new();
        for (name, section) in app.wanted(only) {
            let most = &self.config.ceilings;
            diagnostics.extend(ceilings::check(most, app.directive(), name, section));
            match self.look_at(sources, app, name, section) {
                Ok(wasm) => {
                    diagnostics.extend(app.check_component(&wasm));
                    // One without a world has its diagnostic.
                    let world = World::choose(section.world, &wasm.facts.worlds);
                    files.extend(world.map(|world| (wasm, world, section)));
                }
                Err(unusable) => diagnostics.push(app.unusable(name, section, &unusable)),
            }
        }
        Diagnostic::sort(&mut diagnostics);
        Diagnostic::shorten(&mut diagnostics);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(app.invalid(diagnostics));
        }
        let buckets = open_buckets(app, only)?;
        let app = Loading {
            app,
            sources,
            buckets,
            registry,
        };
        let functions = files
            .into_iter()
            .map(|(wasm, world, section)| self.function(&app, wasm, world, section));
        let mut made = Vec::new();
        let mut failed = Vec::new();
        for function in join_all(functions).await {
            match function {
                Ok(function) => made.push(function),
                Err(error) => failed.push(error),
            }
        }
        if !failed.is_empty() {
            return Err(AppError::Functions(failed));
        }
        app.registry.fill(made);
        Ok(LoadedApp {
            registry: app.registry,
            warnings: diagnostics,
        })
    }

    /// A function's file: read, unless it is known to be one of its world, and its code is
    /// there.
    fn look_at(
        &self,
        sources: &Sources,
        app: &AppDir,
        name: &str,
        section: &FunctionSection,
    ) -> Result<Wasm, Unusable> {
        let path = app.wasm_path(name, section);
        let is_usable = |known: &Known| {
            World::choose(section.world, &known.facts.worlds) == Some(known.world)
                && self.maker.compiler.has(&known.digest)
        };
        match sources.find(&path).filter(is_usable) {
            Some(known) => Ok(Wasm {
                function: name.to_owned(),
                path,
                facts: known.facts,
                contents: Contents::Known(known.digest),
            }),
            None => app.read_wasm(name, section),
        }
    }

    /// Makes a function of its file. What was read is compiled and linked, so that what
    /// cannot run is told now, but it does not stay in memory.
    async fn function(
        &self,
        loading: &Loading<'_>,
        wasm: Wasm,
        world: World,
        section: &FunctionSection,
    ) -> Result<Arc<Function>, FunctionError> {
        let fail = |cause| FunctionError {
            function: wasm.function.clone(),
            path: wasm.path.clone(),
            cause,
        };
        let spec = self
            .spec(loading, &wasm.function, world, section)
            .map_err(|error| fail(FunctionCause::Backend(error.to_string())))?;
        let (digest, read) = match wasm.contents {
            Contents::Known(digest) => {
                self.maker.counts.cached.inc();
                (digest, None)
            }
            Contents::Read { bytes, id } => {
                let loaded = self.maker.load(&bytes).await;
                let loaded = loaded.map_err(|error| fail(error.into()))?;
                (loaded.digest, Some((loaded.component, id)))
            }
        };
        let file = FunctionFile {
            maker: Arc::clone(&self.maker),
            path: wasm.path.clone(),
            digest,
        };
        let function = Function::new(self.engine(), Arc::new(file), spec);
        if let Some((component, id)) = read {
            let checked = function.check(&component);
            checked.map_err(|error| fail(error.into()))?;
            let known = Known {
                digest,
                world,
                facts: wasm.facts,
            };
            if let Some(id) = id {
                loading.sources.learn(id, known);
            }
        }
        Ok(Arc::new(function))
    }

    fn spec(
        &self,
        loading: &Loading<'_>,
        name: &str,
        world: World,
        section: &FunctionSection,
    ) -> Result<FunctionSpec, BackendsError> {
        let app = &loading.app.directive().name;
        let dispatch: Weak<dyn Dispatch> = Arc::downgrade(&loading.registry) as Weak<dyn Dispatch>;
        Ok(FunctionSpec {
            id: FunctionId {
                app: app.as_str().into(),
                function: name.into(),
            },
            world: engine_world(world),
            limits: self.config.functions.with(&section.limits),
            reuse: Reuse {
                requests: section.instance.reuse,
                concurrency: section.instance.concurrency,
            },
            weights: Weights {
                app: self.config.weight(app),
                function: section.weight,
            },
            capabilities: self.backends.capabilities(
                section,
                &loading.buckets,
                &self.engine().budget().of_app(app),
            )?,
            callees: Callees {
                granted: section.grants.functions.clone(),
                dispatch,
            },
        })
    }
}

/// An app that is being loaded.
struct Loading<'a> {
    app: &'a AppDir,
    sources: &'a Sources,
    buckets: BTreeMap<String, Bucket>,
    registry: Arc<Registry>,
}

fn open_buckets(app: &AppDir, only: Option<&str>) -> Result<BTreeMap<String, Bucket>, AppError> {
    app.check_bindings(only)?;
    Ok(buckets(app)?)
}

fn compiler_config(options: &HostOptions, state: &StateDir) -> CompilerConfig {
    let section = &options.config.compile;
    let limits = ChildLimits {
        memory: section.memory.0,
        // The system counts whole seconds, and zero would be none at all.
        cpu_seconds: section.cpu.0.as_secs().max(1),
    };
    let (program, mut arguments) = options.compiler.clone();
    arguments.push(limits.memory.to_string().into());
    arguments.push(limits.cpu_seconds.to_string().into());
    CompilerConfig {
        child: (program, arguments),
        limits,
        wall: section.wall.0,
        source: MAX_WASM,
        code: 256 << 20,
        children: children(),
        cache: state.artifacts(),
        cache_size: section.cache.0,
    }
}

/// Compilers that run at once.
fn children() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
