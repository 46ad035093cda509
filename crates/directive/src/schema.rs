//! The JSON Schema of a Directive, for editors and for whoever makes Directives by machine.

use serde_json::{Value, json};

use crate::app_path;
use crate::model::{API_VERSION, KIND, World, bounds};
use crate::route_path::{self, METHODS};
use crate::template::MAX_TEMPLATE_BYTES;

/// The schema, of draft 2020-12.
///
/// It knows names, types and notations. What needs the whole file (whether a function exists,
/// whether routes clash) only [`crate::parse`] tells.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://strand.dev/schema/v1alpha1/directive.json",
        "title": "Strand Directive",
        "description": "An app: its functions, what they may use, and the routes to them.",
        "type": "object",
        "additionalProperties": false,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": { "const": API_VERSION },
            "kind": { "const": KIND },
            "metadata": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name"],
                "properties": {
                    "name": {
                        "$ref": "#/$defs/name",
                        "description": "The app's name."
                    }
                }
            },
            "spec": {
                "type": "object",
                "additionalProperties": false,
                "required": ["version"],
                "properties": {
                    "version": {
                        "type": "string",
                        "pattern": VERSION,
                        "description": "The app's version, a semantic version."
                    },
                    "hosts": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": bounds::HOSTS,
                        "uniqueItems": true,
                        "description": "The hosts that the app serves; all that no other app is for if omitted.",
                        "items": { "type": "string", "pattern": HOST }
                    },
                    "resources": {
                        "type": "object",
                        "additionalProperties": false,
                        "description": "What the app needs from its node, which binds each to a back end.",
                        "properties": {
                            "blobs": {
                                "type": "object",
                                "description": "Buckets of blobs, by name.",
                                "propertyNames": { "$ref": "#/$defs/name" },
                                "additionalProperties": {
                                    "type": "object",
                                    "additionalProperties": false,
                                    "properties": {
                                        "dev": {
                                            "$ref": "#/$defs/path",
                                            "description": "The folder that stands for the bucket while developing."
                                        }
                                    }
                                }
                            }
                        }
                    },
                    "functions": {
                        "type": "object",
                        "description": "The functions, by name.",
                        "propertyNames": { "$ref": "#/$defs/name" },
                        "additionalProperties": { "$ref": "#/$defs/function" }
                    },
                    "routes": {
                        "type": "array",
                        "description": "The routes, in any order.",
                        "items": { "$ref": "#/$defs/route" }
                    }
                }
            }
        },
        "$defs": {
            "name": { "type": "string", "pattern": "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$" },
            "path": {
                "type": "string",
                "minLength": 1,
                "maxLength": app_path::MAX_PATH,
                "pattern": "^[^/\\\\~]",
                "description": "A path in the app's folder."
            },
            "size": {
                "anyOf": [
                    { "type": "integer", "minimum": 0 },
                    { "type": "string", "pattern": "^[0-9]+(Ki|Mi|Gi)?$" }
                ]
            },
            "duration": { "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" },
            "function": function(),
            "source": {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "maxProperties": 1,
                "description": "Where the component comes from.",
                "properties": {
                    "cargo": { "$ref": "#/$defs/path", "description": "The folder of a Cargo package." },
                    "file": { "$ref": "#/$defs/path", "description": "A component or a core module." }
                }
            },
            "limits": limits(),
            "instance": {
                "type": "object",
                "additionalProperties": false,
                "description": "Requests that one instance may serve. By default each request gets a fresh one.",
                "properties": {
                    "reuse": count(bounds::REUSE, "In all; 1 by default."),
                    "concurrency": count(bounds::INSTANCE_CONCURRENCY, "At once; 1 by default, at most `reuse`.")
                }
            },
            "grants": grants(),
            "route": route(),
            "redirect": {
                "type": "object",
                "additionalProperties": false,
                "required": ["to"],
                "description": "Where clients are sent.",
                "properties": {
                    "to": {
                        "type": "string",
                        "pattern": "^(/|https?://)[!-~]*$",
                        "maxLength": MAX_TEMPLATE_BYTES,
                        "description": "A path or a URL, which may hold `{path.NAME}`."
                    },
                    "status": {
                        "enum": [301, 302, 303, 307, 308],
                        "description": "The status; 307 by default."
                    }
                }
            },
            "cors": cors(),
            "headers": {
                "type": "object",
                "additionalProperties": false,
                "description": "Fields of all answers of the route.",
                "properties": {
                    "set": {
                        "type": "object",
                        "maxProperties": bounds::HEADERS,
                        "description": "Values by name, in place of what the answer has.",
                        "propertyNames": { "pattern": HEADER },
                        "additionalProperties": { "type": "string", "minLength": 1, "maxLength": bounds::HEADER_VALUE }
                    },
                    "remove": header_names("Names of what is taken out.")
                }
            },
            "routeLimits": {
                "type": "object",
                "additionalProperties": false,
                "description": "Limits of the route's requests, below those of its function.",
                "properties": {
                    "body": { "$ref": "#/$defs/size", "description": "The body." },
                    "wall": { "$ref": "#/$defs/duration", "description": "Time from admission to the end of the answer." }
                }
            },
            "command": {
                "type": "object",
                "additionalProperties": false,
                "description": "How a command is called.",
                "properties": {
                    "args": {
                        "type": "array",
                        "description": "Arguments, which may hold `{query.NAME}`, `{query.NAME=DEFAULT}` and `{path.NAME}`.",
                        "items": { "type": "string", "maxLength": MAX_TEMPLATE_BYTES }
                    },
                    "contentType": {
                        "type": "string",
                        "pattern": "^[^/ ;]+/[^/ ;]+ *(;.*)?$",
                        "description": "Media type of the output; application/octet-stream by default."
                    }
                }
            }
        }
    })
}

