//! What a route asks of its requests and does to its answers, whatever answers.

use std::collections::{BTreeMap, BTreeSet};

use super::grants::twice;
use super::quantity::{duration, seconds, size};
use super::{At, Decoder, Fields, fields};
use crate::diagnostic::{Invalid, quote};
use crate::http_rule::HttpRule;
use crate::model::{
    Cors, Function, HeaderRules, Limits, Origins, RouteLimits, RouteTarget, Rules, bounds,
};
use crate::units::{format_duration, format_size};
use crate::yaml::Scalar;

/// Fields of answers that are the gateway's own business, and why.
const NOT_TO_SET: &[(&str, &str)] = &[
    ("connection", "it is of the connection, not of the answer"),
    ("keep-alive", "it is of the connection, not of the answer"),
    (
        "proxy-connection",
        "it is of the connection, not of the answer",
    ),
    ("te", "it is of the connection, not of the answer"),
    ("trailer", "it says what the answer's own end has"),
    (
        "transfer-encoding",
        "it is of the connection, not of the answer",
    ),
    ("upgrade", "it is of the connection, not of the answer"),
    ("content-length", "it is what the answer's body has"),
    ("content-encoding", "it is what the answer's body has"),
    ("content-range", "it is what the answer's body has"),
    ("date", "the node sets it"),
    ("vary", "the node adds to it what its own rules look at"),
    ("x-request-id", "it names the request"),
];

/// The fields of a route that are rules. `functions` has those of the app, `target` what answers
/// if that could be read.
pub(super) fn rules(
    decoder: &mut Decoder<'_>,
    fields: &mut Fields<'_>,
    target: Option<&RouteTarget>,
    functions: &BTreeMap<String, Function>,
) -> Rules {
    let is_static = matches!(target, Some(RouteTarget::Static(_)));
    let mut rules = Rules {
        compress: is_static,
        ..Rules::default()
    };
    if let Some(at) = fields.take("cors") {
        rules.cors = cors(decoder, &at);
    }
    if let Some(at) = fields.take("headers") {
        rules.headers = headers(decoder, &at, rules.cors.is_some());
    }
    if let Some(at) = fields.take("limits") {
        let function = match target {
            Some(RouteTarget::Function { name, .. }) => functions.get_key_value(name),
            Some(RouteTarget::Static(_) | RouteTarget::Redirect(_)) => {
                needless(decoder, &at, "`limits` are for functions");
                None
            }
            None => None,
        };
        let function = function.map(|(name, function)| (name.as_str(), &function.limits));
        rules.limits = limits(decoder, &at, function);
    }
    if let Some(at) = fields.take("compress") {
        if matches!(target, Some(RouteTarget::Redirect(_))) {
            needless(decoder, &at, "a redirect has no body to compress");
        }
        rules.compress = flag(decoder, &at).unwrap_or(rules.compress);
    }
    if let Some(at) = fields.take("cacheControl") {
        if matches!(target, Some(RouteTarget::Redirect(_))) {
            let why = "`cacheControl` is for files and functions: of a redirect `headers` says it";
            needless(decoder, &at, why);
        }
        rules.cache_control = decoder.parsed(&at, header_value);
    }
    rules
}

fn needless(decoder: &mut Decoder<'_>, at: &At<'_>, why: &str) {
    let help = format!("remove {}", at.name);
    decoder.error(at.path.clone(), at.mark(), why.to_owned(), Some(help));
}

fn cors(decoder: &mut Decoder<'_>, at: &At<'_>) -> Option<Cors> {
    let mut fields = decoder.fields(at, fields::CORS)?;
    let origins = fields
        .need(decoder, "origins")
        .and_then(|at| origins(decoder, &at));
    let mut names = |decoder: &mut Decoder<'_>, field| {
        let at = fields.take(field);
        let names = at.map(|at| header_names(decoder, &at)).unwrap_or_default();
        names
            .into_iter()
            .map(|(name, _)| name)
            .collect::<BTreeSet<_>>()
    };
    let (headers, expose) = (names(decoder, "headers"), names(decoder, "expose"));
    let credentials = fields.take("credentials");
    let with_credentials = credentials
        .as_ref()
        .and_then(|at| flag(decoder, at))
        .unwrap_or(false);
    if let (Some(at), true, Some(Origins::Any)) = (&credentials, with_credentials, &origins) {
        decoder.error(
            at.path.clone(),
            at.mark(),
            "pages of all origins would act with their visitors' cookies".to_owned(),
            Some("name the origins, or remove `credentials`".to_owned()),
        );
    }
    let max_age = fields
        .take("maxAge")
        .and_then(|at| seconds(decoder, &at, bounds::MAX_AGE));
    Some(Cors {
        origins: origins?,
        headers,
        expose,
        credentials: with_credentials,
        max_age: max_age.unwrap_or(Cors::MAX_AGE),
    })
}

