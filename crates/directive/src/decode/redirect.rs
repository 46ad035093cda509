//! Routes that send their clients elsewhere.

use super::route::not_captured;
use super::{At, Decoder, fields};
use crate::diagnostic::{Invalid, any_of, quote};
use crate::http_rule::is_host_and_port;
use crate::model::Redirect;
use crate::route_path::Captures;
use crate::template::{Template, Variable};
use crate::yaml::Scalar;

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

pub(super) fn redirect(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    captures: Option<&Captures>,
) -> Option<Redirect> {
    let mut fields = decoder.fields(at, fields::REDIRECT)?;
    let to = fields.need(decoder, "to").and_then(|at| {
        let to = decoder.parsed(&at, place)?;
        if let Some(captures) = captures {
            not_captured(decoder, &at, &to, captures);
        }
        Some(to)
    });
    let status = fields.take("status").map(|at| status(decoder, &at));
    Some(Redirect {
        to: to?,
        status: status.unwrap_or(Some(Redirect::STATUS))?,
    })
}

fn status(decoder: &mut Decoder<'_>, at: &At<'_>) -> Option<u16> {
    let Some(Scalar::Integer(number)) = at.node.scalar() else {
        decoder.wrong_type(at, "a status such as `308`", None);
        return None;
    };
    let found = number
        .and_then(|number| u16::try_from(number).ok())
        .filter(|number| STATUSES.contains(number));
    if found.is_none() {
        let known = any_of(&STATUSES.map(|status| status.to_string()));
        decoder.error(
            at.path.clone(),
            at.mark(),
            format!("a redirect has the status {known}"),
            Some("301 and 308 are for good; 307 and 308 keep the method".to_owned()),
        );
    }
    found
}

/// A path, or a URL whose host nothing of the request can change.
fn place(text: &str) -> Result<Template, Invalid> {
    let template = Template::parse(text)?;
    let query = |variable: &&Variable| matches!(variable, Variable::Query(_));
    if let Some(variable) = template.variables().find(query) {
        return Err(Invalid::new(format!(
            "a redirect cannot hold {}",
            quote(&format!("{{{variable}}}"))
        ))
        .help("the request's query goes along by itself, unless there is one in `to`"));
    }
    if let Some(odd) = text.chars().find(|c| !('!'..='~').contains(c)) {
        return Err(Invalid::new(format!("{} holds a {odd:?}", quote(text)))
            .help("other characters than visible ASCII ones are percent-encoded"));
    }
    let start = template.literal_start();
    let path = match start
        .strip_prefix("https://")
        .or(start.strip_prefix("http://"))
    {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (host, path) = rest.split_at(end);
            // What follows a bare host could become a part of it.
            let whole = path.starts_with('/') || start.len() == text.len();
            (whole && is_host_and_port(host)).then_some(path)
        }
        None => Some(start).filter(|path| path.starts_with('/')),
    };
    // `//host` is another host, and browsers take `/\host` for it too.
    let elsewhere = |path: &str| path.starts_with("//") || path.starts_with("/\\");
    match path {
        Some(path) if !(elsewhere(path) && start == path) => Ok(template),
        _ => Err(Invalid::new(format!("{} is no place to go to", quote(text)))
            .help("write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`")),
    }
}
