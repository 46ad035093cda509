//! The component.

use std::ops::Range;

use reads_guest::answer;
use reads_guest::problem::Problem;
use reads_guest::reference::GENOMES;
use reads_guest::work::Work;
use reads_simulator::{Grid, Loader, Part, Place, Sequence};
use strand_sdk::blobs::{BlobError, Bucket};
use strand_sdk::http::{Answer, Broken, Request, Responder};

strand_sdk::http!(serve);

/// Bytes that are collected before they are sent.
const PIECE: usize = 64 * 1024;

fn serve(incoming: Request, responder: Responder) -> Result<(), Broken> {
    let loaded = answer::check_method(&incoming)
        .and_then(|()| Work::parse(incoming.target()))
        .and_then(|(work, unit)| load(&work, &unit).map(|sequence| (work, unit, sequence)));
    let (work, unit, (sequence, held)) = match loaded {
        Ok(loaded) => loaded,
        Err(problem) => return answer::problem(responder, &incoming, problem),
    };
    let part = Part::new(work.grid(), &sequence, held);
    let mut out = Out {
        responder: Some(responder),
        answer: None,
        collected: Vec::with_capacity(2 * PIECE),
    };
    match simulate(&work, &part, unit, &mut out)? {
        Ok(()) => out.finish(),
        Err(problem) => match out.responder {
            Some(responder) => answer::problem(responder, &incoming, problem),
            None => {
                eprintln!("{}", problem.detail);
                // Dropping the answer without its end aborts it.
                Ok(())
            }
        },
    }
}

/// The answer. It begins with its first bytes, so that what goes wrong before can still be told.
struct Out {
    responder: Option<Responder>,
    answer: Option<Answer>,
    collected: Vec<u8>,
}

impl Out {
    fn send(&mut self) -> Result<(), Broken> {
        if let Some(responder) = self.responder.take() {
            let fields = [("content-type", "application/octet-stream")];
            self.answer = Some(responder.start(200, &fields)?);
        }
        if let Some(answer) = &mut self.answer {
            answer.write_all(&self.collected)?;
        }
        self.collected.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(), Broken> {
        self.send()?;
        self.answer.map_or(Ok(()), Answer::finish)
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
    out: &mut Out,
) -> Result<Result<(), Problem>, Broken> {
    for place in work.grid().places(unit) {
        if work.pairs.is_none() {
            let mut rows = part.rows(place.window);
            while rows.fill(&mut out.collected, PIECE) {
                out.send()?;
            }
            continue;
        }
        let mut rng = part.rng(place);
        let mut pairs = part.pairs(place, work.mates, &mut rng);
        loop {
            match pairs.fill(&mut out.collected, PIECE) {
                Ok(true) => out.send()?,
                Ok(false) => break,
                Err(stuck) => return Ok(Err(Problem::bad_request("distance", stuck.to_string()))),
            }
        }
    }
    Ok(Ok(()))
}

fn failed(error: BlobError) -> Problem {
    Problem::unreachable("the object store", error)
}
