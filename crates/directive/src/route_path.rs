//! Paths of routes: what they may look like, what they capture, which of them clash.
//!
//! Clashes are found with `matchit`, which is also what the gateway matches requests with. The
//! gateway keeps a router for each method, and so do we.

use std::collections::{BTreeMap, BTreeSet};

use matchit::{InsertError, Router};

use crate::diagnostic::{Invalid, quote};

/// Longest path of a route, in bytes.
pub(crate) const MAX_PATH: usize = 1024;
/// Most parts that a path captures.
const MAX_CAPTURES: usize = 16;

/// The methods that a route can name. A route that names none takes every method, these or not.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What a path captures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// Names of the parts, in the path's order, a part for the rest included.
    pub names: Vec<String>,
    /// Whether the last of them takes the rest of the path: `{*rest}`.
    pub rest: bool,
}

impl Captures {
    /// What a valid path captures; of others, what can be made out.
    pub fn of(path: &str) -> Self {
        let mut captures = Self::default();
        let mut left = path;
        while let Some(at) = left.find(['{', '}']) {
            left = &left[at..];
            if let Some(after) = left.strip_prefix("{{").or_else(|| left.strip_prefix("}}")) {
                left = after;
                continue;
            }
            let (inner, after) = left[1..].split_once('}').unwrap_or((&left[1..], ""));
            captures.rest = inner.starts_with('*');
            captures
                .names
                .push(inner.trim_start_matches('*').to_owned());
            left = after;
        }
        captures
    }
}

/// Checks one path.
pub(crate) fn check(path: &str) -> Result<Captures, Invalid> {
    let invalid = |why: &str| Invalid::new(format!("the path {} {why}", quote(path)));
    if !path.starts_with('/') {
        return Err(invalid("does not start with `/`"));
    }
    if path.len() > MAX_PATH {
        return Err(invalid(&format!("is longer than {MAX_PATH} bytes")));
    }
    if let Some(c) = path.chars().find(|c| !c.is_ascii_graphic()) {
        let mut buffer = [0; 4];
        let encoded: String = c
            .encode_utf8(&mut buffer)
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        return Err(invalid(&format!(
            "holds a {} that no request's path holds",
            quote(&c.to_string())
        ))
        .help(format!(
            "clients send it percent-encoded: write `{encoded}`"
        )));
    }
    if path.contains(['?', '#']) {
        return Err(invalid("holds a `?` or `#`, which end a path")
            .help("a route matches the path alone; a command's arguments reach the query by `{query.NAME}`"));
    }
    normal_escapes(path)?;
    let segments = || path.split('/');
    if segments().any(|segment| segment == "." || segment == "..") {
        return Err(invalid(
            "holds a `.` or `..` part, which clients resolve before they send it",
        ));
    }
    if let Some(segment) = segments().find(|segment| segment.starts_with([':', '*'])) {
        let name = segment.trim_start_matches([':', '*']);
        let name = if name.is_empty() { "rest" } else { name };
        let star = if segment.starts_with('*') { "*" } else { "" };
        return Err(
            invalid("has a part that looks like a parameter of another notation")
                .help(format!("parameters are written `{{{star}{name}}}`")),
        );
    }
    let parameters = "parameters are `{NAME}` for one part and `{*NAME}` for the rest; a literal brace is doubled";
    Router::new()
        .insert(path, ())
        .map_err(|error| match error {
            InsertError::InvalidParamSegment => {
                invalid("has two parameters in one part").help("put a `/` between them")
            }
            InsertError::InvalidCatchAll => invalid("has more after the parameter for the rest")
                .help("`{*NAME}` stands at the end, after a `/`"),
            _ => invalid("has a parameter that cannot be read").help(parameters),
        })?;
    let captures = Captures::of(path);
    if captures.names.len() > MAX_CAPTURES {
        return Err(invalid(&format!("has more than {MAX_CAPTURES} parameters")));
    }
    let mut seen = BTreeSet::new();
    for name in &captures.names {
        if !seen.insert(name) {
            return Err(invalid(&format!(
                "has two parameters named {}",
                quote(name)
            )));
        }
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        {
            return Err(invalid("has a parameter that cannot be read")
                .help("a parameter's name has letters, digits, `_` and `-`"));
        }
    }
    Ok(captures)
}

/// Escapes must be as requests' paths are matched: unreserved characters as themselves, the others
/// with digits in upper case (RFC 3986, section 6.2.2). A path in another form would match nothing.
fn normal_escapes(path: &str) -> Result<(), Invalid> {
    for (at, _) in path.match_indices('%') {
        let invalid = |why: &str| Invalid::new(format!("the path {} {why}", quote(path)));
        let byte = path
            .get(at + 1..at + 3)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or_else(|| {
                invalid("holds a `%` that two hexadecimal digits do not follow")
                    .help("a literal `%` is written `%25`")
            })?;
        let found = &path[at..at + 3];
        let normal = if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        };
        if found != normal {
            return Err(invalid("is not in the form that requests are matched in")
                .help(format!("write `{normal}` in place of `{found}`")));
        }
    }
    Ok(())
}

