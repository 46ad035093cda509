//! The node's own configuration: ceilings, budgets, addresses. TOML, all fields
//! optional.

mod bounds;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use strand_engine::{Limits, Weights};

use crate::files::{FileError, read_text};
use bounds::{DAY, GIB, KIB, MIB, VAST, count, networks, size, time};

pub use bounds::{Size, Time};

/// Bytes of a configuration file, at most.
const MAX_FILE: u64 = MIB;

/// A node's configuration file. All values have bounds, which are looked at while it is read, so
/// that the error has the line.
///
/// ```toml
/// memory = "2Gi"             # budget of all instances and host buffers
/// drain = "30s"              # how long requests in flight may take at the end
///
/// [ceilings]                 # what a Directive may ask for at most
/// memory = "1Gi"
/// cpu = "10m"
/// wall = "1h"
/// concurrency = 1024
/// body = "1Gi"
///
/// [engine]
/// instances = 2048           # at once, if the address space has room
/// warm-slots = 128           # places that wait for their last function
/// keep-resident = "1Mi"      # memory that a place keeps for its next instance
/// threads = 8                # for guests that need long; as many as there are cores
/// code = "512Mi"             # compiled code in memory
///
/// [weights]                  # of the time of those threads, by app; 100 unless it is here
/// reads = 200
///
/// [functions]                # what a Directive cannot ask for; these are the defaults
/// handles = 4096             # streams, bodies, fields, …, that an instance holds
/// table-elements = 1048576   # of all tables of an instance
/// host-buffers = "4Mi"       # handed to the host in one call
/// headers = "128Ki"          # of one set of header fields that a function makes
/// output = "1Gi"             # of a command
/// call-depth = 8             # functions that call functions
/// connections = 64           # outgoing, of a function
///
/// [gateway]                  # what clients may do; these are the defaults
/// connections = 10000
/// streams = 128              # of an HTTP/2 connection
/// header-bytes = "32Ki"
/// header-fields = 100
/// header-timeout = "10s"
/// idle-timeout = "60s"
/// body-timeout = "30s"
/// body-rate = 128            # bytes a second
/// write-timeout = "60s"
/// trusted-proxies = ["10.0.0.0/8"]   # who may say for whom they ask; none by default
///
/// [tls]                      # the apps' listener speaks TLS, and nothing else
/// certificates = [{ certificate = "tls/site.pem", key = "tls/site.key" }]
///
/// [compile]
/// memory = "2Gi"             # address space of the compiler's process
/// cpu = "120s"
/// wall = "180s"
/// cache = "4Gi"              # compiled code that is kept
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct NodeConfig {
    /// Bytes that all instances and host buffers may use together; by default three
    /// quarters of what the machine or the cgroup has left when the node starts.
    /// 16 MiB to 64 TiB.
    #[serde(deserialize_with = "size::<{ 16 * MIB }, VAST, _, _>")]
    pub memory: Option<Size>,
    /// How long requests in flight may take when the node ends; 30 s. 0 to 24 h.
    #[serde(deserialize_with = "time::<0, DAY, _, _>")]
    pub drain: Option<Time>,
    /// What a Directive may ask for at most.
    pub ceilings: Ceilings,
    /// The engine.
    pub engine: EngineSection,
    /// The weights of apps that are not of [`Weights::DEFAULT`]; 1 to 10,000. Whoever knows the apps
    /// looks whether they are there.
    pub weights: BTreeMap<String, Weight>,
    /// What functions may use beyond what a Directive says.
    pub functions: FunctionsSection,
    /// What clients may do.
    pub gateway: GatewaySection,
    /// TLS of the apps' listener.
    pub tls: TlsSection,
    /// The compiler.
    pub compile: CompileSection,
}

