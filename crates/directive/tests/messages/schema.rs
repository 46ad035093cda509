//! The JSON Schema says the same as the parser.

use std::sync::LazyLock;

use jsonschema::Validator;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};
use strand_directive::{Outcome, parse, schema};

use crate::{EXAMPLE, app, function};

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&schema()).unwrap());

/// What the parser accepts, the schema accepts; unknown fields both refuse.
#[track_caller]
pub(crate) fn agrees(text: &str, outcome: &Outcome) {
    let Some(json) = json_of(text) else { return };
    let accepted = VALIDATOR.is_valid(&json);
    if outcome.directive.is_some() {
        let errors: Vec<String> = VALIDATOR
            .iter_errors(&json)
            .map(|error| error.to_string())
            .collect();
        assert!(
            accepted,
            "the schema refuses what the parser accepts: {errors:#?}"
        );
    }
    if outcome
        .problems
        .iter()
        .any(|problem| problem.message.starts_with("unknown field"))
    {
        assert!(!accepted, "the schema accepts an unknown field");
    }
}

/// The file as another reader of YAML sees it; `None` if it sees no single document.
fn json_of(text: &str) -> Option<Value> {
    let documents = Yaml::load_from_str(text).ok()?;
    let [document] = documents.as_slice() else {
        return None;
    };
    convert(document)
}

fn convert(yaml: &Yaml<'_>) -> Option<Value> {
    Some(match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => Value::Array(items.iter().map(convert).collect::<Option<_>>()?),
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                map.insert(key.as_str()?.to_owned(), convert(value)?);
            }
            Value::Object(map)
        }
        _ => return None,
    })
}

fn example() -> Value {
    json_of(EXAMPLE).unwrap()
}

#[test]
fn the_schema_is_one() {
    jsonschema::meta::validate(&schema()).unwrap();
}

#[test]
fn the_example_is_valid() {
    assert!(parse(EXAMPLE).directive.is_some());
    assert!(VALIDATOR.is_valid(&example()));
}

/// In every mapping of the example with fixed fields a further field is refused by both.
#[test]
fn every_unknown_field_is_refused() {
    let fixed = [
        "",
        "/metadata",
        "/spec",
        "/spec/resources",
        "/spec/resources/blobs/genomes",
        "/spec/functions/simulate",
        "/spec/functions/simulate/source",
        "/spec/functions/simulate/limits",
        "/spec/functions/simulate/instance",
        "/spec/functions/simulate/grants",
        "/spec/routes/0",
        "/spec/routes/1",
        "/spec/routes/1/command",
        "/spec/routes/2",
    ];
    for pointer in fixed {
        let mut json = example();
        json.pointer_mut(pointer).unwrap()["surplus"] = json!("x");
        assert!(!VALIDATOR.is_valid(&json), "{pointer}");
        // JSON is YAML.
        let problems = parse(&json.to_string()).problems;
        assert!(
            problems
                .iter()
                .any(|problem| problem.message.starts_with("unknown field `surplus`")),
            "{pointer}"
        );
    }
}

/// Each field of the example that must be there is missed by both.
#[test]
fn every_required_field_is_required() {
    for (pointer, field) in [
        ("", "apiVersion"),
        ("", "kind"),
        ("", "metadata"),
        ("", "spec"),
        ("/metadata", "name"),
        ("/spec", "version"),
        ("/spec/functions/wc", "source"),
        ("/spec/functions/wc/source", "file"),
        ("/spec/routes/0", "path"),
        ("/spec/routes/0", "function"),
        ("/spec/routes/2", "static"),
    ] {
        let mut json = example();
        json.pointer_mut(pointer)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(field)
            .unwrap();
        assert!(!VALIDATOR.is_valid(&json), "{pointer}/{field}");
        assert!(
            parse(&json.to_string()).directive.is_none(),
            "{pointer}/{field}"
        );
    }
}

/// Wrong values that the schema can tell as well.
#[test]
fn wrong_values_are_refused() {
    let texts = [
        function("limits: { memory: 64M }"),
        function("limits: { cpu: 30 }"),
        function("limits: { cpu: 30x }"),
        function("limits: { concurrency: 0 }"),
        function("limits: { concurrency: 65537 }"),
        function("limits: { queue: -1 }"),
        function("instance: { reuse: 0 }"),
        function("instance: { concurrency: 1025 }"),
        function("world: http"),
        function("config: { a: 1 }"),
        function("env: { 1A: x }"),
        function("grants: { http: [example.org] }"),
        function("grants: { http: [\"http://a/b\"] }"),
        function("grants: { functions: [F] }"),
        function("grants: { functions: [f, f] }"),
        function("source: x"),
        app("resources: { blobs: { A: {} } }"),
        app("resources: { blobs: { a: { dev: /x } } }"),
        app("functions: []"),
        app("routes: {}"),
        app("routes: [{ path: x, static: y }]"),
        app("routes: [{ path: /x, static: y, command: {} }]"),
        app("routes: [{ path: /x, static: y, methods: [] }]"),
        app("routes: [{ path: /x, redirect: { to: /y }, cacheControl: no-store }]"),
        app("routes: [{ path: /x, static: y, methods: [get] }]"),
        app("routes: [{ path: /x, static: y, methods: [GET, GET] }]"),
        EXAMPLE.replace("0.1.0", "'0.1'"),
        EXAMPLE.replace("text/plain", "text"),
        EXAMPLE.replace("kind: App", "kind: app"),
        EXAMPLE.replace("v1alpha1", "v1"),
        EXAMPLE.replace("name: reads", "name: Reads"),
        EXAMPLE.replace("[read]", "[]"),
        EXAMPLE.replace("[read]", "[reed]"),
        EXAMPLE.replace("[read]", "[read, read]"),
    ];
    for text in texts {
        assert!(
            parse(&text).directive.is_none(),
            "the parser accepts\n{text}"
        );
        let Some(json) = json_of(&text) else { continue };
        assert!(!VALIDATOR.is_valid(&json), "the schema accepts\n{text}");
    }
}
