//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use strand_node::Binding;

/// Runs WebAssembly functions behind HTTP: one file says which functions an app has,
/// what each may use and which routes lead to them, and one binary builds, checks and
/// serves it.
#[derive(Debug, Parser)]
#[command(name = "strand", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Build apps and serve them until Ctrl-C
    Up(UpArgs),
    /// Call one function once, without a server: standard input to standard output
    Run(RunArgs),
    /// Build the functions of apps that are crates
    Build(AppsArgs),
    /// Check apps' Directives, and their components as far as they are built
    Check(CheckArgs),
    /// Say what a Wasm file is, which grants it needs, and what it needs that there is not
    Inspect(InspectArgs),
    /// Print the JSON Schema of the Directive
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Compile standard input to standard output (what the compiler's process runs)
    #[command(hide = true)]
    CompileChild(CompileChildArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AppsArgs {
    /// The apps' folders, each with its directive.yaml
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) dirs: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// What a resource is on this node, e.g. blobs.genomes=s3://bucket/prefix, or of which app if
    /// there are several: reads/blobs.genomes=…
    #[arg(long = "bind", value_name = "[APP/]RESOURCE=WHERE")]
    pub(crate) bindings: Vec<Binding>,
    /// The folder for keys and compiled code [default: $XDG_STATE_HOME/strand]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// The node's configuration (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) apps: AppsArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// Where the apps listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// The certificate of the apps' listener in PEM, which makes it speak TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where administration listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub(crate) admin: SocketAddr,
    /// Serve what was built before, without building
    #[arg(long)]
    pub(crate) no_build: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The app's folder, with its directive.yaml
    pub(crate) dir: PathBuf,
    /// The function
    pub(crate) function: String,
    /// The method of the request, for HTTP functions
    #[arg(long, value_name = "M", default_value = "GET")]
    pub(crate) method: http::Method,
    /// The path and query of the request, for HTTP functions
    #[arg(long, value_name = "P", default_value = "/")]
    pub(crate) path: http::Uri,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// Run what was built before, without building
    #[arg(long)]
    pub(crate) no_build: bool,
    /// The arguments, for commands
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) apps: AppsArgs,
    /// Print the problems as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A component or a core module
    pub(crate) file: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompileChildArgs {
    /// Bytes of address space
    pub(crate) memory: u64,
    /// Seconds of CPU time
    pub(crate) cpu_seconds: u64,
}
