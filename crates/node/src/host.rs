//! What every verb that runs functions needs: the engine, the compiler, and the
//! back ends that a node was given.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use futures::future::join_all;
use strand_blobstore::Bucket;
use strand_compiler::{
    ChildLimits, CompileError, Compiler, CompilerConfig, KeyError, Loaded, Origin,
    load_or_create_key,
};
use strand_directive::{Diagnostic, Function as FunctionSection};
use strand_engine::{
    Callees, Dispatch, Engine, EngineError, Function, FunctionId, FunctionSpec, Reuse, Settings,
    Weights, format_bytes,
};

use crate::app::{
    AppDir, AppError, FunctionCause, FunctionError, MAX_WASM, Wasm, ceilings, compile, engine_world,
};
use crate::config::NodeConfig;
use crate::grants::{Backends, BackendsError, buckets};
use crate::registry::Registry;
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
    engine: Arc<Engine>,
    compiler: Arc<Compiler>,
    backends: Backends,
    config: NodeConfig,
    state: StateDir,
}

/// An app whose functions can be called.
pub struct LoadedApp {
    /// Its functions.
    pub registry: Arc<Registry>,
    /// How many of them had to be compiled.
    pub compiled: usize,
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
        })?;
        let key = load_or_create_key(state.path())?;
        let compiler = Compiler::new(compiler_config(&options, &state), key)?;
        Ok(Self {
            engine,
            compiler,
            backends: Backends::new(options.config.functions.connections)?,
            config: options.config,
            state,
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The compiler.
    pub fn compiler(&self) -> &Arc<Compiler> {
        &self.compiler
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

    /// Loads an app's functions: those that are named, or all.
    ///
    /// # Errors
    /// All problems of all functions that can be told before they are compiled; if there are
    /// none, all of compiling and linking.
    pub async fn load(&self, app: &AppDir, only: Option<&str>) -> Result<LoadedApp, AppError> {
        let registry = Arc::new(Registry::default());
        let mut failed = Vec::new();
        let mut diagnostics = Vec::new();
        let mut files = Vec::new();
        for (name, section) in app.wanted(only) {
            let most = &self.config.ceilings;
            diagnostics.extend(ceilings::check(most, app.directive(), name, section));
            match app.read_wasm(name, section) {
                Ok(wasm) => {
                    diagnostics.extend(app.check_component(&wasm));
                    files.push((wasm, section));
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
        let loaded = join_all(
            files
                .iter()
                .map(|(wasm, _)| compile(&self.engine, &self.compiler, wasm)),
        )
        .await;
        let mut functions = Vec::new();
        let mut compiled = 0;
        for ((wasm, section), loaded) in files.iter().zip(loaded) {
            let function = loaded.and_then(|loaded| {
                compiled += usize::from(loaded.origin != Origin::Cache);
                self.function(app, wasm, section, &loaded, &buckets, &registry)
            });
            match function {
                Ok(function) => functions.push(Arc::new(function)),
                Err(error) => failed.push(error),
            }
        }
        if !failed.is_empty() {
            return Err(AppError::Functions(failed));
        }
        registry.fill(functions);
        Ok(LoadedApp {
            registry,
            compiled,
            warnings: diagnostics,
        })
    }

    fn function(
        &self,
        app: &AppDir,
        wasm: &Wasm,
        section: &FunctionSection,
        loaded: &Loaded,
        buckets: &BTreeMap<String, Bucket>,
        registry: &Arc<Registry>,
    ) -> Result<Function, FunctionError> {
        let fail = |cause| FunctionError {
            function: wasm.function.clone(),
            path: wasm.path.clone(),
            cause,
        };
        let id = FunctionId {
            app: app.directive().name.as_str().into(),
            function: wasm.function.as_str().into(),
        };
        let capabilities = self
            .backends
            .capabilities(section, buckets, &self.engine.budget().of_app(&id.app))
            .map_err(|error| fail(FunctionCause::Backend(error.to_string())))?;
        let dispatch: Weak<dyn Dispatch> = Arc::downgrade(registry) as Weak<dyn Dispatch>;
        let spec = FunctionSpec {
            id,
            world: section.world.map(engine_world),
            limits: self.config.functions.with(&section.limits),
            reuse: Reuse {
                requests: section.instance.reuse,
                concurrency: section.instance.concurrency,
            },
            weights: Weights {
                app: self.config.weight(&app.directive().name),
                function: section.weight,
            },
            capabilities,
            callees: Callees {
                granted: section.grants.functions.clone(),
                dispatch,
            },
        };
        Function::new(&self.engine, &loaded.component, spec).map_err(|error| fail(error.into()))
    }
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
        children: std::thread::available_parallelism().map_or(1, usize::from),
        cache: state.artifacts(),
        cache_size: section.cache.0,
    }
}
