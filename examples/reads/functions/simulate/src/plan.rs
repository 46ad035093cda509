//! Which sequences are simulated, and with how many pairs, before anything is read of them.

use std::ops::Range;

use reads_guest::problem::Problem;
use reads_simulator::fai::Entry;
use reads_simulator::{Grid, LONGEST_REACH, Params, WINDOW, memory_needed, share};

use crate::request::{Mode, Request};

/// The variable of the environment with the function's memory in MiB. It has to agree with the limit
/// in the Directive, which a function is not told.
pub const MEMORY_VARIABLE: &str = "READS_MEMORY_MIB";

/// The function's memory in bytes, from the variable's value: 128 MiB, the Directive's default,
/// without one.
///
/// # Errors
/// A problem when it is not a whole number from 16 to 4096.
pub fn memory(given: Option<&str>) -> Result<u64, Problem> {
    let Some(given) = given else {
        return Ok(128 << 20);
    };
    match given.parse::<u64>() {
        Ok(mib @ 16..=4096) => Ok(mib << 20),
        _ => Err(Problem::misconfigured(format!(
            "{MEMORY_VARIABLE} must be a whole number from 16 to 4096 (MiB), but is {given:?}; correct \
             it in the Directive's env"
        ))),
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The sequences in their order, each with its pairs.
    pub steps: Vec<Step>,
    /// Sequences that are too short for the distance.
    pub skipped: usize,
}

/// A sequence to simulate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it is.
    pub entry: Entry,
    /// Its pairs.
    pub pairs: u64,
    /// Those of its windows that are wanted: in exact mode all of it is.
    pub windows: Range<u64>,
}

/// Plans a request on a reference with these sequences, within `memory` bytes.
///
/// # Errors
/// A 404 for a sequence that is not there, or a 400 for reads that do not fit into a sequence or a
/// sequence that does not fit into the memory.
pub fn plan(request: &Request, entries: Vec<Entry>, memory: u64) -> Result<Plan, Problem> {
    let beside = index_memory(&entries);
    let chosen = choose(request, entries)?;
    let params = &request.params;
    if request.mode != Mode::Exact {
        check_reach(params)?;
    }
    let total = chosen.iter().map(|entry| entry.length).sum();
    let count = chosen.len();
    let mut steps = Vec::with_capacity(count);
    for entry in chosen
        .into_iter()
        .filter(|e| e.length >= params.shortest_sequence().max(1))
    {
        check_reads(params, &entry)?;
        let windows = match &request.mode {
            Mode::Exact => {
                check_memory(params, &entry, beside, memory)?;
                0..entry.length.div_ceil(WINDOW)
            }
            Mode::Windowed { start, stop, .. } => windows(*start, *stop, count, &entry)?,
        };
        let pairs = share(entry.length, total, params.pairs);
        steps.push(Step {
            entry,
            pairs,
            windows,
        });
    }
    Ok(Plan {
        skipped: count - steps.len(),
        steps,
    })
}

fn choose(request: &Request, entries: Vec<Entry>) -> Result<Vec<Entry>, Problem> {
    let Some(chrom) = &request.chrom else {
        return Ok(entries);
    };
    match entries.iter().position(|entry| entry.name == *chrom) {
        Some(index) => Ok(entries.into_iter().skip(index).take(1).collect()),
        None => Err(Problem::not_found(
            format!(
                "reference {} has no sequence named {chrom}; those it has are listed",
                request.reference
            ),
            entries.into_iter().map(|entry| entry.name).collect(),
        )),
    }
}

/// The windows of a sequence from base `start` to base `stop`. It is one of so many.
fn windows(
    start: Option<u64>,
    stop: Option<u64>,
    sequences: usize,
    entry: &Entry,
) -> Result<Range<u64>, Problem> {
    let (length, name) = (entry.length, &entry.name);
    for (field, base) in [("start", start), ("stop", stop)] {
        let Some(base) = base else { continue };
        if sequences > 1 {
            let detail = format!("{field} is a place in one sequence: name it with chrom");
            return Err(Problem::bad_request(field, detail));
        }
        if base > length || (base % WINDOW != 0 && base != length) {
            let detail = format!(
                "{field} must be a multiple of {WINDOW}, or {length}, the length of sequence {name}"
            );
            return Err(Problem::bad_request(field, detail));
        }
    }
    let (start, stop) = (start.unwrap_or(0), stop.unwrap_or(length));
    if start >= stop {
        let detail = format!("stop must be more than start, but is {stop}, and start {start}");
        return Err(Problem::bad_request("stop", detail));
    }
    Ok(start / WINDOW..stop.div_ceil(WINDOW))
}

