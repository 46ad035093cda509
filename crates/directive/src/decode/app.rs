//! The envelope, the resources, and what nothing uses.

use std::collections::BTreeMap;

use super::grants::twice;
use super::{At, Decoder, fields, function, route};
use crate::app_path;
use crate::diagnostic::{Invalid, Severity, quote};
use crate::model::{API_VERSION, BlobResource, Directive, KIND, Resources, bounds};
use crate::names::{check_name, host, near};
use crate::yaml::Node;

/// The whole file; `None` if an error has been said.
pub(crate) fn app(decoder: &mut Decoder<'_>, root: &Node) -> Option<Directive> {
    let root = At {
        path: String::new(),
        name: String::new(),
        key: None,
        node: root,
    };
    if !matches!(root.node.kind, crate::yaml::Kind::Map(_)) {
        decoder.error(
            String::new(),
            root.node.span.clone(),
            "a Directive is a mapping".to_owned(),
            Some(format!("it starts with `apiVersion: {API_VERSION}`")),
        );
        return None;
    }
    let mut top = decoder.fields(&root, fields::ROOT)?;
    // A missing field of the file is a matter of its first line, wherever the first field is.
    top.mark = 0..0;
    let api_version = top.need(decoder, "apiVersion");
    constant(decoder, api_version, API_VERSION);
    let kind = top.need(decoder, "kind");
    constant(decoder, kind, KIND);
    let name = top.need(decoder, "metadata").and_then(|at| {
        let mut metadata = decoder.fields(&at, fields::METADATA)?;
        let at = metadata.need(decoder, "name")?;
        decoder.parsed(&at, |name| check_name(name).map(|()| name.to_owned()))
    });
    let spec = top.need(decoder, "spec")?;
    let mut spec = decoder.fields(&spec, fields::SPEC)?;
    let version = spec
        .need(decoder, "version")
        .and_then(|at| decoder.parsed(&at, version));
    let hosts = spec.take("hosts").map(|at| hosts(decoder, &at));
    let resources = spec.take("resources").map(|at| resources(decoder, &at));
    let functions = match spec.take("functions") {
        Some(at) => function::functions(decoder, &at)?,
        None => BTreeMap::new(),
    };
    let routes = match spec.take("routes") {
        Some(at) => route::routes(decoder, &at, &functions)?,
        None => Vec::new(),
    };
    unused(decoder);
    if decoder.problems.iter().any(|problem| problem.is_error()) {
        return None;
    }
    Some(Directive {
        name: name?,
        version: version?,
        hosts: hosts.unwrap_or_default(),
        resources: resources.unwrap_or_default(),
        functions,
        routes,
        spans: std::mem::take(&mut decoder.spans),
    })
}

/// A field that has one value.
fn constant(decoder: &mut Decoder<'_>, at: Option<At<'_>>, value: &str) {
    let Some(at) = at else { return };
    decoder.parsed(&at, |text| {
        if text == value {
            return Ok(());
        }
        let invalid = Invalid::new(format!("unknown {} {}", at.name, quote(text)));
        Err(match near(text, [value]) {
            Some(_) => invalid.help(format!("did you mean `{value}`?")),
            None => invalid.help(format!("this version of Strand reads `{value}`")),
        })
    });
}

fn version(text: &str) -> Result<String, Invalid> {
    match semver::Version::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(
            Invalid::new(format!("{} is not a version: {error}", quote(text)))
                .help("a version has three numbers, for example `0.1.0`"),
        ),
    }
}

fn hosts(decoder: &mut Decoder<'_>, at: &At<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let Some(items) = decoder.items(at) else {
        return found;
    };
    let (count, most) = (items.len(), bounds::HOSTS);
    let wrong = match count {
        0 => Some((
            "the app serves no host".to_owned(),
            "name some, or leave `hosts` out to serve all that no other app is for",
        )),
        _ if count > most => Some((
            format!("an app may name {most} hosts, this one names {count}"),
            "name all below one at once, as `*.example.org`",
        )),
        _ => None,
    };
    if let Some((message, help)) = wrong {
        decoder.error(at.path.clone(), at.mark(), message, Some(help.to_owned()));
        return found;
    }
    for at in items {
        match decoder.parsed(&at, host) {
            Some(host) if found.contains(&host) => twice(decoder, &at, &host),
            Some(host) => found.push(host),
            None => {}
        }
    }
    found
}

fn resources(decoder: &mut Decoder<'_>, at: &At<'_>) -> Resources {
    let mut found = Resources::default();
    let Some(mut kinds) = decoder.fields(at, fields::RESOURCES) else {
        return found;
    };
    let Some(blobs) = kinds.take("blobs") else {
        return found;
    };
    for (name, at) in decoder.entries(&blobs).unwrap_or_default() {
        key_name(decoder, name, &at);
        decoder.blobs.insert(name.to_owned());
        let Some(mut fields) = decoder.fields(&at, fields::BLOBS) else {
            continue;
        };
        let dev = fields
            .take("dev")
            .and_then(|at| decoder.parsed(&at, app_path::parse));
        found.blobs.insert(name.to_owned(), BlobResource { dev });
    }
    found
}

/// Checks a name that is a key.
pub(super) fn key_name(decoder: &mut Decoder<'_>, name: &str, at: &At<'_>) {
    if let Err(invalid) = check_name(name) {
        let range = at.key.clone().unwrap_or_else(|| at.mark());
        decoder.error(at.path.clone(), range, invalid.message, invalid.help);
    }
}

/// Warns about what is declared and used nowhere.
fn unused(decoder: &mut Decoder<'_>) {
    let functions = decoder
        .functions
        .difference(&decoder.used_functions)
        .map(|name| {
            (
                super::join("spec.functions", name),
                format!(
                    "no route leads to the function {} and no function may call it",
                    quote(name)
                ),
                "add a route with `function:`, or name it in another function's `grants.functions`",
            )
        });
    let blobs = decoder.blobs.difference(&decoder.used_blobs).map(|name| {
        (
            super::join("spec.resources.blobs", name),
            format!("no function is granted the blobs {}", quote(name)),
            "name it in a function's `grants.blobs`, or remove it",
        )
    });
    let unused: Vec<_> = functions.chain(blobs).collect();
    for (field, message, help) in unused {
        let span = decoder.spans.key(&field);
        decoder.problems.push(crate::diagnostic::Diagnostic {
            severity: Severity::Warning,
            message,
            field,
            span,
            help: Some(help.to_owned()),
        });
    }
}
