//! References and their indexes in the object store.

use reads_guest::problem::Problem;
use reads_guest::reference::{CACHE, GENOMES, LARGEST_INDEX, Reference, cached_index};
use reads_simulator::fai::{self, Entry};
use strand_sdk::blobs::{BlobError, Bucket};
use strand_sdk::functions;
use wasip2::clocks::monotonic_clock;

use crate::patience::until_made;

/// The longest problem of another function that is read, in bytes.
pub(crate) const LONGEST_PROBLEM: usize = 64 * 1024;

/// The bucket with the genomes.
///
/// # Errors
/// A problem when the store cannot be reached.
pub(crate) fn genomes() -> Result<Bucket, Problem> {
    Bucket::open(GENOMES).map_err(failed)
}

/// The names of its objects.
///
/// # Errors
/// A problem when the store cannot be reached.
pub(crate) fn objects(genomes: &Bucket) -> Result<Vec<String>, Problem> {
    genomes.list().map_err(failed)
}

/// The index of a reference: the one beside it, or else the one in the cache, which the function
/// `index` builds if it is missing.
///
/// # Errors
/// A problem when the store or that function cannot be reached, or the index is broken.
pub(crate) fn index(genomes: &Bucket, reference: &Reference) -> Result<Vec<Entry>, Problem> {
    let text = match &reference.index {
        Some(index) => genomes.read(index, LARGEST_INDEX).map_err(failed)?,
        None => cached(genomes, reference)?,
    };
    fai::parse(&text).map_err(|error| Problem::broken_reference(&reference.name, error))
}

fn cached(genomes: &Bucket, reference: &Reference) -> Result<Vec<u8>, Problem> {
    let info = genomes.info(&reference.object).map_err(failed)?;
    let key = cached_index(&reference.name, info.size, info.created);
    let cache = Bucket::open(CACHE).map_err(failed)?;
    if !cache.has(&key).map_err(failed)? {
        build(&cache, &key, &reference.name)?;
    }
    cache.read(&key, LARGEST_INDEX).map_err(failed)
}

/// Has the index built. While too many others want one, it waits a while for a turn, or for the
/// index that one of them builds.
fn build(cache: &Bucket, key: &str, reference: &str) -> Result<(), Problem> {
    let wait = |pause: u64| monotonic_clock::subscribe_duration(pause * 1_000_000).block();
    until_made(|| ask(reference), || cache.has(key).map_err(failed), wait)
}

/// Asks the function `index` for the index of a reference. Its problem is ours.
fn ask(reference: &str) -> Result<(), Problem> {
    let unreachable = |detail: String| Problem::unreachable("function index", detail);
    let query = reads_guest::query::encode(&[("reference", reference)]);
    let reply = functions::get("index", &format!("/?{query}"))
        .map_err(|error| unreachable(error.to_string()))?;
    let status = reply.status();
    if status == 200 {
        return Ok(());
    }
    let body = reply
        .read(LONGEST_PROBLEM)
        .map_err(|error| unreachable(error.to_string()))?;
    let mut problem = problem_of("index", status, &body);
    if problem.limit.is_some() {
        // Else it would read like a limit of this function.
        problem.detail = format!("building the index of {reference}: {}", problem.detail);
    }
    Err(problem)
}

/// What another function answered with instead of what was wanted.
pub(crate) fn problem_of(function: &str, status: u16, body: &[u8]) -> Problem {
    Problem::received(status, body).unwrap_or_else(|| {
        let detail = format!("it answered {status} without saying why");
        Problem::unreachable(&format!("function {function}"), detail)
    })
}

pub(crate) fn failed(error: BlobError) -> Problem {
    Problem::unreachable("the object store", error)
}
