//! Whether a built component fits what the Directive says about its function.

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Severity, all_of, any_of, quote};
use crate::model::{Directive, Function, RouteTarget, World};
use crate::spans::Layout;

/// What a component says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentFacts {
    /// The worlds of its exports ([`World::of_export`]), in any order.
    pub worlds: Vec<World>,
    /// The names of its imports, for example `wasi:blobstore/container@0.2.0-draft`.
    pub imports: Vec<String>,
}

/// A field of `grants` that an import asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantKind {
    /// `grants.blobs`.
    Blobs,
    /// `grants.http`, or `grants.functions` for calls to functions of the app.
    Http,
}

/// A grant that a component's imports ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeededGrant {
    /// Which one.
    pub kind: GrantKind,
    /// The imports that ask for it, sorted.
    pub imports: Vec<String>,
    /// Whether the component cannot be loaded without it. Where not, calls are refused.
    pub required: bool,
    /// An example of the lines, to stand in a function.
    pub lines: String,
}

/// Packages that are linked for every function, with nothing behind them that was not granted, and
/// the versions that Strand has: releases by their first two numbers, drafts exactly.
const BASE: [(&str, &[&str]); 9] = [
    ("wasi:io", &["0.2"]),
    ("wasi:clocks", &["0.2", "0.3"]),
    ("wasi:random", &["0.2", "0.3"]),
    ("wasi:cli", &["0.2", "0.3"]),
    ("wasi:filesystem", &["0.2", "0.3"]),
    ("wasi:sockets", &["0.2", "0.3"]),
    ("wasi:http", &["0.2", "0.3"]),
    ("wasi:logging", &["0.1.0-draft"]),
    ("wasi:config", &["0.2.0-rc.1"]),
];
/// What core modules import; the adapter stands in for it.
const PREVIEW1: &str = "wasi_snapshot_preview1";

/// The package that a grant links, and its one version.
const BLOBSTORE: (&str, &[&str]) = ("wasi:blobstore", &["0.2.0-draft"]);

/// Whether a version is one of those that Strand has.
fn is_among(version: &str, known: &[&str]) -> bool {
    known.iter().any(|known| match version.strip_prefix(known) {
        Some("") => true,
        // A draft is compatible with nothing but itself.
        Some(rest) if !known.contains('-') => rest
            .strip_prefix('.')
            .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit())),
        _ => false,
    })
}

/// What an import means for the grants.
#[derive(Debug, PartialEq)]
enum Import {
    Inert,
    /// Sends requests, which are refused unless granted.
    OutgoingHttp,
    Blobs,
    /// A package of which Strand has other versions.
    OtherVersion {
        package: &'static str,
        versions: &'static [&'static str],
    },
    Unknown,
}

fn classify(import: &str) -> Import {
    if import == PREVIEW1 {
        return Import::Inert;
    }
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let (package, interface) = interface.split_once('/').unwrap_or((interface, ""));
    let mut packages = BASE.iter().chain([&BLOBSTORE]);
    let Some(&(package, versions)) = packages.find(|(name, _)| *name == package) else {
        return Import::Unknown;
    };
    match (package, interface) {
        _ if !is_among(version, versions) => Import::OtherVersion { package, versions },
        ("wasi:blobstore", _) => Import::Blobs,
        ("wasi:http", "outgoing-handler") if version.starts_with("0.2") => Import::OutgoingHttp,
        ("wasi:http", "client") if version.starts_with("0.3") => Import::OutgoingHttp,
        _ => Import::Inert,
    }
}

/// The imports among these that Strand cannot give to any function, sorted.
pub fn unsupported(imports: &[String]) -> Vec<String> {
    let lacks = |import: &&String| {
        let import = classify(import);
        matches!(import, Import::OtherVersion { .. } | Import::Unknown)
    };
    let mut found: Vec<String> = imports.iter().filter(lacks).cloned().collect();
    found.sort();
    found.dedup();
    found
}

/// The grants that a component with these imports asks for.
pub fn needed_grants(imports: &[String]) -> Vec<NeededGrant> {
    let of = |kind: &Import| {
        let mut found: Vec<String> = imports
            .iter()
            .filter(|import| classify(import) == *kind)
            .cloned()
            .collect();
        found.sort();
        found.dedup();
        found
    };
    let mut needed = Vec::new();
    let blobs = of(&Import::Blobs);
    if !blobs.is_empty() {
        needed.push(NeededGrant {
            kind: GrantKind::Blobs,
            imports: blobs,
            required: true,
            lines: "grants:\n  blobs: { RESOURCE: [read, write] }\n".to_owned(),
        });
    }
    let http = of(&Import::OutgoingHttp);
    if !http.is_empty() {
        needed.push(NeededGrant {
            kind: GrantKind::Http,
            imports: http,
            required: false,
            lines: "grants:\n  http: [ \"https://HOST\" ]\n  functions: [ FUNCTION ]\n".to_owned(),
        });
    }
    needed
}

