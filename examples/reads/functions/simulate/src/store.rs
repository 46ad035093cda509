//! References and their indexes in the object store.

use reads_guest::call;
use reads_guest::objects::{Container, ObjectError};
use reads_guest::problem::Problem;
use reads_guest::reference::{CACHE, GENOMES, LARGEST_INDEX, Reference, cached_index};
use reads_simulator::fai::{self, Entry};

/// The container with the genomes.
///
/// # Errors
/// A problem when the store cannot be reached.
pub(crate) fn genomes() -> Result<Container, Problem> {
    Container::open(GENOMES).map_err(failed)
}

/// The names of its objects.
///
/// # Errors
/// A problem when the store cannot be reached.
pub(crate) fn objects(genomes: &Container) -> Result<Vec<String>, Problem> {
    genomes.list().map_err(failed)
}

/// The index of a reference: the one beside it, or else the one in the cache, which the function
/// `index` builds if it is missing.
///
/// # Errors
/// A problem when the store or that function cannot be reached, or the index is broken.
pub(crate) fn index(genomes: &Container, reference: &Reference) -> Result<Vec<Entry>, Problem> {
    let text = match &reference.index {
        Some(index) => genomes.read(index, LARGEST_INDEX).map_err(failed)?,
        None => cached(genomes, reference)?,
    };
    fai::parse(&text).map_err(|error| Problem::broken_reference(&reference.name, error))
}

fn cached(genomes: &Container, reference: &Reference) -> Result<Vec<u8>, Problem> {
    let info = genomes.info(&reference.object).map_err(failed)?;
    let key = cached_index(&reference.name, info.size, info.created);
    let cache = Container::open(CACHE).map_err(failed)?;
    if !cache.has(&key).map_err(failed)? {
        build(&reference.name)?;
    }
    cache.read(&key, LARGEST_INDEX).map_err(failed)
}

/// Has the index built.
fn build(reference: &str) -> Result<(), Problem> {
    let query = reads_guest::query::encode(&[("reference", reference)]);
    let (status, body) = call::get("index", &format!("/?{query}"))
        .map_err(|error| Problem::unreachable("function index", error))?;
    if status == 200 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&body);
    let said =
        reads_guest::problem::detail(&body).unwrap_or_else(|| said.chars().take(500).collect());
    Err(Problem::broken_reference(
        reference,
        format!("building its index ended with {status}: {said}"),
    ))
}

pub(crate) fn failed(error: ObjectError) -> Problem {
    Problem::unreachable("the object store", error)
}
