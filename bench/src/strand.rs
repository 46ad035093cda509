//! Our own server, as an operator starts it.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::Process;
use crate::setup::{Setup, free_address, get};

/// How long a start may take: on a cold cache everything is compiled first.
const START: Duration = Duration::from_secs(300);
/// How often a server is asked whether it is ready.
const POLL: Duration = Duration::from_millis(5);
/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(10);
/// The token's file in the state folder.
const TOKEN: &str = "admin-token";

/// A running `strand up`.
pub(crate) struct Strand {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    state: PathBuf,
}

/// `strand up` of an app on free ports, and where it will listen: the app and the administration.
pub(crate) fn command(
    setup: &Setup,
    app: &Path,
    state: &Path,
) -> Result<(Command, SocketAddr, SocketAddr)> {
    let (address, admin) = (free_address()?, free_address()?);
    let mut command = Command::new(&setup.strand);
    command
        .args(["up", "--no-build", "--listen", &address.to_string()])
        .args(["--admin", &admin.to_string(), "--state"])
        .args([state, app]);
    Ok((command, address, admin))
}

impl Strand {
    /// Starts it and waits until it is ready. Its log, access lines included, goes to a file in
    /// `folder`, as in production.
    pub(crate) fn start(setup: &Setup, app: &Path, folder: &Path) -> Result<(Self, Command)> {
        let state = folder.join("state");
        let (mut command, address, admin) = command(setup, app, &state)?;
        let process = Process::start(&mut command, &folder.join("strand.log"))?;
        let mut strand = Self {
            process,
            address,
            admin,
            state,
        };
        strand.wait()?;
        Ok((strand, command))
    }

    fn wait(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        loop {
            // Refused connections are what waiting looks like.
            if get(self.admin, "/healthz", None, QUESTION).is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            self.process.check_alive().context("strand up")?;
            if Instant::now() > end {
                bail!(
                    "strand up was not ready after {START:?}; it had said:\n{}",
                    self.process.tail()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// What one of the node's metrics says, one without labels.
    pub(crate) fn metric(&self, name: &str) -> Result<u64> {
        let token = self.state.join(TOKEN);
        let token = fs::read_to_string(&token).with_context(|| format!("{}", token.display()))?;
        let (status, body) = get(self.admin, "/metrics", Some(token.trim()), QUESTION)?;
        if status != 200 {
            bail!("/metrics answered {status}");
        }
        let text = String::from_utf8_lossy(&body);
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .with_context(|| format!("no {name} in the metrics:\n{text}"))
    }
}

/// A function of an app that is written for a measurement. Its limits are the defaults, but 1024
/// requests at once and as many that wait.
pub(crate) struct Function {
    pub(crate) guest: &'static str,
    /// `reuse` and `concurrency` of an instance.
    pub(crate) instance: Option<(u32, u32)>,
    /// Whether it is granted a bucket: a guest that imports the interface is not loaded without.
    pub(crate) bucket: bool,
    pub(crate) route: &'static str,
}

impl Function {
    /// Its section of the Directive, in one line.
    pub(crate) fn section(&self) -> String {
        let mut section = format!(
            "source: {{ file: {}.wasm }}, limits: {{ concurrency: 1024, queue: 1024 }}",
            self.guest
        );
        if let Some((reuse, concurrency)) = self.instance {
            // Writing to a string does not fail.
            let _ = write!(
                section,
                ", instance: {{ reuse: {reuse}, concurrency: {concurrency} }}"
            );
        }
        if self.bucket {
            section.push_str(", grants: { blobs: { data: [read, write] } }");
        }
        section
    }

    /// Writes an app with this one function.
    pub(crate) fn write_app(&self, setup: &Setup, folder: &Path) -> Result<()> {
        let failed = || format!("writing the app into {}", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let file = folder.join(format!("{}.wasm", self.guest));
        fs::copy(setup.guest(self.guest)?, file).with_context(failed)?;
        let mut resources = "";
        if self.bucket {
            fs::create_dir_all(folder.join("data")).with_context(failed)?;
            resources = "  resources: { blobs: { data: { dev: ./data } } }\n";
        }
        let directive = format!(
            "apiVersion: strand.dev/v1alpha1\n\
             kind: App\n\
             metadata: {{ name: bench }}\n\
             spec:\n  \
               version: 0.1.0\n\
             {resources}  \
               functions:\n    \
                 measured: {{ {} }}\n  \
               routes:\n    \
                 - {{ path: \"{}\", function: measured }}\n",
            self.section(),
            self.route
        );
        fs::write(folder.join("directive.yaml"), directive).with_context(failed)
    }
}
