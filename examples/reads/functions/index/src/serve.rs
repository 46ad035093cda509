//! The component.

use reads_guest::problem::Problem;
use reads_guest::reference::{self, CACHE, GENOMES, LARGEST_INDEX, cached_index};
use reads_guest::{answer, query};
use reads_simulator::{Builder, fai};
use strand_sdk::blobs::{BlobError, Bucket};
use strand_sdk::http::{Broken, Request, Responder};

strand_sdk::http!(serve);

fn serve(incoming: Request, responder: Responder) -> Result<(), Broken> {
    match answer::check_method(&incoming).and_then(|()| make(incoming.target())) {
        Ok(object) => responder.json(serde_json::json!({ "object": object }).to_string()),
        Err(problem) => answer::problem(responder, &incoming, problem),
    }
}

/// Makes sure that the index of a reference is in the cache, and gives its name there.
fn make(target: &str) -> Result<String, Problem> {
    let parameters = query::parse(target, &["reference"])?;
    let Some((_, name)) = parameters.first() else {
        return Err(Problem::bad_request("reference", "reference is missing"));
    };
    let genomes = Bucket::open(GENOMES).map_err(failed)?;
    let reference = reference::find(&genomes.list().map_err(failed)?, name)?;
    let info = genomes.info(&reference.object).map_err(failed)?;
    let key = cached_index(name, info.size, info.created);
    let cache = Bucket::open(CACHE).map_err(failed)?;
    // Requests come one after the other (`concurrency: 1`), so that of several for one reference the
    // first builds the index and the others find it. Another node may build it too: it writes the
    // same bytes.
    if !cache.has(&key).map_err(failed)? {
        let text = build(&genomes, &reference.object, info.size, name)?;
        cache.write(&key, text.as_bytes()).map_err(failed)?;
    }
    Ok(key)
}

fn build(genomes: &Bucket, object: &str, size: u64, name: &str) -> Result<String, Problem> {
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

fn failed(error: BlobError) -> Problem {
    Problem::unreachable("the object store", error)
}