/// A pair must not need more bases around its window than a worker has memory for.
fn check_reach(params: &Params) -> Result<(), Problem> {
    let reach = Grid::reach(params);
    if reach <= LONGEST_REACH {
        return Ok(());
    }
    let detail = format!(
        "in windowed mode distance + 12 * stdev + 2 * the longer read + 1000 must be at most \
         {LONGEST_REACH}, but is {reach}"
    );
    Err(Problem::bad_request("distance", detail))
}

/// wgsim would look for ever for a place for reads that are longer than the sequence.
fn check_reads(params: &Params, entry: &Entry) -> Result<(), Problem> {
    let longest = params.longest_read();
    if u64::from(longest) <= entry.length {
        return Ok(());
    }
    let field = if params.length1 == longest {
        "length1"
    } else {
        "length2"
    };
    let detail = format!(
        "{field} must be at most {0}, the length of sequence {1}; or leave that sequence out with a \
         distance + 3 * stdev above {0}",
        entry.length, entry.name
    );
    Err(Problem::bad_request(field, detail))
}

/// Bytes of memory that the index of a reference takes at most: its text, twice its names, and what is
/// made of each line. Some of it is given back, but a large sequence does not fit into the gaps.
fn index_memory(entries: &[Entry]) -> u64 {
    entries
        .iter()
        .map(|entry| 256 + 2 * entry.name.len() as u64)
        .sum()
}

