//! Routes and how commands are called on them.

use std::collections::BTreeMap;

use super::grants::twice;
use super::rules::{is_token, rules};
use super::{At, Decoder, Fields, What, fields, redirect};
use crate::app_path;
use crate::diagnostic::{Invalid, all_of, any_of, quote};
use crate::model::{Command, DEFAULT_CONTENT_TYPE, Function, Route, RouteTarget};
use crate::names::near;
use crate::route_path::{self, Captures, METHODS};
use crate::template::{Template, Variable};

/// Most routes of an app: routes with many suffixes are compared with each other.
const MAX_ROUTES: usize = 1000;
/// Most arguments of a command.
const MAX_ARGS: usize = 256;

/// A route's path and what it captures, if the path is valid.
struct Place<'n> {
    at: At<'n>,
    path: String,
    captures: Captures,
}

/// A route's methods, if they are valid; `None` inside stands for all.
struct Methods<'n> {
    at: Option<At<'n>>,
    names: Option<Vec<String>>,
}

/// `spec.routes`; without the routes in which an error has been said.
pub(super) fn routes(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    functions: &BTreeMap<String, Function>,
) -> Option<Vec<Route>> {
    let items = decoder.items(at)?;
    if items.len() > MAX_ROUTES {
        decoder.error(
            at.path.clone(),
            at.mark(),
            format!(
                "an app has at most {MAX_ROUTES} routes, found {}",
                items.len()
            ),
            Some("let a route with `{*rest}` take many of them".to_owned()),
        );
        return None;
    }
    let mut found = Vec::new();
    // Routes whose target is broken still clash.
    let mut placed = Vec::new();
    for at in items {
        let Some(mut fields) = decoder.fields(&at, fields::ROUTE) else {
            continue;
        };
        let place = fields.need(decoder, "path").and_then(|at| {
            let (path, captures) = decoder.parsed(&at, |text| {
                route_path::check(text).map(|captures| (text.to_owned(), captures))
            })?;
            Some(Place { at, path, captures })
        });
        let methods = match fields.take("methods") {
            Some(at) => methods(decoder, &at).map(|names| Methods {
                at: Some(at),
                names: Some(names),
            }),
            None => Some(Methods {
                at: None,
                names: None,
            }),
        };
        let files = fields.has("static") && !fields.has("function");
        let target = target(
            decoder,
            &at,
            &mut fields,
            place.as_ref(),
            methods.as_ref(),
            functions,
        );
        let rules = rules(decoder, &mut fields, target.as_ref(), functions);
        if let (Some(place), Some(methods)) = (place, methods) {
            if let Some(target) = target {
                found.push(Route {
                    path: place.path.clone(),
                    methods: methods.names.clone(),
                    target,
                    rules,
                });
            }
            // Files take `GET`, and `HEAD` where no other route does, as the gateway has it.
            let names = if files {
                Some(vec!["GET".to_owned()])
            } else {
                methods.names
            };
            placed.push((place, names));
        }
    }
    let clashes = route_path::clashes(
        placed
            .iter()
            .map(|(place, methods)| (place.path.as_str(), methods.as_deref())),
    );
    for clash in clashes {
        let Place { at, path, .. } = &placed[clash.route].0;
        let whom = if clash.with == *path {
            "an earlier route of the same path".to_owned()
        } else {
            format!("the earlier route {}", quote(&clash.with))
        };
        let which = if clash.methods.is_empty() {
            String::new()
        } else {
            format!(" for {}", clash.methods.join(", "))
        };
        decoder.error(
            at.path.clone(),
            at.mark(),
            format!("the route {} clashes with {whom}{which}", quote(path)),
            Some("give one of them another path, or let `methods` tell them apart".to_owned()),
        );
    }
    Some(found)
}

fn methods(decoder: &mut Decoder<'_>, at: &At<'_>) -> Option<Vec<String>> {
    let items = decoder.items(at)?;
    if items.is_empty() {
        decoder.error(
            at.path.clone(),
            at.mark(),
            "the route takes no method".to_owned(),
            Some("name some, or remove `methods` to take all".to_owned()),
        );
        return None;
    }
    let mut found = Vec::new();
    let mut good = true;
    for at in items {
        match decoder.parsed(&at, method) {
            Some(method) if found.contains(&method) => twice(decoder, &at, &method),
            Some(method) => found.push(method),
            None => good = false,
        }
    }
    good.then_some(found)
}

fn method(text: &str) -> Result<String, Invalid> {
    if METHODS.contains(&text) {
        return Ok(text.to_owned());
    }
    let invalid = Invalid::new(format!("unknown method {}", quote(text)));
    Err(match near(text, METHODS) {
        Some(meant) => invalid.help(format!("did you mean `{meant}`?")),
        None => invalid.help(format!(
            "a route names {}; without `methods` it takes every method",
            any_of(&METHODS)
        )),
    })
}