/// What a Directive may ask for at most. The defaults are as much as there can be, and the least
/// is the least that a Directive can ask for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Ceilings {
    /// Memory of an instance; 4 GiB. From 64 KiB.
    #[serde(deserialize_with = "size::<{ 64 * KIB }, { 4 * GIB }, _, _>")]
    pub memory: Size,
    /// CPU time of a request; 24 h. From 1 ms.
    #[serde(deserialize_with = "time::<1, DAY, _, _>")]
    pub cpu: Time,
    /// Time of a request; 24 h. From 1 ms.
    #[serde(deserialize_with = "time::<1, DAY, _, _>")]
    pub wall: Time,
    /// Requests of a function at once; 65,536. From 1.
    #[serde(deserialize_with = "count::<u32, 1, 65_536, _, _>")]
    pub concurrency: u32,
    /// Bytes of a request's body; 64 GiB. From 0.
    #[serde(deserialize_with = "size::<0, { 64 * GIB }, _, _>")]
    pub body: Size,
}

impl Default for Ceilings {
    fn default() -> Self {
        let day = Time(Duration::from_secs(24 * 60 * 60));
        Self {
            memory: Size(4 << 30),
            cpu: day,
            wall: day,
            concurrency: 65_536,
            body: Size(64 << 30),
        }
    }
}

/// The engine's part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EngineSection {
    /// Instances at once; one for each mebibyte of the memory budget, 64 to 2048. 1 to
    /// 1,000,000.
    #[serde(deserialize_with = "count::<u32, 1, 1_000_000, _, _>")]
    pub instances: Option<u32>,
    /// Slots that wait for another instance of the function that they had last; 128. 0 to
    /// 1,000,000.
    #[serde(deserialize_with = "count::<u32, 0, 1_000_000, _, _>")]
    pub warm_slots: Option<u32>,
    /// Bytes that a slot keeps for its next instance; up to 1152 KiB, and for all slots
    /// together an eighth of the memory budget. 0 to 64 MiB.
    #[serde(deserialize_with = "size::<0, { 64 * MIB }, _, _>")]
    pub keep_resident: Option<Size>,
    /// Threads for guests that need long; as many as the process may use cores. 1 to 1024.
    #[serde(deserialize_with = "count::<usize, 1, 1024, _, _>")]
    pub threads: Option<usize>,
    /// Bytes of compiled code in memory, beyond which goes what was not called for longest; an
    /// eighth of the memory budget, at least 64 MiB. 0 to 64 TiB.
    #[serde(deserialize_with = "size::<0, VAST, _, _>")]
    pub code: Option<Size>,
}

/// Bytes of the memory budget for each instance that there may be, unless the
/// configuration says: fewer could keep nothing for the next one.
const BUDGET_OF_INSTANCE: u64 = 1 << 20;

/// Bytes of compiled code that every node has room for, unless the configuration says.
const LEAST_CODE: u64 = 64 * MIB;

impl EngineSection {
    /// Instances at once, on so much memory.
    pub(crate) fn instances(&self, budget: u64) -> u32 {
        let most = u64::from(strand_engine::Settings::default().instances);
        let fit = (budget / BUDGET_OF_INSTANCE).clamp(64, most);
        self.instances
            .unwrap_or(u32::try_from(fit).unwrap_or(u32::MAX))
    }

    /// Slots that wait for another instance of the function that they had last.
    pub(crate) fn warm_slots(&self) -> u32 {
        self.warm_slots
            .unwrap_or(strand_engine::Settings::default().warm_slots)
    }

    /// Bytes that a slot keeps: all slots together an eighth of the budget, which is half
    /// of what the budget leaves to the node.
    pub(crate) fn keep_resident(&self, budget: u64) -> usize {
        let most = strand_engine::Settings::default().keep_resident;
        let share = budget / 8 / u64::from(self.instances(budget));
        let kept = self
            .keep_resident
            .map_or(share.min(most as u64), |size| size.0);
        usize::try_from(kept).unwrap_or(usize::MAX)
    }

    /// Bytes of compiled code in memory: an eighth of the budget, beside it.
    pub(crate) fn code(&self, budget: u64) -> u64 {
        self.code
            .map_or((budget / 8).max(LEAST_CODE), |size| size.0)
    }

    /// Threads for guests that need long.
    pub(crate) fn threads(&self) -> usize {
        self.threads
            .unwrap_or_else(|| strand_engine::Settings::default().threads)
    }
}

