//! Functions: source, world, limits, instances, configuration.

use std::collections::BTreeMap;

use super::app::key_name;
use super::quantity::{count, duration, size};
use super::{At, Decoder, fields, grants};
use crate::app_path;
use crate::diagnostic::{Invalid, all_of, quote};
use crate::model::{Function, Instance, Limits, Source, World, bounds};
use crate::names::{check_env_name, near};

/// `spec.functions`; without the functions in which an error has been said.
pub(super) fn functions(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
) -> Option<BTreeMap<String, Function>> {
    let entries = decoder.entries(at)?;
    // All names first: functions may call each other in any order.
    for (name, at) in &entries {
        key_name(decoder, name, at);
        decoder.functions.insert((*name).to_owned());
    }
    let mut found = BTreeMap::new();
    for (name, at) in entries {
        if let Some(function) = function(decoder, name, &at) {
            found.insert(name.to_owned(), function);
        }
    }
    Some(found)
}

fn function(decoder: &mut Decoder<'_>, name: &str, at: &At<'_>) -> Option<Function> {
    let mut fields = decoder.fields(at, fields::FUNCTION)?;
    let source = fields
        .need(decoder, "source")
        .and_then(|at| source(decoder, &at));
    let world = fields.take("world").map(|at| decoder.parsed(&at, world));
    let weight = fields
        .take("weight")
        .and_then(|at| count(decoder, &at, bounds::WEIGHT));
    let limits = fields.take("limits").map(|at| limits(decoder, &at));
    let instance = fields.take("instance").map(|at| instance(decoder, &at));
    let grants = fields
        .take("grants")
        .map(|at| grants::grants(decoder, name, &at));
    let config = fields
        .take("config")
        .map(|at| values(decoder, &at, config_key));
    let env = fields
        .take("env")
        .map(|at| values(decoder, &at, check_env_name));
    Some(Function {
        source: source?,
        world: match world {
            Some(world) => Some(world?),
            None => None,
        },
        weight: weight.unwrap_or(Function::WEIGHT),
        limits: limits.unwrap_or_default(),
        instance: instance.unwrap_or_default(),
        grants: grants.unwrap_or_default(),
        config: config.unwrap_or_default(),
        env: env.unwrap_or_default(),
    })
}

fn source(decoder: &mut Decoder<'_>, at: &At<'_>) -> Option<Source> {
    let mut fields = decoder.fields(at, fields::SOURCE)?;
    let mark = fields.mark.clone();
    match (fields.take("cargo"), fields.take("file")) {
        (Some(at), None) => decoder.parsed(&at, app_path::parse).map(Source::Cargo),
        (None, Some(at)) => decoder.parsed(&at, app_path::parse).map(Source::File),
        (cargo, _) => {
            let found = if cargo.is_some() {
                "has both"
            } else {
                "has neither"
            };
            decoder.error(
                at.path.clone(),
                mark,
                format!("`source` must have either `cargo` or `file`, it {found}"),
                Some(
                    "`cargo` is the folder of a Cargo package, `file` a component or module"
                        .to_owned(),
                ),
            );
            None
        }
    }
}

fn world(text: &str) -> Result<World, Invalid> {
    let names = World::ALL.map(World::as_str);
    World::parse(text).ok_or_else(|| {
        let invalid = Invalid::new(format!("unknown world {}", quote(text)));
        match near(text, names) {
            Some(meant) => invalid.help(format!("did you mean `{meant}`?")),
            None => invalid.help(format!("the worlds are {}", all_of(&names))),
        }
    })
}

fn limits(decoder: &mut Decoder<'_>, at: &At<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(mut fields) = decoder.fields(at, fields::LIMITS) else {
        return limits;
    };
    if let Some(memory) = fields
        .take("memory")
        .and_then(|at| size(decoder, &at, bounds::MEMORY))
    {
        limits.memory = memory;
    }
    if let Some(cpu) = fields.take("cpu").and_then(|at| duration(decoder, &at)) {
        limits.cpu = cpu;
    }
    if let Some(wall) = fields.take("wall").and_then(|at| duration(decoder, &at)) {
        limits.wall = wall;
    }
    if let Some(concurrency) = fields
        .take("concurrency")
        .and_then(|at| count(decoder, &at, bounds::CONCURRENCY))
    {
        limits.concurrency = concurrency;
        limits.queue = concurrency;
    }
    if let Some(queue) = fields
        .take("queue")
        .and_then(|at| count(decoder, &at, bounds::QUEUE))
    {
        limits.queue = queue;
    }
    if let Some(body) = fields
        .take("body")
        .and_then(|at| size(decoder, &at, bounds::BODY))
    {
        limits.body = body;
    }
    limits
}

fn instance(decoder: &mut Decoder<'_>, at: &At<'_>) -> Instance {
    let mut instance = Instance::default();
    let Some(mut fields) = decoder.fields(at, fields::INSTANCE) else {
        return instance;
    };
    let mut known = true;
    if let Some(at) = fields.take("reuse") {
        match count(decoder, &at, bounds::REUSE) {
            Some(reuse) => instance.reuse = reuse,
            None => known = false,
        }
    }
    if let Some(at) = fields.take("concurrency")
        && let Some(concurrency) = count(decoder, &at, bounds::INSTANCE_CONCURRENCY)
    {
        instance.concurrency = concurrency;
        if known && concurrency > instance.reuse {
            let reuse = instance.reuse;
            decoder.error(
                at.path.clone(),
                at.mark(),
                format!("an instance cannot serve {concurrency} requests at once when it serves {reuse} in all"),
                Some(format!("set `reuse` to at least {concurrency}, or lower `concurrency`")),
            );
        }
    }
    instance
}

/// `config` and `env`: texts by key.
fn values(
    decoder: &mut Decoder<'_>,
    at: &At<'_>,
    check_key: fn(&str) -> Result<(), Invalid>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, at) in decoder.entries(at).unwrap_or_default() {
        if let Err(invalid) = check_key(key) {
            let range = at.key.clone().unwrap_or_else(|| at.mark());
            decoder.error(at.path.clone(), range, invalid.message, invalid.help);
        }
        let value = decoder.parsed(&at, |value| {
            if value.contains('\0') {
                Err(Invalid::new(format!(
                    "the value of {} holds a zero byte",
                    quote(key)
                )))
            } else {
                Ok(value.to_owned())
            }
        });
        if let Some(value) = value {
            found.insert(key.to_owned(), value);
        }
    }
    found
}

fn config_key(key: &str) -> Result<(), Invalid> {
    if key.is_empty() || key.contains(char::is_control) {
        Err(
            Invalid::new(format!("{} is not a key of a configuration", quote(key)))
                .help("a key has at least one character, and no control characters"),
        )
    } else {
        Ok(())
    }
}
