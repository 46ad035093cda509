//! The names of all fields; the JSON Schema has the same ones, which a test compares.

pub(super) const ROOT: &[&str] = &["apiVersion", "kind", "metadata", "spec"];
pub(super) const METADATA: &[&str] = &["name"];
pub(super) const SPEC: &[&str] = &["version", "hosts", "resources", "functions", "routes"];
pub(super) const RESOURCES: &[&str] = &["blobs"];
pub(super) const BLOBS: &[&str] = &["dev"];
pub(super) const FUNCTION: &[&str] = &[
    "source", "world", "weight", "limits", "instance", "grants", "config", "env",
];
pub(super) const SOURCE: &[&str] = &["cargo", "file"];
pub(super) const LIMITS: &[&str] = &["memory", "cpu", "wall", "concurrency", "queue", "body"];
pub(super) const INSTANCE: &[&str] = &["reuse", "concurrency"];
pub(super) const GRANTS: &[&str] = &["blobs", "http", "functions"];
pub(super) const ROUTE: &[&str] = &[
    "path",
    "methods",
    "function",
    "command",
    "static",
    "redirect",
    "cors",
    "headers",
    "limits",
    "compress",
    "cacheControl",
];
pub(super) const REDIRECT: &[&str] = &["to", "status"];
pub(super) const CORS: &[&str] = &["origins", "headers", "expose", "credentials", "maxAge"];
pub(super) const HEADERS: &[&str] = &["set", "remove"];
pub(super) const ROUTE_LIMITS: &[&str] = &["body", "wall"];
pub(super) const COMMAND: &[&str] = &["args", "contentType"];

/// Each mapping with fixed fields: where the schema has it, and its fields.
#[cfg(test)]
pub(crate) const ALL: &[(&str, &[&str])] = &[
    ("", ROOT),
    ("/properties/metadata", METADATA),
    ("/properties/spec", SPEC),
    ("/properties/spec/properties/resources", RESOURCES),
    (
        "/properties/spec/properties/resources/properties/blobs/additionalProperties",
        BLOBS,
    ),
    ("/$defs/function", FUNCTION),
    ("/$defs/source", SOURCE),
    ("/$defs/limits", LIMITS),
    ("/$defs/instance", INSTANCE),
    ("/$defs/grants", GRANTS),
    ("/$defs/route", ROUTE),
    ("/$defs/command", COMMAND),
    ("/$defs/redirect", REDIRECT),
    ("/$defs/cors", CORS),
    ("/$defs/headers", HEADERS),
    ("/$defs/routeLimits", ROUTE_LIMITS),
];
