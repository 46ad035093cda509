//! The node's own configuration: ceilings, budgets, addresses. TOML, all fields
//! optional.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use strand_directive::units::{parse_duration, parse_size};

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
/// warm-slots = 128           # memory kept for the next instances
///
/// [compile]
/// memory = "2Gi"             # address space of the compiler's process
/// cpu = "120s"
/// wall = "180s"
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct NodeConfig {
    /// Bytes that all instances and host buffers may use together; three
    /// quarters of the machine's or the cgroup's memory by default.
    pub memory: Option<Size>,
    /// How long requests in flight may take when the node ends; 30 s.
    pub drain: Option<Time>,
    /// What a Directive may ask for at most.
    pub ceilings: Ceilings,
    /// The engine.
    pub engine: EngineSection,
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
    /// Slots kept warm; 128.
    pub warm_slots: u32,
}

impl Default for EngineSection {
    fn default() -> Self {
        let settings = strand_engine::Settings::default();
        Self {
            instances: settings.instances,
            warm_slots: settings.warm_slots,
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
}

impl Default for CompileSection {
    fn default() -> Self {
        Self {
            memory: Size(2 << 30),
            cpu: Time(Duration::from_secs(120)),
            wall: Time(Duration::from_secs(180)),
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
        assert_eq!(config.engine.warm_slots, 3);
        assert_eq!(config.compile.wall.0, Duration::from_secs(180));
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