fn origins(decoder: &mut Decoder<'_>, at: &At<'_>) -> Option<Origins> {
    let items = decoder.items(at)?;
    if items.is_empty() || items.len() > bounds::ORIGINS {
        let message = format!(
            "`origins` has 1 to {} entries, found {}",
            bounds::ORIGINS,
            items.len()
        );
        let help = "name the origins of the pages, or `\"*\"` for all".to_owned();
        decoder.error(at.path.clone(), at.mark(), message, Some(help));
        return None;
    }
    let mut found = Vec::new();
    let mut any = None;
    for at in items {
        if decoder.text(&at)? == "*" {
            any = Some(at);
            continue;
        }
        let Some(rule) = decoder.parsed(&at, origin) else {
            continue;
        };
        if found.contains(&rule) {
            twice(decoder, &at, &rule.to_string());
        }
        found.push(rule);
    }
    match any {
        Some(at) if !found.is_empty() => {
            decoder.error(
                at.path.clone(),
                at.mark(),
                "`*` stands for all origins, so that no other can be named".to_owned(),
                Some("remove it, or the others".to_owned()),
            );
            None
        }
        Some(_) => Some(Origins::Any),
        None => Some(Origins::Of(found)),
    }
}

fn origin(text: &str) -> Result<HttpRule, Invalid> {
    if text == "null" {
        return Err(
            Invalid::new("the origin `null` is that of any page without one").help(
                "a page in a sandbox or from a file cannot be told from others: name no such origin",
            ),
        );
    }
    HttpRule::parse(text).map_err(|invalid| {
        invalid.help("an origin is `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`")
    })
}

fn headers(decoder: &mut Decoder<'_>, at: &At<'_>, has_cors: bool) -> HeaderRules {
    let mut rules = HeaderRules::default();
    let Some(mut fields) = decoder.fields(at, fields::HEADERS) else {
        return rules;
    };
    if let Some(at) = fields.take("remove") {
        for (name, at) in header_names(decoder, &at) {
            not_to_touch(decoder, &at, &name, has_cors);
            rules.remove.insert(name);
        }
    }
    let Some(at) = fields.take("set") else {
        return rules;
    };
    let entries = decoder.entries(&at).unwrap_or_default();
    too_many(decoder, &at, entries.len());
    for (name, at) in entries {
        let range = at.key.clone().unwrap_or_else(|| at.mark());
        match header_name(name) {
            Err(invalid) => decoder.error(at.path.clone(), range, invalid.message, invalid.help),
            Ok(lower) => {
                not_to_touch(decoder, &at, name, has_cors);
                let value = decoder.parsed(&at, header_value);
                let before = rules.set.insert(lower, value.unwrap_or_default());
                if before.is_some() {
                    let message = format!("the field {} is there twice", quote(name));
                    let help = "letter case makes no difference; remove one of them".to_owned();
                    decoder.error(at.path.clone(), range, message, Some(help));
                }
            }
        }
    }
    rules
}

/// Refuses fields that are not the author's to say.
fn not_to_touch(decoder: &mut Decoder<'_>, at: &At<'_>, name: &str, has_cors: bool) {
    let lower = name.to_ascii_lowercase();
    let mut refuse = |why: &str, help: &str| {
        let range = at.key.clone().unwrap_or_else(|| at.mark());
        let message = format!("the field {} is not for a route to say: {why}", quote(name));
        decoder.error(at.path.clone(), range, message, Some(help.to_owned()));
    };
    if let Some((_, why)) = NOT_TO_SET.iter().find(|(known, _)| *known == lower) {
        refuse(why, "remove it");
    } else if has_cors && lower.starts_with("access-control-") {
        refuse("`cors` says it", "remove it, or `cors`");
    }
}

