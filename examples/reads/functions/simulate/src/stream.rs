//! Simulates what was planned, and streams it.

use reads_guest::problem::Problem;
use reads_guest::reference::Reference;
use reads_guest::sink::{PIECE, Sink};
use reads_simulator::{
    Diploid, Loader, Mates, Pairs, Rng, Rows, Sequence, Template, fai::Entry, mutate,
};
use strand_sdk::blobs::Bucket;
use strand_sdk::http::Broken;

use crate::plan::Plan;
use crate::request::Request;
use crate::store;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// The reads.
    Reads,
    /// The variants.
    Variants,
}

/// How a stream ended early.
pub(crate) enum Failure {
    /// With a problem of our side.
    Problem(Problem),
    /// With the client's going away.
    Broken(Broken),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Simulates the sequences of a plan, one after the other, in the same memory.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(
    genomes: &Bucket,
    reference: &Reference,
    request: &Request,
    plan: &Plan,
    output: Output,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let params = &request.params;
    let mut rng = Rng::new(params.seed);
    let longest = plan
        .steps
        .iter()
        .map(|step| step.entry.length)
        .max()
        .unwrap_or(0);
    // Both for the longest sequence, as `memory_needed` counts: what grew in between would need its
    // old and its new memory at once.
    let mut sequence = Sequence::with_capacity(longest as usize);
    let mut diploid = Diploid::with_capacity(longest as usize, params);
    for (k, step) in plan.steps.iter().enumerate() {
        let name = step.entry.name.as_str();
        sequence = load(genomes, reference, &step.entry, sequence)?;
        diploid = mutate(&sequence, params, &mut rng, diploid);
        if output == Output::Variants {
            rows(name, &sequence, &diploid, sink)?;
            // The next sequence's variants come after this one's reads in the random numbers.
            if k + 1 == plan.steps.len() {
                break;
            }
        }
        let mates = if output == Output::Reads {
            request.mates
        } else {
            Mates::Neither
        };
        let template = Template::whole(name, &sequence, &diploid);
        let pairs = Pairs::new(template, 0..step.pairs, params, mates, &mut rng);
        records(pairs, sink)?;
    }
    Ok(())
}

fn load(
    genomes: &Bucket,
    reference: &Reference,
    entry: &Entry,
    reuse: Sequence,
) -> Result<Sequence, Problem> {
    let broken = |error| Problem::broken_reference(&reference.name, error);
    let mut loader = Loader::new(entry, reuse);
    if let Some(last) = entry.last_byte() {
        let reader = genomes.range(&reference.object, entry.offset, last);
        let mut reader = reader.map_err(store::failed)?;
        while let Some(piece) = reader.piece().map_err(store::failed)? {
            loader.push(&piece).map_err(broken)?;
        }
    }
    loader.finish().map_err(broken)
}

fn rows(
    name: &str,
    sequence: &Sequence,
    diploid: &Diploid,
    sink: &mut Sink<'_>,
) -> Result<(), Broken> {
    let mut rows = Rows::new(name, sequence, diploid);
    while rows.fill(&mut sink.collected, PIECE) {
        sink.pass_on()?;
    }
    sink.pass_on()
}

fn records(mut pairs: Pairs<'_>, sink: &mut Sink<'_>) -> Result<(), Failure> {
    loop {
        let more = pairs.fill(&mut sink.collected, PIECE);
        let more = more.map_err(|stuck| Problem::bad_request("distance", stuck.to_string()))?;
        sink.pass_on()?;
        if !more {
            return Ok(());
        }
    }
}
