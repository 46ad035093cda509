//! What a Directive says, once it has been found valid.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Severity};
use crate::http_rule::HttpRule;
use crate::spans::Spans;
use crate::template::Template;

/// `apiVersion` of every Directive.
pub const API_VERSION: &str = "strand.dev/v1alpha1";
/// `kind` of every Directive.
pub const KIND: &str = "App";
/// `contentType` of a command's output, unless the route says otherwise.
pub const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// An app: its functions, what they may use, and the routes to them.
///
/// Paths are relative to the app's folder, stay in it, and have no `./` in front (`.` is the
/// folder itself). Names of functions and resources are DNS labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directive {
    /// `metadata.name`.
    pub name: String,
    /// `spec.version`, a semantic version.
    pub version: String,
    /// `spec.hosts`: the hosts that it serves, in lower case, `*.NAME` for all names below one; all
    /// hosts that no other app is for if there are none.
    pub hosts: Vec<String>,
    /// `spec.resources`.
    pub resources: Resources,
    /// `spec.functions` by name.
    pub functions: BTreeMap<String, Function>,
    /// `spec.routes` in the file's order, which does not matter: no two clash.
    pub routes: Vec<Route>,
    /// Where the file says all this; empty for a Directive that was not read from a file.
    pub spans: Spans,
}

impl Directive {
    /// A problem of a field, with its place in the file, or the place of what it would stand in.
    pub fn problem(
        &self,
        severity: Severity,
        field: String,
        message: String,
        help: Option<String>,
    ) -> Diagnostic {
        Diagnostic {
            severity,
            message,
            span: self.spans.nearest(&field),
            field,
            help,
        }
    }
}

/// What the app needs from its node, by kind and name. The node binds each to a back end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Buckets of blobs.
    pub blobs: BTreeMap<String, BlobResource>,
}

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobResource {
    /// The folder that stands for the bucket while developing, if nothing else is bound.
    pub dev: Option<String>,
}

/// A function of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Where its component comes from.
    pub source: Source,
    /// The world it runs in; `None` to tell it by the component's exports.
    pub world: Option<World>,
    /// Its part in the processor time of work that needs long, beside the app's other functions; 1
    /// to 10000, [`Function::WEIGHT`] by default.
    pub weight: u32,
    /// What one instance may use, and how many there are.
    pub limits: Limits,
    /// How often an instance is used.
    pub instance: Instance,
    /// What it may reach; nothing by default.
    pub grants: Grants,
    /// Values for `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
}

impl Function {
    /// The weight of a function that does not say it.
    pub const WEIGHT: u32 = 100;
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder with a Cargo package, built by the developer's verbs, never by a node.
    Cargo(String),
    /// A file, a component or a core module.
    File(String),
}

/// What a function exports and how it is therefore called. The order is that of precedence: of
/// the worlds that a component exports, the least one is taken unless the function says `world`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum World {
    /// `wasi:http/handler` of WASI 0.3.
    #[serde(rename = "http@0.3")]
    Http03,
    /// `wasi:http/incoming-handler` of WASI 0.2.
    #[serde(rename = "http@0.2")]
    Http02,
    /// `strand:function/task`.
    #[serde(rename = "task")]
    Task,
    /// `wasi:cli/run` of WASI 0.3.
    #[serde(rename = "command@0.3")]
    Command03,
    /// `wasi:cli/run` of WASI 0.2.
    #[serde(rename = "command@0.2")]
    Command02,
    /// `_start` of a core module.
    #[serde(rename = "module")]
    Module,
}

impl World {
    /// All worlds, in order of precedence.
    pub const ALL: [Self; 6] = [
        Self::Http03,
        Self::Http02,
        Self::Task,
        Self::Command03,
        Self::Command02,
        Self::Module,
    ];