/// A list of names of fields, each once, with their places.
fn header_names<'n>(decoder: &mut Decoder<'_>, at: &At<'n>) -> Vec<(String, At<'n>)> {
    let items = decoder.items(at).unwrap_or_default();
    too_many(decoder, at, items.len());
    let mut found: Vec<(String, At<'n>)> = Vec::new();
    for at in items {
        let Some(name) = decoder.parsed(&at, header_name) else {
            continue;
        };
        if found.iter().any(|(other, _)| *other == name) {
            twice(decoder, &at, &name);
        } else {
            found.push((name, at));
        }
    }
    found
}

fn too_many(decoder: &mut Decoder<'_>, at: &At<'_>, found: usize) {
    if found > bounds::HEADERS {
        let most = bounds::HEADERS;
        let message = format!("{} has at most {most} fields, found {found}", at.name);
        decoder.error(at.path.clone(), at.mark(), message, None);
    }
}

/// The name of a header field (RFC 9110, section 5.1), in lower case.
fn header_name(text: &str) -> Result<String, Invalid> {
    let good = (1..=64).contains(&text.len()) && text.bytes().all(is_token);
    if good {
        return Ok(text.to_ascii_lowercase());
    }
    let invalid = Invalid::new(format!("{} is not the name of a header field", quote(text)));
    Err(invalid.help(if text == "*" {
        "name the fields: `*` would stand for what nobody thought of"
    } else {
        "a name has letters, digits and `-`, and at most 64 of them"
    }))
}

/// What may stand in a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The value of a header field: what every client reads alike (RFC 9110, section 5.5).
fn header_value(text: &str) -> Result<String, Invalid> {
    if text.len() > bounds::HEADER_VALUE {
        let (length, most) = (text.len(), bounds::HEADER_VALUE);
        return Err(Invalid::new(format!(
            "the value has {length} bytes, at most {most} are allowed"
        )));
    }
    // A line end would be another field.
    let good = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if good && text.trim() == text && !text.is_empty() {
        return Ok(text.to_owned());
    }
    Err(
        Invalid::new(format!("{} cannot stand in a header field", quote(text)))
            .help("a value has visible ASCII characters, with spaces between them at most"),
    )
}

/// `function` has the name and the limits of the route's function.
fn limits(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    function: Option<(&str, &Limits)>,
) -> RouteLimits {
    let mut limits = RouteLimits::default();
    let Some(mut fields) = decoder.fields(at, fields::ROUTE_LIMITS) else {
        return limits;
    };
    if let Some(at) = fields.take("body") {
        limits.body = size(decoder, &at, bounds::BODY);
        if let (Some(asked), Some((name, most))) = (limits.body, function)
            && asked > most.body
        {
            above(decoder, &at, name, "body", &format_size(most.body));
        }
    }
    if let Some(at) = fields.take("wall") {
        limits.wall = duration(decoder, &at);
        if let (Some(asked), Some((name, most))) = (limits.wall, function)
            && asked > most.wall
        {
            above(decoder, &at, name, "wall", &format_duration(most.wall));
        }
    }
    limits
}

/// Refuses what is above the limit of the route's function.
fn above(decoder: &mut Decoder<'_>, at: &At<'_>, function: &str, limit: &str, most: &str) {
    let place = format!("spec.functions.{function}.limits.{limit}");
    let default = if decoder.spans.get(&place).is_none() {
        " (its default)"
    } else {
        ""
    };
    let message = format!(
        "{} is above `{most}`, the limit of {}{default}",
        at.name,
        quote(function)
    );
    let help =
        format!("raise `{place}`, or lower this: a route can only lower what its function has");
    decoder.error(at.path.clone(), at.mark(), message, Some(help));
}

fn flag(decoder: &mut Decoder<'_>, at: &At<'_>) -> Option<bool> {
    match at.node.scalar() {
        Some(Scalar::Bool(value)) => Some(value),
        _ => {
            decoder.wrong_type(at, "`true` or `false`", None);
            None
        }
    }
}