/// Two routes that would take the same requests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Clash {
    /// Index of the later route.
    pub(crate) route: usize,
    /// The earlier route's path.
    pub(crate) with: String,
    /// Methods that both take; empty if it is all of them.
    pub(crate) methods: Vec<&'static str>,
}

/// Which routes clash with one before them. Paths must be valid; `None` stands for all methods.
pub(crate) fn clashes<'r>(
    routes: impl IntoIterator<Item = (&'r str, Option<&'r [String]>)>,
) -> Vec<Clash> {
    // A last router, without a method's name, stands for every method that no route can name.
    let mut routers: Vec<(Option<&'static str>, Router<()>)> = METHODS
        .iter()
        .map(|method| (Some(*method), Router::new()))
        .chain([(None, Router::new())])
        .collect();
    let mut found: BTreeMap<usize, Clash> = BTreeMap::new();
    for (route, (path, methods)) in routes.into_iter().enumerate() {
        for (method, router) in &mut routers {
            let takes = match (methods, *method) {
                (None, _) => true,
                (Some(methods), Some(method)) => methods.iter().any(|own| own == method),
                (Some(_), None) => false,
            };
            if !takes {
                continue;
            }
            if let Err(InsertError::Conflict { with }) = router.insert(path, ()) {
                let clash = found.entry(route).or_insert(Clash {
                    route,
                    with,
                    methods: Vec::new(),
                });
                match method {
                    Some(method) => clash.methods.push(method),
                    None => clash.methods.clear(),
                }
            }
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_found() {
        for (path, names, rest) in [
            ("/", vec![], false),
            ("/a/{b}", vec!["b"], false),
            ("/a/{b}/c-{d}.txt", vec!["b", "d"], false),
            ("/{*rest}", vec!["rest"], true),
            ("/{a}/{*rest}", vec!["a", "rest"], true),
            ("/{{a}}/{b}", vec!["b"], false),
        ] {
            let captures = check(path).unwrap();
            assert_eq!(
                (captures.names, captures.rest),
                (names.into_iter().map(str::to_owned).collect(), rest),
                "{path}"
            );
        }
    }

    /// Our reading of the names is the router's.
    #[test]
    fn captures_are_those_of_the_router() {
        for (path, request) in [
            ("/a/{b}/c-{d}.txt", "/a/1/c-2.txt"),
            ("/{{a}}/{b}", "/{a}/1"),
            ("/{a}/{*rest}", "/1/2/3"),
        ] {
            let mut router = Router::new();
            router.insert(path, ()).unwrap();
            let found = router.at(request).unwrap();
            let names: Vec<&str> = found.params.iter().map(|(name, _)| name).collect();
            assert_eq!(names, Captures::of(path).names, "{path}");
        }
    }

    #[test]
    fn paths_at_their_bounds() {
        assert!(check(&format!("/{}", "a".repeat(MAX_PATH - 1))).is_ok());
        assert!(check(&format!("/{}", "a".repeat(MAX_PATH))).is_err());
        let many = |n: usize| (0..n).map(|i| format!("/{{p{i}}}")).collect::<String>();
        assert!(check(&many(MAX_CAPTURES)).is_ok());
        assert_eq!(
            check(&many(MAX_CAPTURES + 1)).unwrap_err().message,
            format!("the path {} has more than 16 parameters", quote(&many(17)))
        );
    }

    #[test]
    fn routes_clash_only_where_methods_overlap() {
        let methods = |text: &str| -> Option<Vec<String>> {
            (text != "*").then(|| text.split(',').map(str::to_owned).collect())
        };
        let clash = |routes: &[(&str, &str)]| -> Vec<(usize, String, Vec<&str>)> {
            let routes: Vec<_> = routes
                .iter()
                .map(|(path, names)| (*path, methods(names)))
                .collect();
            clashes(routes.iter().map(|(path, names)| (*path, names.as_deref())))
                .into_iter()
                .map(|clash| (clash.route, clash.with, clash.methods))
                .collect()
        };
        assert_eq!(
            clash(&[
                ("/a", "GET"),
                ("/a", "POST"),
                ("/a/{x}", "*"),
                ("/a/b", "*")
            ]),
            []
        );
        assert_eq!(
            clash(&[("/a", "GET,POST"), ("/a", "POST,PUT")]),
            [(1, "/a".to_owned(), vec!["POST"])]
        );
        assert_eq!(
            clash(&[("/a/{x}", "*"), ("/a/{y}", "GET")]),
            [(1, "/a/{x}".to_owned(), vec!["GET"])]
        );
        assert_eq!(
            clash(&[("/a/{x}", "*"), ("/a/{*y}", "*")]),
            [(1, "/a/{x}".to_owned(), vec![])]
        );
        assert_eq!(
            clash(&[("/a", "*"), ("/b", "*"), ("/a", "*"), ("/b", "GET")]).len(),
            2
        );
    }
}
