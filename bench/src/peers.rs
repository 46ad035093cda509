//! Who answers hello in `bench http`: Strand in its variants, and its peers at their defaults.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use strand_builder::shell_line;

use crate::process::Process;
use crate::setup::{Setup, free_address, get_of, on_path};
use crate::strand::{Function, MANY_AT_ONCE, Strand};

/// The version of `wasmtime serve` that is compared with: the one that Strand is built on.
pub(crate) const WASMTIME: &str = "48.0.8";
/// The version of workerd that is installed.
pub(crate) const WORKERD: &str = "1.20261117.1";

/// How long a peer's start may take: `wasmtime serve` compiles first.
const START: Duration = Duration::from_secs(120);
/// How often a peer is asked whether it is ready, and how long an answer may take.
const POLL: Duration = Duration::from_millis(20);
const QUESTION: Duration = Duration::from_secs(10);

/// What a figure is compared within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum World {
    #[serde(rename = "http@0.2")]
    Http02,
    #[serde(rename = "http@0.3")]
    Http03,
    #[serde(rename = "javascript")]
    JavaScript,
}

/// How a peer is started.
pub(crate) enum Kind {
    Strand(Function),
    /// So many apps with the function, each with a component of its own, which are asked in turn.
    StrandApps(Function, usize),
    WasmtimeServe {
        guest: &'static str,
    },
    Workerd,
}

/// One line of the table.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    /// What keeps one request from another.
    pub(crate) isolation: &'static str,
    pub(crate) kind: Kind,
}

/// Everybody, in the order of the table.
pub(crate) fn all() -> Vec<Peer> {
    let function = |guest, instance| Function {
        guest,
        limits: MANY_AT_ONCE,
        instance,
        bucket: false,
        route: "/",
    };
    let strand = |name, world, isolation, guest, instance| Peer {
        name,
        world,
        isolation,
        kind: Kind::Strand(function(guest, instance)),
    };
    let serve = |name, world, isolation, guest| Peer {
        name,
        world,
        isolation,
        kind: Kind::WasmtimeServe { guest },
    };
    let (p2, p3) = ("hello-http02", "hello-http03");
    vec![
        strand("strand 0.2 fresh", World::Http02, FRESH, p2, None),
        Peer {
            name: "strand 0.2, 50 apps",
            world: World::Http02,
            isolation: "an instance per request, 50 components in turn",
            kind: Kind::StrandApps(function(p2, None), 50),
        },
        strand(
            "strand 0.2 reused",
            World::Http02,
            "an instance serves 128 requests, one at a time",
            p2,
            Some((128, 1)),
        ),
        serve("wasmtime serve 0.2", World::Http02, FRESH, p2),
        strand("strand 0.3 fresh", World::Http03, FRESH, p3, None),
        strand(
            "strand 0.3 reused",
            World::Http03,
            SHARED,
            p3,
            Some((128, 16)),
        ),
        serve("wasmtime serve 0.3", World::Http03, SHARED, p3),
        Peer {
            name: "workerd",
            world: World::JavaScript,
            isolation: "one isolate of V8 serves all requests",
            kind: Kind::Workerd,
        },
    ]
}

const FRESH: &str = "an instance per request";
const SHARED: &str = "an instance serves 128 requests, 16 at once";

/// A peer that answers.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// The command line, as a shell would take it.
    pub(crate) command: String,
    /// The hosts that are asked in turn.
    pub(crate) hosts: Vec<String>,
    /// The body of its answers.
    pub(crate) body: Vec<u8>,
}

impl Peer {
    /// Whether it is `wasmtime serve` of a world: what the others of that world are compared with.
    pub(crate) fn is_reference_of(&self, world: World) -> bool {
        self.world == world && matches!(self.kind, Kind::WasmtimeServe { .. })
    }

    /// The guest that it runs, if it is one of ours.
    pub(crate) fn guest(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Strand(function) | Kind::StrandApps(function, _) => Some(function.guest),
            Kind::WasmtimeServe { guest } => Some(guest),
            Kind::Workerd => None,
        }
    }

    /// Why it cannot be measured here, if so.
    pub(crate) fn missing(&self, setup: &Setup) -> Option<String> {
        let (program, version) = match &self.kind {
            Kind::Strand(_) | Kind::StrandApps(..) => return None,
            Kind::WasmtimeServe { .. } => (wasmtime(setup), WASMTIME),
            Kind::Workerd => (workerd(setup), WORKERD),
        };
        match program {
            Some(_) => None,
            None => Some(format!(
                "version {version} is not installed: add --install-peers"
            )),
        }
    }

    /// Starts it in a folder of its own and waits until it answers.
    pub(crate) fn start(&self, setup: &Setup, folder: &Path) -> Result<Running> {
        let running = match &self.kind {
            Kind::Strand(function) => start_strand(setup, function, folder),
            Kind::StrandApps(function, apps) => start_apps(setup, function, *apps, folder),
            Kind::WasmtimeServe { guest } => start_wasmtime(setup, guest, folder),
            Kind::Workerd => start_workerd(setup, folder),
        };
        running.with_context(|| self.name.to_owned())
    }
}