    /// The world's name in a Directive, for example `http@0.3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http03 => "http@0.3",
            Self::Http02 => "http@0.2",
            Self::Task => "task",
            Self::Command03 => "command@0.3",
            Self::Command02 => "command@0.2",
            Self::Module => "module",
        }
    }

    /// The world of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|world| world.as_str() == text)
    }

    /// The world that an export makes: `wasi:http/handler@0.3.1` makes `http@0.3`.
    pub fn of_export(export: &str) -> Option<Self> {
        let (interface, version) = export.split_once('@').unwrap_or((export, ""));
        let is = |minor: &str| {
            version
                .strip_prefix(minor)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
        };
        match interface {
            "wasi:http/handler" if is("0.3") => Some(Self::Http03),
            "wasi:http/incoming-handler" if is("0.2") => Some(Self::Http02),
            "strand:function/task" if is("0.1") => Some(Self::Task),
            "wasi:cli/run" if is("0.3") => Some(Self::Command03),
            "wasi:cli/run" if is("0.2") => Some(Self::Command02),
            "_start" => Some(Self::Module),
            _ => None,
        }
    }

    /// The world that a function runs in: the one it says, if the component has it, else the
    /// first by precedence. `None` if there is none.
    pub fn choose(said: Option<Self>, exported: &[Self]) -> Option<Self> {
        match said {
            Some(world) => exported.contains(&world).then_some(world),
            None => exported.iter().min().copied(),
        }
    }

    /// Whether it is called with arguments, standard input and standard output.
    pub fn is_command(self) -> bool {
        matches!(self, Self::Command03 | Self::Command02 | Self::Module)
    }

    /// What a component exports to be of this world.
    pub(crate) fn export(self) -> &'static str {
        match self {
            Self::Http03 => "wasi:http/handler@0.3",
            Self::Http02 => "wasi:http/incoming-handler@0.2",
            Self::Task => "strand:function/task@0.1",
            Self::Command03 => "wasi:cli/run@0.3",
            Self::Command02 => "wasi:cli/run@0.2",
            Self::Module => "_start",
        }
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an instance may use. A node has ceilings of its own, which it checks itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all memories and tables of an instance together; 64Ki to 4Gi, 128Mi by default.
    pub memory: u64,
    /// Processor time of a request; 1ms to 24h, 30s by default.
    pub cpu: Duration,
    /// Time from admission to the end of the answer; 1ms to 24h, 60s by default.
    pub wall: Duration,
    /// Requests in progress; 1 to 65536, 64 by default.
    pub concurrency: u32,
    /// Requests that wait for one in progress to end; 0 to 65536, as many as `concurrency` by
    /// default.
    pub queue: u32,
    /// Bytes of a request's body; 0 to 64Gi, 8Mi by default.
    pub body: u64,
}

/// Smallest and largest value of each limit.
pub(crate) mod bounds {
    use std::ops::RangeInclusive;

    pub(crate) const MEMORY: RangeInclusive<u64> = 64 << 10..=4 << 30;
    /// In milliseconds.
    pub(crate) const TIME: RangeInclusive<u64> = 1..=24 * 60 * 60 * 1000;
    pub(crate) const CONCURRENCY: RangeInclusive<u32> = 1..=65_536;
    pub(crate) const QUEUE: RangeInclusive<u32> = 0..=65_536;
    pub(crate) const BODY: RangeInclusive<u64> = 0..=64 << 30;
    pub(crate) const WEIGHT: RangeInclusive<u32> = 1..=10_000;
    pub(crate) const HOSTS: usize = 100;
    pub(crate) const REUSE: RangeInclusive<u32> = 1..=1_000_000;
    pub(crate) const ORIGINS: usize = 100;
    /// In milliseconds.
    pub(crate) const MAX_AGE: RangeInclusive<u64> = 0..=24 * 60 * 60 * 1000;
    pub(crate) const HEADERS: usize = 100;
    pub(crate) const HEADER_VALUE: usize = 4096;
    pub(crate) const INSTANCE_CONCURRENCY: RangeInclusive<u32> = 1..=1_024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            cpu: Duration::from_secs(30),
            wall: Duration::from_secs(60),
            concurrency: 64,
            queue: 64,
            body: 8 << 20,
        }
    }
}

/// How often an instance is used. By default each request gets a fresh one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Requests that one instance serves before it is dropped; 1 to 1000000, 1 by default.
    pub reuse: u32,
    /// Requests that one instance serves at a time; 1 to 1024 and at most `reuse`, 1 by default.
    pub concurrency: u32,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            reuse: 1,
            concurrency: 1,
        }
    }
}

/// What a function may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Buckets by the resource's name, with at least one kind of access each.
    pub blobs: BTreeMap<String, BTreeSet<Access>>,
    /// Where it may send HTTP requests.
    pub http: Vec<HttpRule>,
    /// Functions of the app that it may call, possibly itself.
    pub functions: BTreeSet<String>,
}

/// A kind of access to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Read and list.
    Read,
    /// Write and delete.
    Write,
}

impl Access {
    /// `read` or `write`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// The access of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Read, Self::Write]
            .into_iter()
            .find(|access| access.as_str() == text)
    }
}

/// A path of the app's and what answers there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path as `matchit` takes it: `/a/{name}`, `/{*rest}`.
    pub path: String,
    /// The methods it takes, in upper case, each once; `None` for every method, or for `GET` and
    /// `HEAD` if it serves files.
    pub methods: Option<Vec<String>>,
    /// What answers.
    pub target: RouteTarget,
    /// What holds for its requests and answers, whatever answers.
    pub rules: Rules,
}

/// What answers on a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// A function of the app.
    Function {
        /// Its name.
        name: String,
        /// How a command is called; `None` is no arguments and [`DEFAULT_CONTENT_TYPE`].
        command: Option<Command>,
    },
    /// A file, or a folder: with `{*rest}` in the path the file of that name in it, without
    /// parameters its `index.html`.
    Static(String),
    /// Another place, which the client is sent to.
    Redirect(Redirect),
}

