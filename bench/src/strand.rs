//! Our own server, as an operator starts it.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use wasm_encoder::{CustomSection, Section};

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

/// A `strand up` of some apps on free ports, not yet started.
pub(crate) struct Up {
    pub(crate) command: Command,
    /// Where the apps will be.
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    state: PathBuf,
}

impl Up {
    pub(crate) fn new(setup: &Setup, state: &Path, apps: &[impl AsRef<Path>]) -> Result<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let mut command = Command::new(&setup.strand);
        command
            .args(["up", "--no-build", "--listen", &address.to_string()])
            .args(["--admin", &admin.to_string(), "--state"])
            .arg(state)
            .args(apps.iter().map(AsRef::as_ref));
        Ok(Self {
            command,
            address,
            admin,
            state: state.to_path_buf(),
        })
    }

    /// Starts it, and does not wait. Its log, access lines included, goes to a file, as in
    /// production.
    pub(crate) fn start(mut self, log: &Path) -> Result<(Strand, Command)> {
        let strand = Strand {
            process: Process::start(&mut self.command, log)?,
            address: self.address,
            admin: self.admin,
            state: self.state,
        };
        Ok((strand, self.command))
    }
}

/// A running `strand up`.
pub(crate) struct Strand {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    state: PathBuf,
}

impl Strand {
    /// Starts it for an app, with state and log in `folder`, and waits until it is ready.
    pub(crate) fn start(setup: &Setup, app: &Path, folder: &Path) -> Result<(Self, Command)> {
        Self::start_all(setup, &[app], folder)
    }

    /// The same for several apps.
    pub(crate) fn start_all(
        setup: &Setup,
        apps: &[impl AsRef<Path>],
        folder: &Path,
    ) -> Result<(Self, Command)> {
        let up = Up::new(setup, &folder.join("state"), apps)?;
        let (mut strand, command) = up.start(&folder.join("strand.log"))?;
        strand.wait()?;
        Ok((strand, command))
    }