fn start_strand(setup: &Setup, function: &Function, folder: &Path) -> Result<Running> {
    let app = folder.join("app");
    function.write_app(setup, &app)?;
    let (strand, command) = Strand::start(setup, &app, folder)?;
    answering(strand.process, strand.address, Vec::new(), &command)
}

fn start_apps(setup: &Setup, function: &Function, count: usize, folder: &Path) -> Result<Running> {
    let (apps, hosts) = function.write_apps(setup, folder, count)?;
    let (strand, command) = Strand::start_all(setup, &apps, folder)?;
    answering(strand.process, strand.address, hosts, &command)
}

fn start_wasmtime(setup: &Setup, guest: &str, folder: &Path) -> Result<Running> {
    let program = wasmtime(setup).context("it is not installed")?;
    let address = free_address()?;
    let mut command = Command::new(program);
    // `-Scli`: the guests' standard library imports the environment, the standard streams and the
    // file system, which `serve` leaves out otherwise.
    command
        .args(["serve", "-Scli", "--addr", &address.to_string()])
        .arg(setup.guest(guest)?);
    let process = Process::start(&mut command, &folder.join("wasmtime.log"))?;
    answering(process, address, Vec::new(), &command)
}

fn start_workerd(setup: &Setup, folder: &Path) -> Result<Running> {
    let program = workerd(setup).context("it is not installed")?;
    let address = free_address()?;
    fs::write(folder.join("hello.js"), HELLO)?;
    let config = folder.join("config.capnp");
    fs::write(&config, capnp(address))?;
    let mut command = Command::new(program);
    command.arg("serve").arg(&config);
    let process = Process::start(&mut command, &folder.join("workerd.log"))?;
    answering(process, address, Vec::new(), &command)
}

/// As many bytes and fields as the guests answer with.
const HELLO: &str = r#"export default {
  async fetch() {
    return new Response("Hello from workerd!!\n", { headers: { "content-type": "text/plain" } });
  },
};
"#;

fn capnp(address: SocketAddr) -> String {
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "hello", worker = .hello)],
  sockets = [(name = "http", address = "{address}", http = (), service = "hello")],
);

const hello :Workerd.Worker = (
  modules = [(name = "hello.js", esModule = embed "hello.js")],
  compatibilityDate = "2026-01-01",
);
"#
    )
}

/// Waits for the first good answer. Without hosts it is asked by its address.
fn answering(
    mut process: Process,
    address: SocketAddr,
    mut hosts: Vec<String>,
    command: &Command,
) -> Result<Running> {
    if hosts.is_empty() {
        hosts.push(address.to_string());
    }
    let end = Instant::now() + START;
    loop {
        let answer = get_of(address, &hosts[0], "/", None, QUESTION);
        if let Ok((200, body)) = answer {
            return Ok(Running {
                process,
                address,
                command: shell_line(command),
                hosts,
                body,
            });
        }
        process.check_alive()?;
        if Instant::now() > end {
            let answer = match answer {
                Ok((status, _)) => format!("the status {status}"),
                Err(error) => format!("{error:#}"),
            };
            bail!(
                "it did not answer after {START:?} ({answer}); it had said:\n{}",
                process.tail()
            );
        }
        thread::sleep(POLL);
    }
}

/// Where `--install-peers` puts Wasmtime's command line.
pub(crate) fn wasmtime_folder(setup: &Setup) -> PathBuf {
    setup.cache.join(format!("wasmtime-{WASMTIME}"))
}

/// Where `--install-peers` puts workerd.
pub(crate) fn workerd_folder(setup: &Setup) -> PathBuf {
    setup.cache.join(format!("workerd-{WORKERD}"))
}

/// Wasmtime's command line: our own copy, or one on the PATH of the same version.
pub(crate) fn wasmtime(setup: &Setup) -> Option<PathBuf> {
    let own = wasmtime_folder(setup).join("bin/wasmtime");
    if own.is_file() {
        return Some(own);
    }
    let other = on_path("wasmtime")?;
    let says = Command::new(&other).arg("--version").output().ok()?;
    let says = String::from_utf8_lossy(&says.stdout).into_owned();
    says.split_whitespace()
        .any(|word| word == WASMTIME)
        .then_some(other)
}

/// workerd's own binary: the program that npm puts in front of it is JavaScript.
pub(crate) fn workerd(setup: &Setup) -> Option<PathBuf> {
    let modules = workerd_folder(setup).join("node_modules/@cloudflare");
    ["workerd-linux-64", "workerd-linux-arm64"]
        .iter()
        .map(|package| modules.join(package).join("bin/workerd"))
        .find(|file| file.is_file())
}
