//! What a request asks for.

use reads_guest::problem::Problem;
use reads_guest::query;
use reads_simulator::{Mates, Params, range};

/// What `/reads` and `/variants` know.
const KNOWN: [&str; 15] = [
    "reference",
    "chrom",
    "n",
    "error",
    "seed",
    "length1",
    "length2",
    "distance",
    "stdev",
    "mutation",
    "indel",
    "extend",
    "ambiguous",
    "haploid",
    "mate",
];

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
    for (name, value) in query::parse(target, &KNOWN)? {
        match name {
            "reference" => reference = Some(value),
            "chrom" => chrom = Some(value),
            "n" => params.pairs = whole(name, &value)?,
            "error" => params.error = number(name, &value)?,
            "seed" => (params.seed, seeded) = (whole(name, &value)?, true),
            "length1" => params.length1 = whole(name, &value)?,
            "length2" => params.length2 = whole(name, &value)?,
            "distance" => params.distance = whole(name, &value)?,
            "stdev" => params.deviation = whole(name, &value)?,
            "mutation" => params.mutation = number(name, &value)?,
            "indel" => params.indel = number(name, &value)?,
            "extend" => params.extend = number(name, &value)?,
            "ambiguous" => params.ambiguous = number(name, &value)?,
            "haploid" => params.haploid = truth(name, &value)?,
            _ => mates = mate(name, &value)?,
        }
    }
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
    })
}

fn whole(name: &str, value: &str) -> Result<u32, Problem> {
    // The standard library would take a plus sign.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    value
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| outside(name, value))
}

fn number(name: &str, value: &str) -> Result<f64, Problem> {
    let plain = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    value
        .parse()
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| outside(name, value))
}

fn truth(name: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(wrong(name, "true or false", value)),
    }
}

fn mate(name: &str, value: &str) -> Result<Mates, Problem> {
    match value {
        "1" => Ok(Mates::First),
        "2" => Ok(Mates::Second),
        "both" => Ok(Mates::Both),
        _ => Err(wrong(name, "1, 2 or both", value)),
    }
}

fn outside(name: &str, value: &str) -> Problem {
    wrong(name, range(name).unwrap_or("a number"), value)
}

fn wrong(name: &str, range: &str, value: &str) -> Problem {
    let shown: String = value.chars().take(40).collect();
    Problem::bad_request(name, format!("{name} must be {range}, but is {shown:?}"))
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
        };
        assert_eq!(
            parse(query, || unreachable!("the seed is given")),
            Ok(expected)
        );
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
