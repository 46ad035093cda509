//! Who answers in `bench http` and `bench bodies`: Strand in its variants, and its peers at their
//! defaults.

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
    Workerd {
        script: &'static str,
    },
}

/// One line of the table.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    /// What keeps one request from another.
    pub(crate) isolation: &'static str,
    /// What it is asked for until it answers.
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
}

/// Who says hello, in the order of the table.
pub(crate) fn hello() -> Vec<Peer> {
    let (p2, p3) = ("hello-http02", "hello-http03");
    let route = "/";
    let strand = |name, world, isolation, guest, instance| Peer {
        name,
        world,
        isolation,
        path: route,
        kind: Kind::Strand(function(guest, instance, route)),
    };
    vec![
        strand("strand 0.2 fresh", World::Http02, FRESH, p2, None),
        Peer {
            name: "strand 0.2, 50 apps",
            world: World::Http02,
            isolation: "an instance per request, 50 components in turn",
            path: route,
            kind: Kind::StrandApps(function(p2, None, route), 50),
        },
        strand("strand 0.2 reused", World::Http02, IN_TURN, p2, AS_IN_TURN),
        serve(World::Http02, p2, route),
        strand("strand 0.3 fresh", World::Http03, FRESH, p3, None),
        strand("strand 0.3 reused", World::Http03, SHARED, p3, AS_SHARED),
        serve(World::Http03, p3, route),
        workerd_with(HELLO, route),
    ]
}

/// Who takes and gives bodies.
pub(crate) fn bodies() -> Vec<Peer> {
    let (p2, p3) = ("bodies02", "bodies03");
    let path = "/0";
    let strand = |name, world, isolation, guest, instance| Peer {
        name,
        world,
        isolation,
        path,
        kind: Kind::Strand(function(guest, instance, "/{bytes}")),
    };
    vec![
        strand("strand 0.2 fresh", World::Http02, FRESH, p2, None),
        strand("strand 0.2 reused", World::Http02, IN_TURN, p2, AS_IN_TURN),
        serve(World::Http02, p2, path),
        strand("strand 0.3 fresh", World::Http03, FRESH, p3, None),
        strand("strand 0.3 reused", World::Http03, SHARED, p3, AS_SHARED),
        serve(World::Http03, p3, path),
        workerd_with(BODIES, path),
    ]
}

fn function(guest: &'static str, instance: Option<(u32, u32)>, route: &'static str) -> Function {
    Function {
        guest,
        limits: MANY_AT_ONCE,
        instance,
        bucket: false,
        route,
    }
}

fn serve(world: World, guest: &'static str, path: &'static str) -> Peer {
    let (name, isolation) = match world {
        World::Http03 => ("wasmtime serve 0.3", SHARED),
        _ => ("wasmtime serve 0.2", FRESH),
    };
    Peer {
        name,
        world,
        isolation,
        path,
        kind: Kind::WasmtimeServe { guest },
    }
}

fn workerd_with(script: &'static str, path: &'static str) -> Peer {
    Peer {
        name: "workerd",
        world: World::JavaScript,
        isolation: "one isolate of V8 serves all requests",
        path,
        kind: Kind::Workerd { script },
    }
}

const FRESH: &str = "an instance per request";
const IN_TURN: &str = "an instance serves 128 requests, one at a time";
const AS_IN_TURN: Option<(u32, u32)> = Some((128, 1));
const SHARED: &str = "an instance serves 128 requests, 16 at once";
const AS_SHARED: Option<(u32, u32)> = Some((128, 16));

/// A peer that answers.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// The command line, as a shell would take it.
    pub(crate) command: String,
    /// The hosts that are asked in turn.
    pub(crate) hosts: Vec<String>,
    /// The body of its first answer.
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
            Kind::Workerd { .. } => None,
        }
    }

    /// Why it cannot be measured here, if so.
    pub(crate) fn missing(&self, setup: &Setup) -> Option<String> {
        let (program, version) = match &self.kind {
            Kind::Strand(_) | Kind::StrandApps(..) => return None,
            Kind::WasmtimeServe { .. } => (wasmtime(setup), WASMTIME),
            Kind::Workerd { .. } => (workerd(setup), WORKERD),
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
        let started = match &self.kind {
            Kind::Strand(function) => start_strand(setup, function, folder),
            Kind::StrandApps(function, apps) => start_apps(setup, function, *apps, folder),
            Kind::WasmtimeServe { guest } => start_wasmtime(setup, guest, folder),
            Kind::Workerd { script } => start_workerd(setup, script, folder),
        };
        started
            .and_then(|started| started.answering(self.path))
            .with_context(|| self.name.to_owned())
    }
}

