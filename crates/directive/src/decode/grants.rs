//! What a function may reach.

use std::collections::BTreeSet;

use super::{At, Decoder, What, fields};
use crate::diagnostic::{Invalid, quote};
use crate::http_rule::HttpRule;
use crate::model::{Access, Grants};
use crate::names::near;

pub(super) fn grants(decoder: &mut Decoder<'_>, function: &str, at: &At<'_>) -> Grants {
    let mut grants = Grants::default();
    let Some(mut fields) = decoder.fields(at, fields::GRANTS) else {
        return grants;
    };
    if let Some(at) = fields.take("blobs") {
        blobs(decoder, &at, &mut grants);
    }
    if let Some(at) = fields.take("http") {
        let mut seen = BTreeSet::new();
        for at in decoder.items(&at).unwrap_or_default() {
            let Some(rule) = decoder.parsed(&at, HttpRule::parse) else {
                continue;
            };
            if seen.insert(rule.clone()) {
                grants.http.push(rule);
            } else {
                twice(decoder, &at, &rule.to_string());
            }
        }
    }
    if let Some(at) = fields.take("functions") {
        for at in decoder.items(&at).unwrap_or_default() {
            let Some(name) = decoder.text(&at) else {
                continue;
            };
            let known = if name == function {
                // A function that only calls itself is still one that nothing calls.
                true
            } else {
                decoder.reference(&at, What::Function, name)
            };
            if known && !grants.functions.insert(name.to_owned()) {
                twice(decoder, &at, name);
            }
        }
    }
    grants
}

fn blobs(decoder: &mut Decoder<'_>, at: &At<'_>, grants: &mut Grants) {
    for (name, at) in decoder.entries(at).unwrap_or_default() {
        decoder.reference(&at, What::Blobs, name);
        let Some(items) = decoder.items(&at) else {
            continue;
        };
        if items.is_empty() {
            decoder.error(
                at.path.clone(),
                at.mark(),
                format!("the grant of {} allows nothing", quote(name)),
                Some("write `[read]`, `[write]` or `[read, write]`, or remove it".to_owned()),
            );
        }
        let mut accesses = BTreeSet::new();
        for at in items {
            let Some(access) = decoder.parsed(&at, access) else {
                continue;
            };
            if !accesses.insert(access) {
                twice(decoder, &at, access.as_str());
            }
        }
        grants.blobs.insert(name.to_owned(), accesses);
    }
}

fn access(text: &str) -> Result<Access, Invalid> {
    Access::parse(text).ok_or_else(|| {
        let invalid = Invalid::new(format!("unknown access {}", quote(text)));
        match near(text, ["read", "write"]) {
            Some(meant) => invalid.help(format!("did you mean `{meant}`?")),
            None => invalid.help("access is `read` or `write`"),
        }
    })
}

/// An entry of a list that is there already.
pub(super) fn twice(decoder: &mut Decoder<'_>, at: &At<'_>, entry: &str) {
    decoder.error(
        at.path.clone(),
        at.mark(),
        format!("{} is in the list twice", quote(entry)),
        Some("remove one of them".to_owned()),
    );
}