/// The expression that semver.org suggests, without its names for the groups.
const VERSION: &str = "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-((0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(\\.(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?(\\+([0-9a-zA-Z-]+(\\.[0-9a-zA-Z-]+)*))?$";

const HOST: &str = "^(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";

fn count(bounds: std::ops::RangeInclusive<u32>, description: &str) -> Value {
    json!({
        "type": "integer",
        "minimum": bounds.start(),
        "maximum": bounds.end(),
        "description": description
    })
}

fn function() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["source"],
        "properties": {
            "source": { "$ref": "#/$defs/source" },
            "world": {
                "enum": World::ALL.map(World::as_str),
                "description": "The world it runs in; told by its exports if omitted."
            },
            "weight": count(bounds::WEIGHT, "Its part in the processor time of work that needs long; 100 by default."),
            "limits": { "$ref": "#/$defs/limits" },
            "instance": { "$ref": "#/$defs/instance" },
            "grants": { "$ref": "#/$defs/grants" },
            "config": {
                "type": "object",
                "description": "Values for wasi:config.",
                "propertyNames": { "minLength": 1 },
                "additionalProperties": { "type": "string" }
            },
            "env": {
                "type": "object",
                "description": "Environment variables.",
                "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
                "additionalProperties": { "type": "string" }
            }
        }
    })
}

fn limits() -> Value {
    let size = |description: &str| json!({ "$ref": "#/$defs/size", "description": description });
    let duration =
        |description: &str| json!({ "$ref": "#/$defs/duration", "description": description });
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "What an instance may use.",
        "properties": {
            "memory": size("Memory of an instance; 64Ki to 4Gi, 128Mi by default."),
            "cpu": duration("Processor time of a request; 1ms to 24h, 30s by default."),
            "wall": duration("Time from admission to the end of the answer; 1ms to 24h, 60s by default."),
            "concurrency": count(bounds::CONCURRENCY, "Requests in progress; 64 by default."),
            "queue": count(bounds::QUEUE, "Requests that wait; as many as `concurrency` by default."),
            "body": size("A request's body; up to 64Gi, 8Mi by default.")
        }
    })
}