    /// Whether all its functions can serve.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn is_ready(&mut self) -> Result<bool> {
        // Refused connections are what waiting looks like.
        if get(self.admin, "/healthz", None, QUESTION).is_ok_and(|(status, _)| status == 200) {
            return Ok(true);
        }
        self.process.check_alive().context("strand up")?;
        Ok(false)
    }

    fn wait(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        while !self.is_ready()? {
            if Instant::now() > end {
                bail!(
                    "strand up was not ready after {START:?}; it had said:\n{}",
                    self.process.tail()
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// What one of the node's metrics says; with labels its name is as it is printed.
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

/// Limits of a function that is to take all that comes.
pub(crate) const MANY_AT_ONCE: &str = "concurrency: 1024, queue: 1024";

/// A function of an app that is written for a measurement.
pub(crate) struct Function {
    pub(crate) guest: &'static str,
    /// Limits that are not the defaults, as they stand in the Directive.
    pub(crate) limits: &'static str,
    /// `reuse` and `concurrency` of an instance.
    pub(crate) instance: Option<(u32, u32)>,
    /// Whether it is granted a bucket: a guest that imports the interface is not loaded without.
    pub(crate) bucket: bool,
    pub(crate) route: &'static str,
}

impl Function {
    /// Its section of the Directive, in one line.
    pub(crate) fn section(&self) -> String {
        let mut section = format!("source: {{ file: {}.wasm }}", self.guest);
        // Writing to a string does not fail.
        if !self.limits.is_empty() {
            let _ = write!(section, ", limits: {{ {} }}", self.limits);
        }
        if let Some((reuse, concurrency)) = self.instance {
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

    /// Writes so many apps with this one function, each with a component and a host of its own;
    /// gives their folders and hosts.
    pub(crate) fn write_apps(
        &self,
        setup: &Setup,
        folder: &Path,
        count: usize,
    ) -> Result<(Vec<PathBuf>, Vec<String>)> {
        let wasm = fs::read(setup.guest(self.guest)?)?;
        let mut apps = (Vec::with_capacity(count), Vec::with_capacity(count));
        for index in 0..count {
            let name = format!("bench-{index}");
            let (app, host) = (folder.join(&name), format!("{name}.example"));
            App {
                name: &name,
                host: Some(&host),
                function: self,
            }
            .write(&app, &distinct(&wasm, &name))?;
            apps.0.push(app);
            apps.1.push(host);
        }
        Ok(apps)
    }

    /// Writes an app with this one function, which serves every host.
    pub(crate) fn write_app(&self, setup: &Setup, folder: &Path) -> Result<()> {
        let app = App {
            name: "bench",
            host: None,
            function: self,
        };
        app.write(folder, &fs::read(setup.guest(self.guest)?)?)
    }
}

/// The same component under another digest: what a section of nobody's means is left to whoever
/// knows it, so this one means nothing.
pub(crate) fn distinct(wasm: &[u8], name: &str) -> Vec<u8> {
    let mut wasm = wasm.to_vec();
    CustomSection {
        name: "strand-bench".into(),
        data: name.as_bytes().into(),
    }
    .append_to(&mut wasm);
    wasm
}

/// An app with one function.
pub(crate) struct App<'a> {
    pub(crate) name: &'a str,
    /// The one host that it serves; every host if there is none.
    pub(crate) host: Option<&'a str>,
    pub(crate) function: &'a Function,
}

impl App<'_> {
    /// Writes it, with the function's component.
    pub(crate) fn write(&self, folder: &Path, wasm: &[u8]) -> Result<()> {
        let failed = || format!("writing the app into {}", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let file = folder.join(format!("{}.wasm", self.function.guest));
        fs::write(file, wasm).with_context(failed)?;
        if self.function.bucket {
            fs::create_dir_all(folder.join("data")).with_context(failed)?;
        }
        fs::write(folder.join("directive.yaml"), self.directive()).with_context(failed)
    }

    fn directive(&self) -> String {
        let hosts = self
            .host
            .map_or_else(String::new, |host| format!("  hosts: [\"{host}\"]\n"));
        let resources = if self.function.bucket {
            "  resources: { blobs: { data: { dev: ./data } } }\n"
        } else {
            ""
        };
        format!(
            "apiVersion: strand.dev/v1alpha1\n\
             kind: App\n\
             metadata: {{ name: {} }}\n\
             spec:\n  \
               version: 0.1.0\n\
             {hosts}{resources}  \
               functions:\n    \
                 measured: {{ {} }}\n  \
               routes:\n    \
                 - {{ path: \"{}\", function: measured }}\n",
            self.name,
            self.function.section(),
            self.function.route
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_says_what_is_asked_for_and_no_more() {
        let function = |limits, instance, bucket| Function {
            guest: "guest",
            limits,
            instance,
            bucket,
            route: "/{*rest}",
        };
        let directive = |host, function: &Function| {
            let name = "one";
            App {
                name,
                host,
                function,
            }
            .directive()
        };
        assert_eq!(
            directive(None, &function("", None, false)),
            r#"apiVersion: strand.dev/v1alpha1
kind: App
metadata: { name: one }
spec:
  version: 0.1.0
  functions:
    measured: { source: { file: guest.wasm } }
  routes:
    - { path: "/{*rest}", function: measured }
"#
        );
        let all = function("memory: 64Mi", Some((128, 16)), true);
        assert_eq!(
            directive(Some("one.example"), &all),
            r#"apiVersion: strand.dev/v1alpha1
kind: App
metadata: { name: one }
spec:
  version: 0.1.0
  hosts: ["one.example"]
  resources: { blobs: { data: { dev: ./data } } }
  functions:
    measured: { source: { file: guest.wasm }, limits: { memory: 64Mi }, instance: { reuse: 128, concurrency: 16 }, grants: { blobs: { data: [read, write] } } }
  routes:
    - { path: "/{*rest}", function: measured }
"#
        );
    }
    #[test]
    fn components_differ_and_keep_what_they_were() {
        // The head of a component without anything in it.
        let wasm = *b"\0asm\x0d\0\x01\0";
        let (one, ten) = (distinct(&wasm, "app-1"), distinct(&wasm, "app-10"));
        assert_ne!(one, ten);
        assert!(one.starts_with(&wasm) && ten.starts_with(&wasm));
        // Kind 0, its length, and the length of its name.
        assert_eq!(one[8..], *b"\0\x12\x0cstrand-benchapp-1");
    }
}
