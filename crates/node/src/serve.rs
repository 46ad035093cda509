//! Serving: the app on one listener, administration on another, from start to
//! drain.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use strand_admin::{
    Admin, AppStatus, FunctionLimits, FunctionStatus, MemoryStatus, State, Status, TokenError,
};
use strand_engine::{Allocation, Dispatch, Engine, give_back_free_pages};
use strand_gateway::{AppRoutes, Drained, Gateway, RoutingError, RoutingTable, Tls};
use strand_telemetry::{AccessLog, Metrics, Reading, Telemetry};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{AppDir, AppError};
use crate::cores::Cores;
use crate::host::{Host, LoadedApp};
use crate::registry::Apps;
use crate::tls::Certificates;
use crate::trim;

/// Why a node does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with `{option}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The option that names it.
        option: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The administration token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The routes cannot be set up.
    #[error(transparent)]
    Routes(#[from] RoutingError),
    /// No threads.
    #[error("the threads that serve cannot be started: {0}")]
    Cores(io::Error),
    /// TLS cannot be spoken.
    #[error("the way in cannot speak TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The gateway ended.
    #[error(transparent)]
    Gateway(#[from] strand_gateway::ServeError),
}

/// Connections that wait to be accepted; the kernel lets no more than `net.core.somaxconn`. Those
/// beyond it are dropped, and their clients try again only after a second.
const BACKLOG: i32 = 4096;

/// Listens on an address.
///
/// # Errors
/// When the system refuses; `option` is the one to change then.
pub fn listen(address: SocketAddr, option: &'static str) -> Result<TcpListener, ServeError> {
    bind(address).map_err(|source| ServeError::Listen {
        address,
        option,
        source,
    })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // Once more: the standard library lets 128 wait, which is less than a burst of new clients.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// A node: a host with metrics and a life that others can watch.
pub struct Node {
    host: Host,
    certificates: Option<Arc<Certificates>>,
    metrics: Arc<Metrics>,
    access: AccessLog,
    state: watch::Sender<State>,
    apps: Arc<Mutex<Vec<AppStatus>>>,
}

impl Node {
    /// A node on a host, with the process's log.
    pub fn new(host: Host, telemetry: &Telemetry) -> Self {
        // Before connections come. The gateway takes no more than there are descriptors for.
        if let Err(error) = strand_gateway::raise_descriptor_limit() {
            tracing::warn!(%error, "the limit of descriptors stays as low as it is");
        }
        let metrics = Arc::clone(host.metrics());
        watch_engine(&metrics, host.engine());
        let writer = telemetry.writer.clone();
        metrics.watch(Reading::LogLinesDropped, move || writer.dropped());
        Self {
            host,
            certificates: None,
            metrics,
            access: telemetry.access.clone(),
            state: watch::Sender::new(State::Starting),
            apps: Arc::default(),
        }
    }

    /// Speaks TLS to the apps' clients, with these certificates, and with what their files hold
    /// when they change.
    #[must_use]
    pub fn over_tls(mut self, certificates: Arc<Certificates>) -> Self {
        let watched = Arc::clone(&certificates);
        self.metrics.watch_certificates(move || watched.ends());
        self.certificates = Some(certificates);
        self
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Says what a reader of the log should know about this machine.
    pub fn log_start(&self) {
        let engine = self.host.engine();
        let memory = strand_engine::format_bytes(engine.budget().limit());
        match engine.allocation() {
            Allocation::Pooling {
                instances,
                pagemap_scan,
            } => tracing::info!(
                instances,
                pagemap_scan,
                memory,
                "instances come from a pool"
            ),
            Allocation::OnDemand => tracing::warn!(
                memory,
                "the address space is too small for a pool: each instance gets memory of its own, \
                 which is slower"
            ),
        }
    }

    /// Serves the administration API until `shutdown`, on the runtime that this
    /// is called on.
    ///
    /// # Errors
    /// When there is no token to protect it with.
    pub fn administer(
        &self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let token = strand_admin::token(self.host.state().path())?;
        let admin = Admin {
            token,
            state: self.state.subscribe(),
            metrics: Arc::clone(&self.metrics),
            status: Box::new(self.status()),
        };
        tokio::spawn(async move {
            if let Err(error) = strand_admin::serve(admin, listener, shutdown).await {
                tracing::error!(%error, "administration ended");
            }
        });
        Ok(())
    }

    fn status(&self) -> impl Fn() -> Status + Send + Sync + 'static {
        let state = self.state.subscribe();
        let budget = Arc::clone(self.host.engine().budget());
        let apps = Arc::clone(&self.apps);
        let started = Instant::now();
        move || Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: *state.borrow(),
            uptime_seconds: started.elapsed().as_secs(),
            memory: MemoryStatus {
                used_bytes: budget.used(),
                limit_bytes: budget.limit(),
            },
            apps: apps.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Loads apps.
    ///
    /// # Errors
    /// All problems of all functions of an app.
    pub async fn load(&self, apps: &[AppDir]) -> Result<Vec<LoadedApp>, AppError> {
        let loaded = self.host.load(apps, None).await?;
        let statuses = apps
            .iter()
            .zip(&loaded)
            .map(|(app, loaded)| app_status(app, loaded));
        let mut told = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend(statuses);
        drop(told);
        Ok(loaded)
    }

    /// Serves loaded apps until `shutdown`, then drains. `ready` is called when
    /// requests are about to be accepted. What is only needed to load apps is gone by then.
    ///
    /// # Errors
    /// When it cannot start, for example because two apps would take the same requests.
    pub async fn serve(
        &self,
        apps: Vec<(AppDir, LoadedApp)>,
        listener: TcpListener,
        shutdown: CancellationToken,
        ready: impl FnOnce(),
    ) -> Result<Drained, ServeError> {
        let routes = apps.iter().map(|(app, _)| AppRoutes {
            app: &app.directive().name,
            folder: app.dir(),
            hosts: &app.directive().hosts,
            routes: &app.directive().routes,
        });
        let routes = RoutingTable::new(routes, &self.metrics)?;
        let dispatch: Arc<dyn Dispatch> = match &*apps {
            [(_, loaded)] => Arc::clone(&loaded.registry) as Arc<dyn Dispatch>,
            several => {
                let named = several
                    .iter()
                    .map(|(app, loaded)| (app.directive().name.as_str(), &loaded.registry));
                Arc::new(Apps::new(named))
            }
        };
        drop(apps);
        // Reading thousands of Directives leaves much behind that nobody uses any more.
        give_back_free_pages();
        let cores = Cores::start().map_err(ServeError::Cores)?;
        watch_tasks(&self.metrics, cores.handles().to_vec());
        let mut gateway = Gateway::new(
            self.host.config().gateway(),
            Arc::new(routes),
            dispatch,
            Arc::clone(&self.metrics),
            self.access.clone(),
        )
        .charged_to(self.host.engine().budget());
        if let Some(certificates) = &self.certificates {
            gateway = gateway.over_tls(Tls::new(Arc::clone(certificates) as _)?);
        }
        let state = self.state.clone();
        let end = shutdown.clone();
        tokio::spawn(async move {
            end.cancelled().await;
            state.send_replace(State::Draining);
        });
        let mut watching = JoinSet::new();
        watching.spawn(trim::watch(Arc::clone(self.host.engine())));
        if let Some(certificates) = &self.certificates {
            watching.spawn(Arc::clone(certificates).watch());
        }
        self.state.send_replace(State::Ready);
        ready();
        let served = gateway
            .serve(listener, cores.handles().to_vec(), shutdown)
            .await;
        drop(watching);
        // Joins threads: off the runtime that administration is served on.
        drop(tokio::task::spawn_blocking(move || drop(cores)).await);
        Ok(served?)
    }
}

fn watch_tasks(metrics: &Metrics, cores: Vec<Handle>) {
    metrics.watch(Reading::TasksLive, move || {
        let alive = |core: &Handle| core.metrics().num_alive_tasks() as u64;
        cores.iter().map(alive).sum()
    });
}

fn watch_engine(metrics: &Metrics, engine: &Arc<Engine>) {
    let budget = Arc::clone(engine.budget());
    metrics.watch(Reading::MemoryLimit, {
        let budget = Arc::clone(&budget);
        move || budget.limit()
    });
    metrics.watch(Reading::MemoryUsed, move || budget.used());
    let watch = |reading, read: fn(&Engine) -> u64| {
        let engine = Arc::clone(engine);
        metrics.watch(reading, move || read(&engine));
    };
    watch(Reading::InstancesLive, Engine::live_instances);
    watch(Reading::CodeBytes, |engine| engine.code().bytes);
    watch(Reading::CodeLimit, |engine| engine.code().limit);
    watch(Reading::CodeLoads, |engine| engine.code().loads);
    watch(Reading::FunctionsLoaded, |engine| engine.code().functions);
}

fn app_status(app: &AppDir, loaded: &LoadedApp) -> AppStatus {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut functions: Vec<_> = loaded
        .registry
        .iter()
        .map(|function| {
            let limits = function.limits();
            FunctionStatus {
                name: function.id().function.to_string(),
                world: function.world().to_string(),
                limits: FunctionLimits {
                    memory_bytes: limits.memory,
                    cpu_ms: millis(limits.cpu),
                    wall_ms: millis(limits.wall),
                    concurrency: limits.concurrency,
                    queue: limits.queue,
                    body_bytes: limits.body,
                },
            }
        })
        .collect();
    functions.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    AppStatus {
        name: app.directive().name.clone(),
        version: app.directive().version.clone(),
        functions,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn more_clients_may_wait_than_the_standard_library_lets() {
        let most = fs::read_to_string("/proc/sys/net/core/somaxconn").expect("a Linux system");
        let most: usize = most.trim().parse().expect("a number");
        let listener = listen(([127, 0, 0, 1], 0).into(), "--listen").expect("a free port");
        let address = listener.local_addr().expect("an address");
        // Nobody accepts them: one for which there is no place is not answered at all. The time
        // is only how long a failure takes.
        let clients: Result<Vec<_>, _> = (0..most.min(300))
            .map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(20)))
            .collect();
        clients.expect("a place for each");
    }
}
