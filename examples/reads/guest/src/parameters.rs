//! The parameters of a simulation in a query.

use std::str::FromStr;

use reads_simulator::{Mates, Params, range};

use crate::problem::Problem;

/// The names of the parameters.
pub const NAMES: [&str; 12] = [
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
];

/// Sets the parameter with one of the [`NAMES`].
///
/// # Errors
/// A 400 for a value that is none. Ranges are for [`Params::check`].
pub fn set(params: &mut Params, name: &str, value: &str) -> Result<(), Problem> {
    match name {
        "n" => params.pairs = whole(name, value)?,
        "error" => params.error = number(name, value)?,
        "seed" => params.seed = whole(name, value)?,
        "length1" => params.length1 = whole(name, value)?,
        "length2" => params.length2 = whole(name, value)?,
        "distance" => params.distance = whole(name, value)?,
        "stdev" => params.deviation = whole(name, value)?,
        "mutation" => params.mutation = number(name, value)?,
        "indel" => params.indel = number(name, value)?,
        "extend" => params.extend = number(name, value)?,
        "ambiguous" => params.ambiguous = number(name, value)?,
        "haploid" => params.haploid = truth(name, value)?,
        _ => return Err(Problem::bad_request(name, format!("{name} is unknown"))),
    }
    Ok(())
}

/// The values of all parameters, which [`set`] makes the same of, to the last bit.
pub fn write(params: &Params) -> [(&'static str, String); NAMES.len()] {
    let values = [
        params.pairs.to_string(),
        params.error.to_string(),
        params.seed.to_string(),
        params.length1.to_string(),
        params.length2.to_string(),
        params.distance.to_string(),
        params.deviation.to_string(),
        params.mutation.to_string(),
        params.indel.to_string(),
        params.extend.to_string(),
        params.ambiguous.to_string(),
        params.haploid.to_string(),
    ];
    let mut values = values.into_iter();
    NAMES.map(|name| (name, values.next().unwrap_or_default()))
}

/// A whole number.
///
/// # Errors
/// A 400 that says which numbers may be there.
pub fn whole<N: FromStr>(name: &str, value: &str) -> Result<N, Problem> {
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

/// Whether something is to be.
///
/// # Errors
/// A 400 that says what may be there.
pub fn truth(name: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(wrong(name, "true or false", value)),
    }
}

/// Which reads of the pairs.
///
/// # Errors
/// A 400 that says what may be there.
pub fn mate(name: &str, value: &str) -> Result<Mates, Problem> {
    match value {
        "1" => Ok(Mates::First),
        "2" => Ok(Mates::Second),
        "both" => Ok(Mates::Both),
        _ => Err(wrong(name, "1, 2 or both", value)),
    }
}

fn outside(name: &str, value: &str) -> Problem {
    wrong(name, range(name).unwrap_or("a whole number"), value)
}

/// A value that is none of those that may be there.
pub fn wrong(name: &str, range: &str, value: &str) -> Problem {
    let shown: String = value.chars().take(40).collect();
    Problem::bad_request(name, format!("{name} must be {range}, but is {shown:?}"))
}

/// A choice of reads as [`mate`] takes it.
pub fn mate_name(mates: Mates) -> &'static str {
    match mates {
        Mates::First => "1",
        Mates::Second => "2",
        Mates::Both | Mates::Neither => "both",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let params = Params {
            pairs: 100_000_000,
            error: 0.1 + 0.2,
            mutation: 1e-300,
            indel: 1.0 / 3.0,
            extend: f64::MIN_POSITIVE,
            haploid: true,
            ..Params::default()
        };
        let mut read = Params::default();
        for (name, value) in write(&params) {
            set(&mut read, name, &value).expect(name);
        }
        assert_eq!(read, params);
        assert!(set(&mut read, "chrom", "a").is_err());
    }
}