/// What functions may use beyond what a Directive says: the fields of
/// [`Limits`] of these names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FunctionsSection {
    /// Handles of an instance; 16 to 1,000,000.
    #[serde(deserialize_with = "count::<usize, 16, 1_000_000, _, _>")]
    pub handles: usize,
    /// Elements of an instance's tables; 1024 to 100,000,000.
    #[serde(deserialize_with = "count::<u64, 1024, 100_000_000, _, _>")]
    pub table_elements: u64,
    /// Bytes of one call of the host; 64 KiB to 1 GiB.
    #[serde(deserialize_with = "size::<{ 64 * KIB }, GIB, _, _>")]
    pub host_buffers: Size,
    /// Bytes of one set of header fields; 1 KiB to 16 MiB.
    #[serde(deserialize_with = "size::<KIB, { 16 * MIB }, _, _>")]
    pub headers: Size,
    /// Bytes of a command's output; 0 to 1 TiB.
    #[serde(deserialize_with = "size::<0, { 1024 * GIB }, _, _>")]
    pub output: Size,
    /// Calls inside each other; 0 to 64.
    #[serde(deserialize_with = "count::<u8, 0, 64, _, _>")]
    pub call_depth: u8,
    /// Outgoing connections of a function; 1 to 65,536.
    #[serde(deserialize_with = "count::<usize, 1, 65_536, _, _>")]
    pub connections: usize,
}

impl Default for FunctionsSection {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            handles: limits.handles,
            table_elements: limits.table_elements,
            host_buffers: Size(limits.host_buffers as u64),
            headers: Size(limits.headers as u64),
            output: Size(limits.output),
            call_depth: limits.call_depth,
            connections: strand_http_client::Config::default().connections,
        }
    }
}

impl FunctionsSection {
    /// The limits of a function that has these of its own.
    pub(crate) fn with(&self, asked: &strand_directive::Limits) -> Limits {
        let bytes = |size: Size| usize::try_from(size.0).unwrap_or(usize::MAX);
        Limits {
            memory: asked.memory,
            cpu: asked.cpu,
            wall: asked.wall,
            concurrency: asked.concurrency,
            queue: asked.queue,
            body: asked.body,
            table_elements: self.table_elements,
            handles: self.handles,
            host_buffers: bytes(self.host_buffers),
            headers: bytes(self.headers),
            output: self.output.0,
            call_depth: self.call_depth,
        }
    }
}

/// What clients may do: the fields of [`strand_gateway::Config`] of these names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct GatewaySection {
    /// Connections at once; 1 to 1,000,000.
    #[serde(deserialize_with = "count::<usize, 1, 1_000_000, _, _>")]
    pub connections: usize,
    /// Streams of an HTTP/2 connection at once; 1 to 10,000.
    #[serde(deserialize_with = "count::<u32, 1, 10_000, _, _>")]
    pub streams: u32,
    /// Bytes of a request's header; 1 KiB to 16 MiB.
    #[serde(deserialize_with = "size::<KIB, { 16 * MIB }, _, _>")]
    pub header_bytes: Size,
    /// Fields of a request's header; 10 to 10,000.
    #[serde(deserialize_with = "count::<usize, 10, 10_000, _, _>")]
    pub header_fields: usize,
    /// Time for a request's header; 100 ms to 24 h.
    #[serde(deserialize_with = "time::<100, DAY, _, _>")]
    pub header_timeout: Time,
    /// Time between two requests; 100 ms to 24 h.
    #[serde(deserialize_with = "time::<100, DAY, _, _>")]
    pub idle_timeout: Time,
    /// Time without a byte of a body; 100 ms to 24 h.
    #[serde(deserialize_with = "time::<100, DAY, _, _>")]
    pub body_timeout: Time,
    /// Bytes a second of a body; 0 to 1,073,741,824.
    #[serde(deserialize_with = "count::<u64, 0, 1_073_741_824, _, _>")]
    pub body_rate: u64,
    /// Time in which a client takes nothing; 100 ms to 24 h.
    #[serde(deserialize_with = "time::<100, DAY, _, _>")]
    pub write_timeout: Time,
    /// Networks, or single addresses, of proxies that say for whom they ask; at most 1000.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for GatewaySection {
    fn default() -> Self {
        let config = strand_gateway::Config::default();
        Self {
            connections: config.max_connections,
            streams: config.max_streams,
            header_bytes: Size(config.header_bytes as u64),
            header_fields: config.header_fields,
            header_timeout: Time(config.header_timeout),
            idle_timeout: Time(config.idle_timeout),
            body_timeout: Time(config.body_timeout),
            body_rate: config.body_rate,
            write_timeout: Time(config.write_timeout),
            trusted_proxies: config.trusted_proxies,
        }
    }
}