/// Where a route sends its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// A path, or a URL of `http` or `https`, in which only the path's variables stand, and those
    /// not before the path. The request's query goes along unless there is one in it.
    pub to: Template,
    /// 301, 302, 303, 307 or 308; [`Redirect::STATUS`] by default.
    pub status: u16,
}

impl Redirect {
    /// The status of a redirect that does not say it: not for ever, and with the same method.
    pub const STATUS: u16 = 307;
}

/// What holds for a route's requests and answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Which pages of other origins may use it; none without.
    pub cors: Option<Cors>,
    /// Fields of its answers.
    pub headers: HeaderRules,
    /// What its requests may have, which is no more than their function's limits.
    pub limits: RouteLimits,
    /// Whether answers are compressed for clients that take it: by default files are, and what
    /// functions answer is not.
    pub compress: bool,
    /// `Cache-Control` of a file's answers, [`DEFAULT_CACHE_CONTROL`] without; or of a function's
    /// that say none themselves and are of the statuses 2xx and 304.
    pub cache_control: Option<String>,
}

/// `Cache-Control` of files, unless the route says otherwise: they may be kept, and are asked for
/// again each time, which costs an answer without a body while they have not changed.
pub const DEFAULT_CACHE_CONTROL: &str = "no-cache";

/// Which pages of other origins may use a route (Fetch, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// The origins.
    pub origins: Origins,
    /// Names of request fields that they may send beside the safelisted ones, in lower case.
    pub headers: BTreeSet<String>,
    /// Names of answer fields that they may read beside the safelisted ones, in lower case.
    pub expose: BTreeSet<String>,
    /// Whether they may send cookies and the like.
    pub credentials: bool,
    /// How long a browser may remember this, in whole seconds; 0s to 24h, [`Cors::MAX_AGE`] by
    /// default.
    pub max_age: Duration,
}

impl Cors {
    /// How long a browser may remember, unless the route says otherwise.
    pub const MAX_AGE: Duration = Duration::from_secs(600);
}

/// The origins of a [`Cors`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All of them, also those without a name.
    Any,
    /// These.
    Of(Vec<HttpRule>),
}

/// What is done to the fields of a route's answers. Names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRules {
    /// Values by name, in place of what the answer has.
    pub set: BTreeMap<String, String>,
    /// Names of what is taken out.
    pub remove: BTreeSet<String>,
}

/// What a route's requests may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteLimits {
    /// Bytes of the body.
    pub body: Option<u64>,
    /// Time from admission to the end of the answer.
    pub wall: Option<Duration>,
}

/// How a command is called on a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its arguments after the program's name.
    pub args: Vec<Template>,
    /// The media type of what it writes.
    pub content_type: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_have_names_and_an_order() {
        for world in World::ALL {
            assert_eq!(World::parse(world.as_str()), Some(world));
            assert_eq!(World::of_export(world.export()), Some(world));
            assert_eq!(serde_json::to_value(world).unwrap(), world.to_string());
        }
        assert!(World::ALL.is_sorted());
        assert_eq!(World::parse("http"), None);
    }

    #[test]
    fn exports_make_worlds() {
        for (export, world) in [
            ("wasi:http/handler@0.3.0", Some(World::Http03)),
            ("wasi:http/handler@0.3.0-rc-2026-01-06", Some(World::Http03)),
            ("wasi:http/handler@0.2.0", None),
            ("wasi:http/handler@0.30.0", None),
            ("wasi:http/handler", None),
            ("wasi:http/incoming-handler@0.2.6", Some(World::Http02)),
            ("wasi:http/incoming-handler@0.3.0", None),
            ("strand:function/task@0.1.0", Some(World::Task)),
            ("strand:function/task@0.2.0", None),
            ("wasi:cli/run@0.3.1", Some(World::Command03)),
            ("wasi:cli/run@0.2.3", Some(World::Command02)),
            ("wasi:cli/run@1.0.0", None),
            ("_start", Some(World::Module)),
            ("run", None),
        ] {
            assert_eq!(World::of_export(export), world, "{export}");
        }
    }

    #[test]
    fn worlds_are_chosen_by_precedence_or_by_name() {
        use World::*;
        assert_eq!(
            World::choose(None, &[Command02, Http02, Task]),
            Some(Http02)
        );
        assert_eq!(
            World::choose(Some(Command02), &[Command02, Http02]),
            Some(Command02)
        );
        assert_eq!(World::choose(Some(Http03), &[Command02, Http02]), None);
        assert_eq!(World::choose(None, &[]), None);
    }

    #[test]
    fn commands_are_three() {
        let commands: Vec<_> = World::ALL
            .into_iter()
            .filter(|world| world.is_command())
            .collect();
        assert_eq!(
            commands,
            [World::Command03, World::Command02, World::Module]
        );
    }
}
