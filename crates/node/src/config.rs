//! The node's own configuration: ceilings, budgets, addresses. TOML, all fields
//! optional.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use strand_directive::units::{parse_duration, parse_size};
use strand_engine::Limits;

/// A node's configuration file.
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
/// warm-slots = 128           # at most; memory kept for the next instances
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
    pub memory: Option<Size>,
    /// How long requests in flight may take when the node ends; 30 s.
    pub drain: Option<Time>,
    /// What a Directive may ask for at most.
    pub ceilings: Ceilings,
    /// The engine.
    pub engine: EngineSection,
    /// What functions may use beyond what a Directive says.
    pub functions: FunctionsSection,
    /// What clients may do.
    pub gateway: GatewaySection,
    /// The compiler.
    pub compile: CompileSection,
}

/// What a Directive may ask for at most.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Ceilings {
    /// Memory of an instance; 4 GiB, as much as there can be.
    pub memory: Size,
    /// CPU time of a request; 24 h.
    pub cpu: Time,
    /// Time of a request; 24 h.
    pub wall: Time,
    /// Requests of a function at once; 65,536.
    pub concurrency: u32,
    /// Bytes of a request's body; 64 GiB.
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EngineSection {
    /// Instances at once; 2048.
    pub instances: u32,
    /// Slots kept warm; 128, or as many as take an eighth of the memory budget.
    pub warm_slots: Option<u32>,
}

/// Bytes that a warm slot keeps at most.
const WARM_SLOT: u64 = 1300 << 10;

impl EngineSection {
    /// Slots kept warm beside so many bytes for instances.
    pub(crate) fn warm_slots(&self, budget: u64) -> u32 {
        let most = strand_engine::Settings::default().warm_slots;
        let fit = u32::try_from(budget / 8 / WARM_SLOT).unwrap_or(u32::MAX);
        self.warm_slots.unwrap_or(most.min(fit))
    }
}

impl Default for EngineSection {
    fn default() -> Self {
        let settings = strand_engine::Settings::default();
        Self {
            instances: settings.instances,
            warm_slots: None,
        }
    }
}

/// What functions may use beyond what a Directive says: the fields of
/// [`Limits`] of these names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FunctionsSection {
    /// Handles of an instance.
    pub handles: usize,
    /// Elements of an instance's tables.
    pub table_elements: u64,
    /// Bytes of one call of the host.
    pub host_buffers: Size,
    /// Bytes of one set of header fields.
    pub headers: Size,
    /// Bytes of a command's output.
    pub output: Size,
    /// Calls inside each other.
    pub call_depth: u8,
    /// Outgoing connections of a function.
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
    /// Connections at once.
    pub connections: usize,
    /// Streams of an HTTP/2 connection at once.
    pub streams: u32,
    /// Bytes of a request's header.
    pub header_bytes: Size,
    /// Fields of a request's header.
    pub header_fields: usize,
    /// Time for a request's header.
    pub header_timeout: Time,
    /// Time between two requests.
    pub idle_timeout: Time,
    /// Time without a byte of a body.
    pub body_timeout: Time,
    /// Bytes a second of a body.
    pub body_rate: u64,
    /// Time in which a client takes nothing.
    pub write_timeout: Time,
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
        }
    }
}

/// The compiler's part.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CompileSection {
    /// Address space of the compiler's process; 2 GiB.
    pub memory: Size,
    /// Its CPU time, on all cores together; 120 s.
    pub cpu: Time,
    /// Its time; 180 s.
    pub wall: Time,
    /// Bytes of compiled code that are kept in the state folder; 4 GiB.
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

/// Bytes, written as in a Directive (`64Mi`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_size(&text)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

/// A time, written as in a Directive (`30s`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Time(pub Duration);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text)
            .map(Self)
            .map_err(|error| error.to_string())
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
        /// What the system said.
        source: std::io::Error,
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
    /// When the file cannot be read, or says something that we do not know.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Invalid {
            path: path.into(),
            source: Box::new(source),
        })
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
            drain_deadline: self.drain(),
            ..strand_gateway::Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_read() {
        let config: NodeConfig = toml::from_str(
            r#"
            memory = "2Gi"
            drain = "5s"
            [ceilings]
            memory = "1Gi"
            cpu = "10m"
            concurrency = 7
            [engine]
            warm-slots = 3
            [functions]
            output = "2Mi"
            call-depth = 3
            [gateway]
            streams = 16
            write-timeout = "5s"
            [compile]
            wall = "3m"
            "#,
        )
        .expect("valid");
        assert_eq!(config.memory_budget(), 2 << 30);
        assert_eq!(config.drain(), Duration::from_secs(5));
        assert_eq!(config.ceilings.memory, Size(1 << 30));
        assert_eq!(config.ceilings.concurrency, 7);
        assert_eq!(config.ceilings.body, Size(64 << 30));
        assert_eq!(config.engine.warm_slots(u64::MAX), 3);
        let default = EngineSection::default();
        assert_eq!(default.warm_slots(16 << 30), 128);
        assert_eq!(default.warm_slots(104 << 20), 10);
        assert_eq!(config.compile.wall.0, Duration::from_secs(180));
        let limits = config.functions.with(&strand_directive::Limits::default());
        assert_eq!((limits.output, limits.call_depth), (2 << 20, 3));
        assert_eq!(limits.handles, Limits::default().handles);
        let gateway = config.gateway();
        assert_eq!(gateway.max_streams, 16);
        assert_eq!(gateway.write_timeout, Duration::from_secs(5));
        assert_eq!(gateway.drain_deadline, Duration::from_secs(5));
    }

    #[test]
    fn unknown_fields_and_wrong_units_are_told_with_their_line() {
        for (text, said) in [
            ("memroy = \"1Gi\"", "unknown field `memroy`"),
            ("memory = \"1GB\"", "line 1"),
            ("[ceilings]\ncpu = \"10\"", "line 2"),
        ] {
            let error = toml::from_str::<NodeConfig>(text)
                .expect_err(text)
                .to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