/// TLS of the apps' listener.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TlsSection {
    /// Certificates; without any the listener speaks cleartext. A client gets the one that names
    /// what it asks for, else one with a wildcard for it, of several the first; else the first of
    /// all.
    pub certificates: Vec<CertificateFiles>,
}

/// The files of a certificate. Relative paths are relative to the configuration's folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateFiles {
    /// The certificate and those that lead from it to one that clients know, in PEM.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// The compiler's part.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CompileSection {
    /// Address space of the compiler's process; 2 GiB. 64 MiB to 64 GiB.
    #[serde(deserialize_with = "size::<{ 64 * MIB }, { 64 * GIB }, _, _>")]
    pub memory: Size,
    /// Its CPU time, on all cores together; 120 s. 1 s to 24 h.
    #[serde(deserialize_with = "time::<1000, DAY, _, _>")]
    pub cpu: Time,
    /// Its time; 180 s. 1 s to 24 h.
    #[serde(deserialize_with = "time::<1000, DAY, _, _>")]
    pub wall: Time,
    /// Bytes of compiled code that are kept in the state folder; 4 GiB. 0 to 64 TiB.
    #[serde(deserialize_with = "size::<0, VAST, _, _>")]
    pub cache: Size,
}

impl Default for CompileSection {
    fn default() -> Self {
        Self {
            memory: Size(2 << 30),
            cpu: Time(Duration::from_secs(120)),
            wall: Time(Duration::from_secs(180)),
            cache: Size(4 << 30),
        }
    }
}

/// How much of the time of the threads for long work an app gets beside others; 1 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight(u32);

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        count::<u32, 1, 10_000, u32, D>(deserializer).map(Self)
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// The file is wrong; the message has the line.
    #[error("{path}: {source}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
}

impl NodeConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When the file cannot be read, or says something that we do not know, or a value is out of
    /// its bounds.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path, MAX_FILE).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|source| ConfigError::Invalid {
            path: path.into(),
            source: Box::new(source),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for files in &mut config.tls.certificates {
            files.certificate = folder.join(&files.certificate);
            files.key = folder.join(&files.key);
        }
        Ok(config)
    }

    /// The memory budget in bytes.
    pub fn memory_budget(&self) -> u64 {
        self.memory
            .map_or_else(crate::memory::default_budget, |size| size.0)
    }

    /// The drain deadline.
    pub fn drain(&self) -> Duration {
        self.drain.map_or(Duration::from_secs(30), |time| time.0)
    }

    /// An app's weight among the apps.
    pub(crate) fn weight(&self, app: &str) -> u32 {
        self.weights
            .get(app)
            .map_or(Weights::DEFAULT, |weight| weight.0)
    }

    /// What the gateway is to be like.
    pub(crate) fn gateway(&self) -> strand_gateway::Config {
        let section = &self.gateway;
        strand_gateway::Config {
            header_bytes: usize::try_from(section.header_bytes.0).unwrap_or(usize::MAX),
            header_fields: section.header_fields,
            header_timeout: section.header_timeout.0,
            idle_timeout: section.idle_timeout.0,
            body_timeout: section.body_timeout.0,
            body_rate: section.body_rate,
            write_timeout: section.write_timeout.0,
            max_connections: section.connections,
            max_streams: section.streams,
            trusted_proxies: section.trusted_proxies.clone(),
            drain_deadline: self.drain(),
            ..strand_gateway::Config::default()
        }
    }
}

#[cfg(test)]
mod tests;
