//! A node: puts engine, capabilities, gateway and administration together from
//! its configuration. The only crate that chooses back ends.

mod app;
mod bindings;
mod code;
mod config;
mod cores;
mod files;
mod grants;
mod host;
mod memory;
mod once;
mod registry;
mod serve;
mod sources;
mod state;
mod tls;
mod trim;

pub use app::{
    AppDir, AppError, Checked, DIRECTIVE_FILE, FunctionCause, FunctionError, MAX_WASM, facts,
};
pub use bindings::{Binding, BindingError, BlobLocation, Misbinding};
pub use config::{
    Ceilings, CertificateFiles, CompileSection, ConfigError, EngineSection, NodeConfig, Size, Time,
    Weight,
};
pub use files::{FileError, read_file};
pub use grants::BackendsError;
pub use host::{Host, HostError, HostOptions, LoadedApp};
pub use once::{Invocation, call_once, is_success};
pub use registry::Registry;
pub use serve::{Node, ServeError, listen};
pub use state::StateDir;
pub use tls::{Certificates, TlsError};
