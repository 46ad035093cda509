//! Windowed mode: cuts the work into units, has the function `windows` do several at once, and passes
//! their bytes on in order. Where these are compressed it is they who do it.

use std::fmt::Display;

use reads_guest::problem::Problem;
use reads_guest::sink::Sink;
use reads_guest::work::{FUNCTION, Work};
use strand_sdk::functions::{self, Ahead, Turn};

use crate::coding::Coding;
use crate::plan::{Plan, Step};
use crate::request::Request;
use crate::store;
use crate::stream::{Failure, Output};

/// Bytes of a unit that are kept until it is its turn: all of them, but where names or reads are very
/// long.
const AHEAD: usize = 3 << 20;

/// Has the windows of a plan simulated, `parallel` units at once.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(
    object: &str,
    request: &Request,
    plan: &Plan,
    output: Output,
    parallel: usize,
    mut coding: Coding,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let works: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            let packed = coding.is_packed();
            (work(object, request, step, output, packed), step)
        })
        .collect();
    let targets = works.iter().flat_map(|(work, step)| {
        let units = work.grid().units(step.windows.clone());
        units.map(|unit| work.target(&unit))
    });
    let ahead = Ahead {
        calls: parallel,
        bytes: AHEAD,
    };
    let mut calls = functions::in_order(FUNCTION, targets, ahead);
    sink.write(coding.head().to_vec())?;
    while let Some(turn) = calls.next().map_err(failed)? {
        pass_on(turn, &mut coding, sink)?;
    }
    Ok(sink.write(coding.end().map_err(failed)?)?)
}

fn work(object: &str, request: &Request, step: &Step, output: Output, packed: bool) -> Work {
    Work {
        object: object.to_owned(),
        entry: step.entry.clone(),
        pairs: (output == Output::Reads).then_some(step.pairs),
        mates: request.mates,
        params: request.params.clone(),
        packed,
    }
}

/// Passes an answer on.
fn pass_on<I: Iterator<Item = String>>(
    mut turn: Turn<'_, I>,
    coding: &mut Coding,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let status = turn.status();
    if status != 200 {
        let body = turn.read(store::LONGEST_PROBLEM).map_err(failed)?;
        return Err(store::problem_of(FUNCTION, status, &body).into());
    }
    while let Some(piece) = turn.piece().map_err(failed)? {
        sink.write(coding.piece(piece).map_err(failed)?)?;
    }
    Ok(())
}

fn failed(error: impl Display) -> Failure {
    Problem::unreachable("function windows", error).into()
}
