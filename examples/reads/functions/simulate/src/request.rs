//! What a request asks for.

use reads_guest::problem::Problem;
use reads_guest::{parameters, query};
use reads_simulator::{Mates, Params};

/// What `/reads` and `/variants` know beside the parameters of the simulation.
const OTHERS: [&str; 8] = [
    "reference",
    "chrom",
    "mate",
    "mode",
    "start",
    "stop",
    "parallel",
    "compress",
];

/// Units of windowed mode that are simulated at once, unless a request says.
pub const PARALLEL: usize = 4;

/// The most units at once. The answers of all of them are in memory.
pub const MOST_PARALLEL: usize = 8;

/// How the reads are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As wgsim does it.
    Exact,
    /// Window by window.
    Windowed {
        /// The bases of the sequence to simulate, as far as the request says.
        start: Option<u64>,
        /// Where they end.
        stop: Option<u64>,
        /// Units at once.
        parallel: usize,
        /// Whether a file in blocks of gzip is wanted.
        bgzf: bool,
    },
}

/// A request for reads or variants.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The reference's name.
    pub reference: String,
    /// The one sequence to simulate, or all of them.
    pub chrom: Option<String>,
    /// The parameters, checked.
    pub params: Params,
    /// Which reads to write.
    pub mates: Mates,
    /// How they are drawn.
    pub mode: Mode,
}

/// Reads a request from its target. `seed` is taken if the request has none.
///
/// # Errors
/// A 400 that names the parameter and its range.
pub fn parse(target: &str, seed: impl FnOnce() -> u32) -> Result<Request, Problem> {
    let mut reference = None;
    let mut chrom = None;
    let mut mates = Mates::Both;
    let mut params = Params {
        seed: 0,
        ..Params::default()
    };
    let mut seeded = false;
    let mut windowed = false;
    let (mut start, mut stop, mut parallel) = (None, None, None);
    let mut bgzf = false;
    let known: Vec<_> = OTHERS.into_iter().chain(parameters::NAMES).collect();
    for (name, value) in query::parse(target, &known)? {
        match name {
            "reference" => reference = Some(value),
            "chrom" => chrom = Some(value),
            "mate" => mates = parameters::mate(name, &value)?,
            "mode" => windowed = mode(name, &value)?,
            "start" => start = Some(parameters::whole(name, &value)?),
            "stop" => stop = Some(parameters::whole(name, &value)?),
            "parallel" => parallel = Some(at_once(name, &value)?),
            "compress" => bgzf = compress(name, &value)?,
            _ => {
                seeded |= name == "seed";
                parameters::set(&mut params, name, &value)?;
            }
        }
    }
    let only_windowed = [
        ("start", start.is_some()),
        ("stop", stop.is_some()),
        ("parallel", parallel.is_some()),
        ("compress", bgzf),
    ];
    let mode = if windowed {
        Mode::Windowed {
            start,
            stop,
            parallel: parallel.unwrap_or(PARALLEL),
            bgzf,
        }
    } else if let Some((name, _)) = only_windowed.into_iter().find(|(_, given)| *given) {
        let detail =
            format!("{name} is for mode=windowed: as wgsim does it, a sequence is one piece");
        return Err(Problem::bad_request(name, detail));
    } else {
        Mode::Exact
    };
    if !seeded {
        params.seed = seed();
    }
    params
        .check()
        .map_err(|error| Problem::bad_request(error.name, error.to_string()))?;
    let reference = reference.ok_or_else(|| {
        Problem::bad_request(
            "reference",
            "reference is missing: name one of those that /references lists",
        )
    })?;
    Ok(Request {
        reference,
        chrom,
        params,
        mates,
        mode,
    })
}

fn mode(name: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "exact" => Ok(false),
        "windowed" => Ok(true),
        _ => Err(parameters::wrong(name, "exact or windowed", value)),
    }
}

fn compress(name: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "bgzf" => Ok(true),
        _ => Err(parameters::wrong(name, "bgzf", value)),
    }
}