/// What answers.
fn target(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    fields: &mut Fields<'_>,
    place: Option<&Place<'_>>,
    methods: Option<&Methods<'_>>,
    functions: &BTreeMap<String, Function>,
) -> Option<RouteTarget> {
    let command_at = fields.take("command");
    if let (Some(at), false) = (&command_at, fields.has("function")) {
        decoder.error(
            at.path.clone(),
            at.mark(),
            "`command` is for functions, but this route has none".to_owned(),
            Some("remove `command`".to_owned()),
        );
    }
    let mut of = |name| fields.take(name);
    match (of("function"), of("static"), of("redirect")) {
        (Some(function), None, None) => {
            let name = decoder.text(&function);
            let known = name.filter(|name| decoder.reference(&function, What::Function, name));
            let command = command_at.map(|at| {
                let function = name.and_then(|name| functions.get(name));
                not_a_command(decoder, &at, function);
                command(decoder, &at, place.map(|place| &place.captures))
            });
            Some(RouteTarget::Function {
                name: known?.to_owned(),
                command,
            })
        }
        (None, Some(files), None) => {
            not_for_files(decoder, place, methods);
            decoder
                .parsed(&files, app_path::parse)
                .map(RouteTarget::Static)
        }
        (None, None, Some(at)) => {
            redirect::redirect(decoder, &at, place.map(|place| &place.captures))
                .map(RouteTarget::Redirect)
        }
        (None, None, None) => {
            one_target(decoder, at, fields, "none");
            None
        }
        _ => {
            one_target(decoder, at, fields, "several");
            None
        }
    }
}

fn one_target(decoder: &mut Decoder<'_>, at: &At<'_>, fields: &Fields<'_>, found: &str) {
    decoder.error(
        at.path.clone(),
        fields.mark.clone(),
        format!("a route must have one of `function`, `static` and `redirect`, this one has {found}"),
        Some(
            "`function` is the name of a function, `static` a folder or a file, `redirect` another place"
                .to_owned(),
        ),
    );
}

/// Refuses `command` where the function says itself that it is none.
fn not_a_command(decoder: &mut Decoder<'_>, at: &At<'_>, function: Option<&Function>) {
    let world = function.and_then(|function| function.world);
    if let Some(world) = world.filter(|world| !world.is_command()) {
        decoder.error(
            at.path.clone(),
            at.mark(),
            format!("`command` is for commands, but the function's world is `{world}`"),
            Some("remove `command`, or the function's `world`".to_owned()),
        );
    }
}

/// Refuses parameters and methods that files cannot be served by.
fn not_for_files(
    decoder: &mut Decoder<'_>,
    place: Option<&Place<'_>>,
    methods: Option<&Methods<'_>>,
) {
    if let Some(Place { at, captures, .. }) = place
        && captures.names.len() > usize::from(captures.rest)
    {
        decoder.error(
            at.path.clone(),
            at.mark(),
            "a route that serves files has a parameter other than one for the rest".to_owned(),
            Some("end the path in `/{*rest}` to serve a folder, or use no parameter".to_owned()),
        );
    }
    if let Some(Methods {
        at: Some(at),
        names: Some(names),
    }) = methods
        && let Some(name) = names
            .iter()
            .find(|name| !matches!(name.as_str(), "GET" | "HEAD"))
    {
        decoder.error(
            at.path.clone(),
            at.mark(),
            format!("files cannot be served to `{name}`"),
            Some("a route that serves files takes `GET` and `HEAD`".to_owned()),
        );
    }
}

fn command(decoder: &mut Decoder<'_>, at: &At<'_>, captures: Option<&Captures>) -> Command {
    let mut command = Command {
        args: Vec::new(),
        content_type: DEFAULT_CONTENT_TYPE.to_owned(),
    };
    let Some(mut fields) = decoder.fields(at, fields::COMMAND) else {
        return command;
    };
    if let Some(at) = fields.take("args") {
        let items = decoder.items(&at).unwrap_or_default();
        if items.len() > MAX_ARGS {
            decoder.error(
                at.path.clone(),
                at.mark(),
                format!(
                    "a command has at most {MAX_ARGS} arguments, found {}",
                    items.len()
                ),
                None,
            );
        }
        for at in items {
            let Some(template) = decoder.parsed(&at, Template::parse) else {
                continue;
            };
            if let Some(captures) = captures {
                not_captured(decoder, &at, &template, captures);
            }
            command.args.push(template);
        }
    }
    if let Some(at) = fields.take("contentType")
        && let Some(text) = decoder.parsed(&at, content_type)
    {
        command.content_type = text;
    }
    command
}

pub(super) fn not_captured(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    template: &Template,
    captures: &Captures,
) {
    for variable in template.variables() {
        let Variable::Path(name) = variable else {
            continue;
        };
        if captures.names.contains(name) {
            continue;
        }
        let help = match near(name, captures.names.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{{path.{meant}}}`?"),
            None if captures.names.is_empty() => "the route's path captures nothing".to_owned(),
            None => format!("the route's path captures {}", all_of(&captures.names)),
        };
        let message = format!("the route's path does not capture {}", quote(name));
        decoder.error(at.path.clone(), at.mark(), message, Some(help));
    }
}

/// A media type (RFC 9110, section 8.3.1), with or without parameters.
fn content_type(text: &str) -> Result<String, Invalid> {
    let token = |text: &str| !text.is_empty() && text.bytes().all(is_token);
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let essence_is_good = essence
        .trim_end()
        .split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    // The value becomes a header field: a control character there would be another field.
    let parameters_are_good = parameters.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if essence_is_good && parameters_are_good {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new(format!("{} is not a media type", quote(text)))
            .help("a media type is for example `text/plain` or `text/plain; charset=utf-8`"))
    }
}