/// `beside` are the bytes that are taken already.
fn check_memory(params: &Params, entry: &Entry, beside: u64, memory: u64) -> Result<(), Problem> {
    let needed = memory_needed(entry.length, params) + beside;
    if needed <= memory {
        return Ok(());
    }
    let plain = Params {
        mutation: 0.0,
        ..params.clone()
    };
    let without = memory_needed(entry.length, &plain) + beside;
    let (field, remedy) = if without <= memory {
        ("mutation", "ask for a smaller mutation, indel or extend")
    } else {
        (
            "chrom",
            "choose a shorter sequence, or give the function more memory",
        )
    };
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let detail = format!(
        "simulating sequence {} of {} bases needs up to {} MiB, but the function has {} MiB; {remedy}",
        entry.name,
        entry.length,
        mib(needed),
        memory >> 20
    );
    Err(Problem::bad_request(field, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::parse;

    fn entry(name: &str, length: u64) -> Entry {
        Entry {
            name: name.into(),
            length,
            offset: 0,
            line_bases: 60,
            line_width: 61,
        }
    }

    fn planned(query: &str, entries: &[Entry]) -> Result<Vec<(String, u64)>, Problem> {
        let request = parse(&format!("/reads?reference=r&{query}"), || 1)?;
        let plan = plan(&request, entries.to_vec(), 128 << 20)?;
        assert_eq!(
            plan.skipped,
            if request.chrom.is_some() {
                0
            } else {
                entries.len() - plan.steps.len()
            }
        );
        Ok(plan
            .steps
            .into_iter()
            .map(|step| (step.entry.name, step.pairs))
            .collect())
    }

    #[test]
    fn the_memory_is_what_the_environment_says() {
        assert_eq!(
            (memory(None), memory(Some("16"))),
            (Ok(128 << 20), Ok(16 << 20))
        );
        for wrong in ["", "15", "4097", "128Mi", "-1"] {
            let problem = memory(Some(wrong)).expect_err(wrong);
            assert!(
                problem.status == 500 && problem.detail.contains("READS_MEMORY_MIB"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn pairs_are_shared_by_length_and_short_sequences_lose_theirs() {
        let entries = [entry("a", 3000), entry("b", 100), entry("c", 900)];
        let expected = vec![("a".to_owned(), 750), ("c".to_owned(), 225)];
        assert_eq!(planned("n=1000", &entries), Ok(expected));
        assert_eq!(
            planned("n=1000&chrom=c", &entries),
            Ok(vec![("c".to_owned(), 1000)])
        );
        let empty = planned("n=10&distance=0&stdev=0", &[entry("a", 0), entry("b", 90)]);
        assert_eq!(empty, Ok(vec![("b".to_owned(), 10)]));
    }

    #[test]
    fn windows_are_chosen_by_their_bases() {
        let chosen = |query: &str, entries: &[Entry]| {
            let target = format!("/reads?reference=r&mode=windowed&{query}");
            let request = parse(&target, || 1)?;
            let plan = plan(&request, entries.to_vec(), 16 << 20)?;
            let windows = plan.steps.into_iter().map(|step| step.windows);
            Ok::<Vec<_>, Problem>(windows.collect())
        };
        let one = [entry("a", 250_000_123)];
        let two = [entry("a", 100_000), entry("b", 100_001)];
        for (query, entries, expected) in [
            ("n=5", &one[..], "[0..2501]"),
            ("start=100000", &one, "[1..2501]"),
            ("start=200000&stop=300000", &one, "[2..3]"),
            ("start=250000000&stop=250000123", &one, "[2500..2501]"),
            ("n=5", &two, "[0..1, 0..2]"),
            ("chrom=b&start=100000", &two, "[1..2]"),
        ] {
            let windows = chosen(query, entries).map(|windows| format!("{windows:?}"));
            assert_eq!(windows.as_deref(), Ok(expected), "{query}");
        }
        let refused = |query: &str, entries: &[Entry]| {
            let problem = chosen(query, entries).expect_err(query);
            (
                problem.field.clone().expect("a field"),
                problem.detail.clone(),
            )
        };
        for (query, field, detail) in [
            (
                "start=1",
                "start",
                "start must be a multiple of 100000, or 250000123",
            ),
            (
                "stop=250000124",
                "stop",
                "stop must be a multiple of 100000, or 250000123",
            ),
            (
                "start=100000&stop=100000",
                "stop",
                "stop must be more than start, but is 100000",
            ),
            ("start=250000123", "stop", "stop must be more than start"),
            (
                "distance=500000",
                "distance",
                "in windowed mode distance + 12 * stdev",
            ),
        ] {
            let (found, said) = refused(query, &one);
            assert!(
                found == field && said.starts_with(detail),
                "{query}: {said}"
            );
        }
        let (field, detail) = refused("stop=100000", &two);
        assert_eq!((field.as_str(), detail.contains("chrom")), ("stop", true));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        let problem = planned("chrom=x", &[entry("a", 3000)]).expect_err("no such sequence");
        assert_eq!(
            (problem.status, problem.available.clone()),
            (404, Some(vec!["a".to_owned()]))
        );
        let refused = |query: &str, length| {
            let problem = planned(query, &[entry("a", length)]).expect_err(query);
            assert_eq!(problem.status, 400);
            (
                problem.field.clone().expect("a field"),
                problem.detail.clone(),
            )
        };
        let (field, detail) = refused("length2=800&distance=500", 700);
        assert_eq!(field, "length2");
        assert!(
            detail.starts_with("length2 must be at most 700, the length of sequence a;"),
            "{detail}"
        );
        let (field, detail) = refused("mutation=0.2", 250_000_000);
        assert_eq!(field, "mutation");
        assert!(
            detail.contains("but the function has 128 MiB; ask for a smaller mutation"),
            "{detail}"
        );
        let (field, detail) = refused("mutation=0", 500_000_000);
        assert_eq!(field, "chrom");
        assert!(detail.contains("choose a shorter sequence"), "{detail}");
        assert!(planned("n=1000000", &[entry("a", 250_000_000)]).is_ok());
        // The index takes its part, here that of a hundred thousand contigs.
        let large = entry("a", 280_000_000);
        assert!(planned("n=10", std::slice::from_ref(&large)).is_ok());
        let contigs = (0..100_000).map(|k| entry(&format!("contig_{k}"), 1));
        let many: Vec<_> = contigs.chain([large]).collect();
        let problem = planned("n=10&chrom=a", &many).expect_err("no room beside the index");
        assert_eq!(problem.field.as_deref(), Some("chrom"), "{problem:?}");
    }
}