/// A peer that may not answer yet.
struct Started {
    process: Process,
    address: SocketAddr,
    command: Command,
    /// Those that it serves; none if it serves every one.
    hosts: Vec<String>,
}

fn start_strand(setup: &Setup, function: &Function, folder: &Path) -> Result<Started> {
    let app = folder.join("app");
    function.write_app(setup, &app)?;
    let (strand, command) = Strand::start(setup, &app, folder)?;
    Ok(Started {
        process: strand.process,
        address: strand.address,
        command,
        hosts: Vec::new(),
    })
}

fn start_apps(setup: &Setup, function: &Function, count: usize, folder: &Path) -> Result<Started> {
    let (apps, hosts) = function.write_apps(setup, folder, count)?;
    let (strand, command) = Strand::start_all(setup, &apps, folder)?;
    Ok(Started {
        process: strand.process,
        address: strand.address,
        command,
        hosts,
    })
}

fn start_wasmtime(setup: &Setup, guest: &str, folder: &Path) -> Result<Started> {
    let program = wasmtime(setup).context("it is not installed")?;
    let address = free_address()?;
    let mut command = Command::new(program);
    // `-Scli`: the guests' standard library imports the environment, the standard streams and the
    // file system, which `serve` leaves out otherwise.
    command
        .args(["serve", "-Scli", "--addr", &address.to_string()])
        .arg(setup.guest(guest)?);
    Ok(Started {
        process: Process::start(&mut command, &folder.join("wasmtime.log"))?,
        address,
        command,
        hosts: Vec::new(),
    })
}

fn start_workerd(setup: &Setup, script: &str, folder: &Path) -> Result<Started> {
    let program = workerd(setup).context("it is not installed")?;
    let address = free_address()?;
    fs::write(folder.join("worker.js"), script)?;
    let config = folder.join("config.capnp");
    fs::write(&config, capnp(address))?;
    let mut command = Command::new(program);
    command.arg("serve").arg(&config);
    Ok(Started {
        process: Process::start(&mut command, &folder.join("workerd.log"))?,
        address,
        command,
        hosts: Vec::new(),
    })
}

/// As many bytes and fields as the guests answer with.
const HELLO: &str = r#"export default {
  async fetch() {
    return new Response("Hello from workerd!!\n", { headers: { "content-type": "text/plain" } });
  },
};
"#;

/// Does as the guests for bodies do.
const BODIES: &str = r#"export default {
  async fetch(request) {
    const headers = { "content-type": "application/octet-stream" };
    if (request.method === "GET") {
      const bytes = Number(new URL(request.url).pathname.slice(1)) || 0;
      return new Response(new Uint8Array(bytes).fill(120), { headers });
    }
    const body = await request.arrayBuffer();
    return new Response(String(body.byteLength), { headers });
  },
};
"#;

fn capnp(address: SocketAddr) -> String {
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "measured", worker = .measured)],
  sockets = [(name = "http", address = "{address}", http = (), service = "measured")],
);

const measured :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-01-01",
);
"#
    )
}

impl Started {
    /// Waits for the first good answer. Without hosts it is asked by its address.
    fn answering(mut self, path: &str) -> Result<Running> {
        if self.hosts.is_empty() {
            self.hosts.push(self.address.to_string());
        }
        let end = Instant::now() + START;
        loop {
            let answer = get_of(self.address, &self.hosts[0], path, None, QUESTION);
            if let Ok((200, body)) = answer {
                return Ok(Running {
                    process: self.process,
                    address: self.address,
                    command: shell_line(&self.command),
                    hosts: self.hosts,
                    body,
                });
            }
            self.process.check_alive()?;
            if Instant::now() > end {
                let answer = match answer {
                    Ok((status, _)) => format!("the status {status}"),
                    Err(error) => format!("{error:#}"),
                };
                bail!(
                    "it did not answer after {START:?} ({answer}); it had said:\n{}",
                    self.process.tail()
                );
            }
            thread::sleep(POLL);
        }
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
