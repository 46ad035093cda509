//! The component.

#![allow(unsafe_code, reason = "the macro that exports the component writes it")]

use reads_guest::answer::{self, Broken, Pending};
use reads_guest::objects::{Container, ObjectError};
use reads_guest::problem::Problem;
use reads_guest::query;
use reads_guest::reference::{self, CACHE, GENOMES, LARGEST_INDEX, cached_index};
use reads_simulator::{Builder, fai};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Index;

wasip2::http::proxy::export!(Index);

impl wasip2::exports::http::incoming_handler::Guest for Index {
    fn handle(incoming: IncomingRequest, out: ResponseOutparam) {
        if let Err(broken) = serve(&incoming, Pending::new(out)) {
            eprintln!("{broken}");
        }
    }
}

fn serve(incoming: &IncomingRequest, pending: Pending) -> Result<(), Broken> {
    let target = incoming.path_with_query().unwrap_or_default();
    let made = answer::wants_body(incoming).and_then(|with_body| Ok((make(&target)?, with_body)));
    match made {
        Ok((object, with_body)) => {
            let body = serde_json::json!({ "object": object }).to_string();
            pending.whole("application/json", body.as_bytes(), with_body)
        }
        Err(problem) => pending.problem(&problem),
    }
}

/// Makes sure that the index of a reference is in the cache, and gives its name there.
fn make(target: &str) -> Result<String, Problem> {
    let parameters = query::parse(target, &["reference"])?;
    let Some((_, name)) = parameters.first() else {
        return Err(Problem::bad_request("reference", "reference is missing"));
    };
    let genomes = Container::open(GENOMES).map_err(failed)?;
    let reference = reference::find(&genomes.list().map_err(failed)?, name)?;
    let info = genomes.info(&reference.object).map_err(failed)?;
    let key = cached_index(name, info.size, info.created);
    let cache = Container::open(CACHE).map_err(failed)?;
    // Two requests at once may both build it: they write the same bytes.
    if !cache.has(&key).map_err(failed)? {
        let text = build(&genomes, &reference.object, info.size, name)?;
        cache.write(&key, text.as_bytes()).map_err(failed)?;
    }
    Ok(key)
}

fn build(genomes: &Container, object: &str, size: u64, name: &str) -> Result<String, Problem> {
    let broken = |error| Problem::broken_reference(name, error);
    let mut builder = Builder::new();
    if let Some(last) = size.checked_sub(1) {
        let mut reader = genomes.range(object, 0, last).map_err(failed)?;
        while let Some(piece) = reader.piece().map_err(failed)? {
            builder.push(&piece).map_err(broken)?;
        }
    }
    let text = fai::format(&builder.finish().map_err(broken)?);
    if text.len() as u64 > LARGEST_INDEX {
        let detail = format!(
            "its index would have {} bytes, more than {LARGEST_INDEX}",
            text.len()
        );
        return Err(Problem::broken_reference(name, detail));
    }
    Ok(text)
}

fn failed(error: ObjectError) -> Problem {
    Problem::unreachable("the object store", error)
}