fn grants() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "What the function may reach; nothing by default.",
        "properties": {
            "blobs": {
                "type": "object",
                "description": "Access to buckets, by the resource's name.",
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": true,
                    "items": { "enum": ["read", "write"] }
                }
            },
            "http": {
                "type": "array",
                "description": "Hosts that it may send requests to: https://HOST, https://*.DOMAIN, http://HOST:PORT.",
                "uniqueItems": true,
                "items": { "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?$" }
            },
            "functions": {
                "type": "array",
                "description": "Functions of the app that it may call.",
                "uniqueItems": true,
                "items": { "$ref": "#/$defs/name" }
            }
        }
    })
}

/// The name of a header field.
const HEADER: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$";

fn header_names(description: &str) -> Value {
    json!({
        "type": "array",
        "maxItems": bounds::HEADERS,
        "uniqueItems": true,
        "description": description,
        "items": { "type": "string", "pattern": HEADER }
    })
}

fn cors() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["origins"],
        "description": "Which pages of other origins may use the route; none if omitted.",
        "properties": {
            "origins": {
                "type": "array",
                "minItems": 1,
                "maxItems": bounds::ORIGINS,
                "uniqueItems": true,
                "description": "The pages' origins: https://HOST, https://*.DOMAIN, http://HOST:PORT, or * alone for all.",
                "items": { "type": "string", "pattern": "^(\\*|[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?)$" }
            },
            "headers": header_names("Fields that they may send beside the safelisted ones."),
            "expose": header_names("Fields that they may read beside the safelisted ones."),
            "credentials": { "type": "boolean", "description": "Whether they may send cookies; false by default." },
            "maxAge": { "$ref": "#/$defs/duration", "description": "How long browsers may remember this, in whole seconds; 0s to 24h, 10m by default." }
        }
    })
}

fn route() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["path"],
        "oneOf": [
            { "required": ["function"] },
            { "required": ["static"] },
            { "required": ["redirect"] }
        ],
        "dependentRequired": { "command": ["function"], "limits": ["function"] },
        "dependentSchemas": { "cacheControl": { "not": { "required": ["redirect"] } } },
        "properties": {
            "path": {
                "type": "string",
                "pattern": "^/",
                "maxLength": route_path::MAX_PATH,
                "description": "The path, with `{NAME}` for one part and `{*NAME}` for the rest."
            },
            "methods": {
                "type": "array",
                "description": "The methods; every method if omitted.",
                "minItems": 1,
                "uniqueItems": true,
                "items": { "enum": METHODS }
            },
            "function": { "$ref": "#/$defs/name", "description": "The function that answers." },
            "command": { "$ref": "#/$defs/command" },
            "static": {
                "$ref": "#/$defs/path",
                "description": "The folder, or the file, that is served."
            },
            "redirect": { "$ref": "#/$defs/redirect" },
            "cors": { "$ref": "#/$defs/cors" },
            "headers": { "$ref": "#/$defs/headers" },
            "limits": { "$ref": "#/$defs/routeLimits" },
            "compress": {
                "type": "boolean",
                "description": "Whether answers are compressed for clients that take it; by default files are."
            },
            "cacheControl": {
                "type": "string",
                "minLength": 1,
                "maxLength": bounds::HEADER_VALUE,
                "description": "Cache-Control of files, no-cache by default, and of answers of functions that say none."
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::decode::ALL_FIELDS;

    #[test]
    fn the_schema_has_the_fields_that_are_read() {
        let schema = schema();
        for (pointer, fields) in ALL_FIELDS {
            let object = schema.pointer(pointer).unwrap();
            let known: BTreeSet<&str> = object["properties"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(known, fields.iter().copied().collect(), "{pointer}");
            assert_eq!(object["additionalProperties"], false, "{pointer}");
        }
    }

    /// No mapping with fixed fields is left out of the comparison above.
    #[test]
    fn all_mappings_are_compared() {
        fn count(value: &Value) -> usize {
            let below = match value {
                Value::Object(map) => map.values().map(count).sum(),
                Value::Array(items) => items.iter().map(count).sum(),
                _ => 0,
            };
            below + usize::from(value["additionalProperties"] == false)
        }
        assert_eq!(count(&schema()), ALL_FIELDS.len());
    }
}
