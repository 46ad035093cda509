//! The query part of a request.

use crate::problem::Problem;

/// The longest query in bytes.
const LONGEST: usize = 8 * 1024;

/// Splits a path with its query, and the query into its parameters, decoded.
///
/// # Errors
/// A query beyond the limit, a parameter that is not among `known`, or one given twice.
pub fn parse(target: &str, known: &[&'static str]) -> Result<Vec<(&'static str, String)>, Problem> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    if query.len() > LONGEST {
        return Err(Problem::bad_request(
            "query",
            format!("the query is longer than {LONGEST} bytes"),
        ));
    }
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(name) = known.iter().copied().find(|known| *known == name) else {
            let detail = format!("unknown parameter {name}; known: {}", known.join(", "));
            return Err(Problem::bad_request(&name, detail));
        };
        if found.iter().any(|(earlier, _)| *earlier == name) {
            return Err(Problem::bad_request(name, format!("{name} is given twice")));
        }
        found.push((name, value.into_owned()));
    }
    Ok(found)
}

/// Parameters as a query.
pub fn encode(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let parsed = parse(
            "/reads?chrom=gi%7C1%7C&n=3&reference=a+b",
            &["n", "chrom", "reference"],
        );
        let expected = [("chrom", "gi|1|"), ("n", "3"), ("reference", "a b")];
        assert_eq!(
            parsed,
            Ok(expected
                .map(|(name, value)| (name, value.to_owned()))
                .to_vec())
        );
        assert_eq!(parse("/reads", &["n"]), Ok(Vec::new()));
        assert_eq!(encode(&[("reference", "a b&c")]), "reference=a+b%26c");
    }

    #[test]
    fn what_is_unknown_twice_or_too_long_is_refused() {
        let detail = |target: &str| {
            parse(target, &["n", "seed"]).map_err(|p| (p.field.clone(), p.detail.clone()))
        };
        let refused = |field: &str, detail: &str| Err((Some(field.to_owned()), detail.to_owned()));
        assert_eq!(
            detail("/?N=1"),
            refused("N", "unknown parameter N; known: n, seed")
        );
        assert_eq!(detail("/?n=1&n=1"), refused("n", "n is given twice"));
        let long = format!("/?n={}", "1".repeat(9000));
        assert_eq!(
            detail(&long),
            refused("query", "the query is longer than 8192 bytes")
        );
    }
}