/// Checks a function's component: that it can be called as its routes ask, that what it imports
/// is granted, and that what is granted is imported.
///
/// A function that the Directive does not have is an error like the others.
pub fn check_component(
    directive: &Directive,
    function_name: &str,
    facts: &ComponentFacts,
) -> Vec<Diagnostic> {
    let mut check = Check {
        directive,
        name: function_name,
        field: format!("spec.functions.{function_name}"),
        problems: Vec::new(),
    };
    match directive.functions.get(function_name) {
        Some(function) => {
            check.world(function, facts);
            check.imports(function, facts);
            check.idle_grants(function, facts);
        }
        None => check.say(
            Severity::Error,
            "",
            format!("the app has no function {}", quote(function_name)),
            None,
        ),
    }
    Diagnostic::sort(&mut check.problems);
    check.problems
}

struct Check<'c> {
    directive: &'c Directive,
    name: &'c str,
    field: String,
    problems: Vec<Diagnostic>,
}

impl Check<'_> {
    /// A problem of a field of the function: `.grants.http`, or the function itself.
    fn say(&mut self, severity: Severity, below: &str, message: String, help: Option<String>) {
        let field = format!("{}{below}", self.field);
        self.say_at(severity, field, message, help);
    }

    fn say_at(&mut self, severity: Severity, field: String, message: String, help: Option<String>) {
        self.problems
            .push(self.directive.problem(severity, field, message, help));
    }

    fn world(&mut self, function: &Function, facts: &ComponentFacts) {
        let exported: Vec<&str> = facts.worlds.iter().map(|world| world.as_str()).collect();
        let Some(world) = World::choose(function.world, &facts.worlds) else {
            let exports = World::ALL.map(World::export);
            let help = if exported.is_empty() {
                format!("a function exports {}", any_of(&exports))
            } else {
                format!(
                    "it exports {}: change `world`, or remove it",
                    all_of(&exported)
                )
            };
            match function.world {
                Some(world) => self.say(
                    Severity::Error,
                    ".world",
                    format!("the function `{}` does not export `{world}`", self.name),
                    Some(help),
                ),
                None => self.say(
                    Severity::Error,
                    ".source",
                    format!(
                        "the function `{}` exports nothing that Strand can call",
                        self.name
                    ),
                    Some(help),
                ),
            }
            return;
        };
        if world.is_command() {
            return;
        }
        let commands: Vec<&str> = facts
            .worlds
            .iter()
            .filter(|world| world.is_command())
            .map(|world| world.as_str())
            .collect();
        for (index, route) in self.directive.routes.iter().enumerate() {
            let RouteTarget::Function {
                name,
                command: Some(_),
            } = &route.target
            else {
                continue;
            };
            if name != self.name {
                continue;
            }
            let help = match commands.first() {
                Some(command) => format!(
                    "remove `command`, or run the function as a command: `world: {command}`"
                ),
                None => "remove `command`".to_owned(),
            };
            self.say_at(
                Severity::Error,
                format!("spec.routes[{index}].command"),
                format!(
                    "`command` is for commands, but the function `{}` is of the world `{world}`",
                    self.name
                ),
                Some(help),
            );
        }
    }

    fn imports(&mut self, function: &Function, facts: &ComponentFacts) {
        let mut imports: Vec<&str> = facts.imports.iter().map(String::as_str).collect();
        imports.sort_unstable();
        imports.dedup();
        for import in &imports {
            let shown = quote(import);
            match classify(import) {
                Import::Unknown => self.say(
                    Severity::Error,
                    ".source",
                    format!(
                        "the function `{}` imports {shown}, which Strand does not have",
                        self.name
                    ),
                    Some(format!(
                        "it has {} and `wasi:blobstore`: build the function without the import",
                        BASE.map(|(package, _)| quote(package)).join(", ")
                    )),
                ),
                Import::OtherVersion { package, versions } => {
                    let against: Vec<String> = versions
                        .iter()
                        .map(|version| format!("{package}@{version}"))
                        .collect();
                    self.say(
                        Severity::Error,
                        ".source",
                        format!(
                            "the function `{}` imports {shown}, which is not a version that Strand has",
                            self.name
                        ),
                        Some(format!("build the function against {}", any_of(&against))),
                    );
                }
                Import::Inert | Import::OutgoingHttp | Import::Blobs => {}
            }
        }
        // One grant is for all interfaces of the package: it is asked for once.
        let blobs: Vec<&str> = imports
            .into_iter()
            .filter(|import| classify(import) == Import::Blobs)
            .collect();
        if let Some(first) = blobs.first()
            && function.grants.blobs.is_empty()
        {
            let message = format!(
                "the function `{}` imports {} without a grant",
                self.name,
                quote(first)
            );
            let help = self.blobs_help();
            self.say(Severity::Error, ".source", message, Some(help));
        }
    }

    /// The lines that grant a bucket, and those that declare one if there is none.
    fn blobs_help(&self) -> String {
        let mut names: Vec<&String> = self.directive.resources.blobs.keys().collect();
        // What no function has yet was probably declared for this one.
        names.sort_by_key(|name| {
            self.directive
                .functions
                .values()
                .any(|function| function.grants.blobs.contains_key(*name))
        });
        let resource = names.first().map_or("data", |name| name.as_str());
        let mut help = String::new();
        if names.is_empty() {
            help.push_str(
                &self.addition(&["spec", "resources", "blobs", resource], "{ dev: ./data }"),
            );
            help.push_str("\nand ");
        }
        help.push_str(&self.addition(
            &["spec", "functions", self.name, "grants", "blobs", resource],
            "[read, write]",
        ));
        if let [_, others @ ..] = names.as_slice()
            && !others.is_empty()
        {
            help.push_str(&format!("\nor the same with {}", any_of(others)));
        }
        help
    }

    /// The lines that give the field at `path` a value, in the notation of what stands there.
    fn addition(&self, path: &[&str], value: &str) -> String {
        let spans = &self.directive.spans;
        let layout = |depth: usize| spans.layout(&path[..depth].join("."));
        // Without places (a Directive made by hand) the usual notation is assumed; what may be
        // added to are the section and the function.
        let assumed = if path[1] == "functions" { 3 } else { 1 };
        let (depth, found) = (1..path.len())
            .rev()
            .find_map(|depth| layout(depth).map(|layout| (depth, layout)))
            .unwrap_or((assumed, Layout::Lines(2 * assumed)));
        let keys = &path[depth..];
        // What an alias stands for is not added to: others would be granted it as well.
        if let Some(alias) = (1..=depth).find(|depth| spans.is_alias(&path[..*depth].join("."))) {
            let owner = path[..alias].join(".");
            let inside = match &path[alias..depth] {
                [] => "it".to_owned(),
                below => format!("its `{}`", below.join(".")),
            };
            let lines = on_lines(keys, value, 2 * depth);
            return format!(
                "write `{owner}` out in place of its alias, with these lines in {inside}:\n{lines}"
            );
        }
        let owner = path[..depth].join(".");
        match found {
            Layout::Lines(indent) => {
                let lines = on_lines(keys, value, indent);
                format!("add these lines to `{owner}`:\n{lines}")
            }
            Layout::Braces { empty } => {
                let comma = if empty { "" } else { ", " };
                let inside = in_braces(keys, value);
                format!("add this before the closing brace of `{owner}`:\n{comma}{inside}")
            }
        }
    }

    fn idle_grants(&mut self, function: &Function, facts: &ComponentFacts) {
        let found: Vec<Import> = facts.imports.iter().map(|it| classify(it)).collect();
        // Of another version it is imported all the same: that is the error to mend.
        let imports = |kind: &Import, of: &str| {
            let other =
                |it: &Import| matches!(it, Import::OtherVersion { package, .. } if *package == of);
            found.iter().any(|it| it == kind || other(it))
        };
        let grants = &function.grants;
        let mut idle = Vec::new();
        if !grants.blobs.is_empty() && !imports(&Import::Blobs, BLOBSTORE.0) {
            idle.push(("blobs", "no `wasi:blobstore`"));
        }
        if !imports(&Import::OutgoingHttp, "wasi:http") {
            let lacks = "neither `wasi:http/outgoing-handler@0.2` nor `wasi:http/client@0.3`";
            if !grants.http.is_empty() {
                idle.push(("http", lacks));
            }
            if !grants.functions.is_empty() {
                idle.push(("functions", lacks));
            }
        }
        for (grant, lacks) in idle {
            self.say(
                Severity::Warning,
                &format!(".grants.{grant}"),
                format!(
                    "the function `{}` is granted `{grant}`, but imports {lacks}",
                    self.name
                ),
                Some("remove the grant".to_owned()),
            );
        }
    }
}

/// `a:`, and below it `b: value`; the first line has so many spaces before it.
fn on_lines(keys: &[&str], value: &str, indent: usize) -> String {
    let lines: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(level, key)| format!("{:spaces$}{key}:", "", spaces = indent + 2 * level))
        .collect();
    format!("{} {value}", lines.join("\n"))
}

/// `a: { b: value }`.
fn in_braces(keys: &[&str], value: &str) -> String {
    let mut inside = value.to_owned();
    for (level, key) in keys.iter().enumerate().rev() {
        inside = format!("{key}: {inside}");
        if level > 0 {
            inside = format!("{{ {inside} }}");
        }
    }
    inside
}