fn at_once(name: &str, value: &str) -> Result<usize, Problem> {
    match parameters::whole(name, value) {
        Ok(parallel @ 1..=MOST_PARALLEL) => Ok(parallel),
        _ => {
            let range = format!("a whole number from 1 to {MOST_PARALLEL}");
            Err(parameters::wrong(name, &range, value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> (String, String) {
        let problem = parse(&format!("/reads?{query}"), || 7).expect_err(query);
        assert_eq!(problem.status, 400);
        (
            problem.field.clone().expect("a field"),
            problem.detail.clone(),
        )
    }

    #[test]
    fn defaults_are_wgsims_with_a_seed_of_our_own() {
        let request = parse("/reads?reference=lambda", || 7).expect("well formed");
        let params = Params {
            seed: 7,
            pairs: 1000,
            ..Params::default()
        };
        let expected = Request {
            reference: "lambda".into(),
            chrom: None,
            params,
            mates: Mates::Both,
            mode: Mode::Exact,
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn every_parameter_arrives() {
        let query = "/reads?reference=a&chrom=gi%7C1&n=5&error=1e-3&seed=2147483647&length1=10&length2=20\
                     &distance=300&stdev=9&mutation=.5&indel=0.25&extend=1&ambiguous=0&haploid=true&mate=2";
        let params = Params {
            pairs: 5,
            error: 1e-3,
            seed: 2_147_483_647,
            length1: 10,
            length2: 20,
            distance: 300,
            deviation: 9,
            mutation: 0.5,
            indel: 0.25,
            extend: 1.0,
            ambiguous: 0.0,
            haploid: true,
        };
        let expected = Request {
            reference: "a".into(),
            chrom: Some("gi|1".into()),
            params,
            mates: Mates::Second,
            mode: Mode::Exact,
        };
        assert_eq!(
            parse(query, || unreachable!("the seed is given")),
            Ok(expected)
        );
    }

    #[test]
    fn windowed_mode_has_parameters_of_its_own() {
        let mode = |query: &str| {
            let target = format!("/reads?reference=a&{query}");
            parse(&target, || 7).map(|request| request.mode)
        };
        let windowed = |start, stop, parallel| {
            Ok(Mode::Windowed {
                start,
                stop,
                parallel,
                bgzf: false,
            })
        };
        assert_eq!(mode("mode=exact"), Ok(Mode::Exact));
        assert_eq!(mode("mode=windowed"), windowed(None, None, PARALLEL));
        assert_eq!(
            mode("parallel=7&mode=windowed&start=100000&stop=5000000000"),
            windowed(Some(100_000), Some(5_000_000_000), 7)
        );
        let packed = Mode::Windowed {
            start: None,
            stop: None,
            parallel: PARALLEL,
            bgzf: true,
        };
        assert_eq!(mode("mode=windowed&compress=bgzf"), Ok(packed));
    }

    #[test]
    fn wrong_values_are_named_with_their_range() {
        let cases = [
            (
                "reference=a&n=0",
                "n",
                "n must be a whole number from 1 to 100000000",
            ),
            (
                "reference=a&n=-1",
                "n",
                "n must be a whole number from 1 to 100000000, but is \"-1\"",
            ),
            (
                "reference=a&n=%2B1",
                "n",
                "n must be a whole number from 1 to 100000000, but is \"+1\"",
            ),
            (
                "reference=a&n=",
                "n",
                "n must be a whole number from 1 to 100000000, but is \"\"",
            ),
            (
                "reference=a&n=99999999999",
                "n",
                "n must be a whole number from 1 to 100000000, but is \"99999999999\"",
            ),
            (
                "reference=a&seed=0",
                "seed",
                "seed must be a whole number from 1 to 2147483647",
            ),
            (
                "reference=a&seed=2147483648",
                "seed",
                "seed must be a whole number from 1 to 2147483647",
            ),
            (
                "reference=a&error=inf",
                "error",
                "error must be 0, or a number from 1e-9 to 1, but is \"inf\"",
            ),
            (
                "reference=a&error=NaN",
                "error",
                "error must be 0, or a number from 1e-9 to 1, but is \"NaN\"",
            ),
            (
                "reference=a&mutation=2",
                "mutation",
                "mutation must be a number from 0 to 1",
            ),
            (
                "reference=a&length1=0",
                "length1",
                "length1 must be a whole number from 1 to 65536",
            ),
            (
                "reference=a&haploid=yes",
                "haploid",
                "haploid must be true or false, but is \"yes\"",
            ),
            (
                "reference=a&mate=3",
                "mate",
                "mate must be 1, 2 or both, but is \"3\"",
            ),
            (
                "reference=a&mode=fast",
                "mode",
                "mode must be exact or windowed, but is \"fast\"",
            ),
            (
                "reference=a&mode=windowed&start=-1",
                "start",
                "start must be a whole number, but is \"-1\"",
            ),
            (
                "reference=a&mode=windowed&parallel=9",
                "parallel",
                "parallel must be a whole number from 1 to 8, but is \"9\"",
            ),
            (
                "reference=a&mode=windowed&compress=gzip",
                "compress",
                "compress must be bgzf, but is \"gzip\"",
            ),
            (
                "reference=a&compress=bgzf",
                "compress",
                "compress is for mode=windowed: as wgsim does it, a sequence is one piece",
            ),
            (
                "reference=a&stop=100000",
                "stop",
                "stop is for mode=windowed: as wgsim does it, a sequence is one piece",
            ),
            (
                "n=1",
                "reference",
                "reference is missing: name one of those that /references lists",
            ),
        ];
        for (query, field, detail) in cases {
            assert_eq!(
                refused(query),
                (field.to_owned(), detail.to_owned()),
                "{query}"
            );
        }
        assert_eq!(refused("reference=a&pairs=1").0, "pairs");
    }
}
