//! The component.

use std::ops::Range;

use reads_guest::answer;
use reads_guest::bgzf::{self, Packer};
use reads_guest::problem::Problem;
use reads_guest::reference::GENOMES;
use reads_guest::sink::{PIECE, Sink};
use reads_guest::work::Work;
use reads_simulator::{Grid, Loader, Part, Place, Sequence};
use strand_sdk::blobs::{BlobError, Bucket};
use strand_sdk::http::{Broken, Request, Responder};

strand_sdk::http!(serve);

fn serve(incoming: Request, responder: Responder) -> Result<(), Broken> {
    let loaded = answer::check_method(&incoming)
        .and_then(|()| Work::parse(incoming.target()))
        .and_then(|(work, unit)| load(&work, &unit).map(|sequence| (work, unit, sequence)));
    let (work, unit, (sequence, held)) = match loaded {
        Ok(loaded) => loaded,
        Err(problem) => return answer::problem(responder, &incoming, problem),
    };
    let part = Part::new(work.grid(), &sequence, held);
    let mut sink = Sink::new(
        responder,
        vec![("content-type", "application/octet-stream")],
    );
    if work.packed {
        let mut packer = Packer::new();
        sink = sink.changed(bgzf::MOST, move |bytes| packer.pack(bytes));
    }
    match simulate(&work, &part, unit, &mut sink)? {
        Ok(()) => sink.finish(),
        Err(problem) => match sink.into_responder() {
            Some(responder) => answer::problem(responder, &incoming, problem),
            None => {
                eprintln!("{}", problem.detail);
                // Dropping the answer without its end aborts it.
                Ok(())
            }
        },
    }
}

/// Loads what a unit needs of its sequence: the bases, and which they are.
fn load(work: &Work, unit: &Range<Place>) -> Result<(Sequence, Range<u64>), Problem> {
    let held = work.grid().held(Grid::touched(unit));
    let broken = |error| Problem::broken_reference(&work.entry.name, error);
    let genomes = Bucket::open(GENOMES).map_err(failed)?;
    let (first, last) = (
        work.entry.offset_of(held.start),
        work.entry.offset_of(held.end - 1),
    );
    let mut reader = genomes.range(&work.object, first, last).map_err(failed)?;
    let mut loader = Loader::part(&work.entry, held.clone(), Sequence::default());
    while let Some(piece) = reader.piece().map_err(failed)? {
        loader.push(&piece).map_err(broken)?;
    }
    Ok((loader.finish().map_err(broken)?, held))
}

fn simulate(
    work: &Work,
    part: &Part<'_>,
    unit: Range<Place>,
    sink: &mut Sink<'_>,
) -> Result<Result<(), Problem>, Broken> {
    for place in work.grid().places(unit) {
        if work.pairs.is_none() {
            let mut rows = part.rows(place.window);
            while rows.fill(&mut sink.collected, PIECE) {
                sink.pass_on()?;
            }
            continue;
        }
        let mut rng = part.rng(place);
        let mut pairs = part.pairs(place, work.mates, &mut rng);
        loop {
            match pairs.fill(&mut sink.collected, PIECE) {
                Ok(true) => sink.pass_on()?,
                Ok(false) => break,
                Err(stuck) => {
                    let problem = Problem::bad_request("distance", stuck.to_string());
                    return Ok(Err(problem));
                }
            }
        }
    }
    Ok(Ok(()))
}

fn failed(error: BlobError) -> Problem {
    Problem::unreachable("the object store", error)
}
