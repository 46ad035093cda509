//! The binary as a server, and what it answers.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::binary;

/// How long a server may take to be ready. Compiling counts, and other tests run
/// on the same cores.
const START: Duration = Duration::from_secs(120);
/// How long a server may take to end.
const STOP: Duration = Duration::from_secs(60);

/// A running `strand up`; killed when dropped.
pub struct Server {
    child: Child,
    address: String,
    admin: String,
    app: PathBuf,
    state: PathBuf,
    _own_state: Option<TempDir>,
    lines: mpsc::Receiver<String>,
    log: Vec<String>,
}

/// An answer, read to its end or to where it broke off.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The body ended before its end.
    pub aborted: bool,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The problem's name and limit, when the answer is a problem.
    pub fn problem(&self) -> (String, Option<String>) {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16(), "{json}");
        let name = json["type"].as_str().unwrap();
        let name = name.strip_prefix("urn:strand:problem:").unwrap();
        (name.to_owned(), json["limit"].as_str().map(str::to_owned))
    }
}

/// Runs the binary to its end.
pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let state = tempfile::tempdir().unwrap();
    Command::new(binary())
        .args(args)
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A client that keeps nothing between tests.
pub fn client() -> reqwest::Client {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A client that speaks HTTP/2 over one connection.
pub fn client_http2() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap()
}

impl Server {
    /// Serves an app with a state folder of its own.
    pub fn start(app: &Path, args: &[&str]) -> Self {
        Self::start_with_env(app, args, &[])
    }

    /// The same, with variables of the environment.
    pub fn start_with_env(app: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let own = tempfile::tempdir().unwrap();
        let state = own.path().join("state");
        let mut server = Self::start_with_state(app, &state, args, env);
        server._own_state = Some(own);
        server
    }

    /// Serves an app with a state folder that outlives it.
    pub fn start_with_state(app: &Path, state: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        match Self::try_start(app, state, args, env) {
            Ok(server) => server,
            Err(log) => panic!("strand up ended:\n{log}"),
        }
    }

    /// Serves an app; what it said if it ended instead.
    pub fn try_start(
        app: &Path,
        state: &Path,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Result<Self, String> {
        let mut child = Command::new(binary())
            .args([
                "up",
                "--no-build",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
            ])
            .arg("--state")
            .arg(state)
            .args(args)
            .arg(app)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    // Keep reading: a full pipe would block the server.
                    continue;
                }
            }
        });
        let mut server = Self {
            child,
            address: String::new(),
            admin: String::new(),
            app: app.into(),
            state: state.into(),
            _own_state: None,
            lines,
            log: Vec::new(),
        };
        let end = Instant::now() + START;
        while server.address.is_empty() || server.admin.is_empty() {
            let Some(line) = server.next_line(end) else {
                // It has ended, or takes too long.
                let _ = server.child.kill();
                let _ = server.child.wait();
                return Err(server.log.join("\n"));
            };
            if let Some(url) = url_after(&line, "Serving") {
                server.address = url;
            } else if let Some(url) = url_after(&line, "Administering") {
                server.admin = url;
            }
        }
        Ok(server)
    }

    fn next_line(&mut self, end: Instant) -> Option<String> {
        let left = end.saturating_duration_since(Instant::now());
        let line = self.lines.recv_timeout(left).ok()?;
        self.log.push(line.clone());
        Some(line)
    }

    /// The log until a line that a test waits for, that line included.
    pub fn wait_for_line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        if let Some(line) = self.log.iter().find(|line| wanted(line)) {
            return line.clone();
        }
        loop {
            match self.next_line(end) {
                Some(line) if wanted(&line) => return line,
                Some(_) => {}
                None => panic!("no such line in the log:\n{}", self.log.join("\n")),
            }
        }
    }

    /// All that has been said so far.
    pub fn log(&mut self) -> String {
        self.log.extend(self.lines.try_iter());
        self.log.join("\n")
    }

    /// The app's folder.
    pub fn app(&self) -> &Path {
        &self.app
    }

    /// A URL of the app.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// `127.0.0.1:PORT` of the app.
    pub fn address(&self) -> &str {
        self.address.split_once("://").unwrap().1
    }

    /// A URL of the administration.
    pub fn admin_url(&self, path: &str) -> String {
        format!("{}{path}", self.admin)
    }

    /// The administration token.
    pub fn token(&self) -> String {
        let text = fs::read_to_string(self.state.join("admin-token")).unwrap();
        text.trim().to_owned()
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of resident memory.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .unwrap();
        let kibibytes: u64 = line
            .trim()
            .strip_suffix("kB")
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        kibibytes << 10
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(client().get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        self.send(client().post(self.url(path)).body(body)).await
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        read(request.send().await.unwrap()).await
    }

    /// A metric's value; the sum, when it has several by its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let request = client()
            .get(self.admin_url("/metrics"))
            .bearer_auth(self.token());
        let reply = self.send(request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let text = reply.text();
        let is_of_it = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']))
        };
        let mut lines = text.lines().filter(is_of_it).peekable();
        assert!(lines.peek().is_some(), "no {name} in {text}");
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until a metric is what a test wants it to be.
    pub async fn wait_for_metric(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let value = self.metric(name).await;
            if wanted(value) {
                return;
            }
            assert!(Instant::now() < end, "{name} is {value}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until it has as much resident memory as a test wants.
    pub async fn wait_for_resident(&self, wanted: impl Fn(u64) -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !wanted(self.resident()) {
            assert!(Instant::now() < end, "{} bytes", self.resident());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the server has ended by itself; its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let end = Instant::now() + STOP;
        // Its standard error closes when it ends.
        while self.next_line(end).is_some() {}
        assert!(Instant::now() < end, "the server did not end");
        self.child.wait().unwrap().code()
    }
}

/// Reads an answer to its end or to where it breaks off.
pub async fn read(mut response: reqwest::Response) -> Reply {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    let aborted = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    Reply {
        status,
        headers,
        body: body.into(),
        aborted,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let mut rest = String::new();
            for line in self.lines.try_iter() {
                rest.push_str(&line);
                rest.push('\n');
            }
            eprintln!("--- the server said:\n{}\n{rest}---", self.log.join("\n"));
        }
    }
}

fn url_after(line: &str, verb: &str) -> Option<String> {
    let (_, rest) = line.split_once(verb)?;
    let start = rest.find("http")?;
    rest[start..].split_whitespace().next().map(str::to_owned)
}
