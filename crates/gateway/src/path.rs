//! Paths and queries of requests, and how they are unescaped.

use std::borrow::Cow;

use strand_engine::Problem;

/// A request's path as routes are matched with it: escaped unreserved characters
/// unescaped, other escapes in upper case, no `.` and `..` segments.
pub(crate) fn normal(path: &str) -> Result<Cow<'_, str>, Problem> {
    let normal = if path.contains('%') {
        Cow::Owned(normal_escapes(path)?)
    } else {
        Cow::Borrowed(path)
    };
    // One search tells for nearly every path that there is nothing to look at.
    if normal.contains("/.") && normal.split('/').any(|part| part == "." || part == "..") {
        return Err(Problem::bad_request(
            "path",
            "the path holds a `.` or `..` segment, which clients resolve before they send it",
        ));
    }
    Ok(normal)
}

fn normal_escapes(path: &str) -> Result<String, Problem> {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let byte = escaped_byte(after.as_bytes()).ok_or_else(|| broken_escape("path"))?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
        // Two hexadecimal digits were just read.
        rest = &after[2..];
    }
    out.push_str(rest);
    Ok(out)
}

/// What a route captured, unescaped.
pub(crate) fn unescape<'a>(text: &'a str, field: &str) -> Result<Cow<'a, str>, Problem> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    unescape_bytes(text.as_bytes(), field, false).map(Cow::Owned)
}

/// The first value of that name in a query, as forms write it: `+` is a space.
pub(crate) fn query_value(query: &str, name: &str) -> Result<Option<String>, Problem> {
    let field = || format!("query.{name}");
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A broken escape in another parameter's name is that parameter's matter.
        if unescape_bytes(key.as_bytes(), "query", true).is_ok_and(|key| key == name) {
            return unescape_bytes(value.as_bytes(), &field(), true).map(Some);
        }
    }
    Ok(None)
}

fn unescape_bytes(text: &[u8], field: &str, form: bool) -> Result<String, Problem> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        out.push(match byte {
            b'%' => {
                let byte = escaped_byte(rest.as_slice()).ok_or_else(|| broken_escape(field))?;
                rest.nth(1);
                byte
            }
            b'+' if form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(out)
        .map_err(|_| Problem::bad_request(field, format!("`{field}` is not UTF-8")))
}

/// The byte whose hexadecimal digits these begin with.
fn escaped_byte(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

fn broken_escape(field: &str) -> Problem {
    Problem::bad_request(
        field,
        format!("`{field}` holds a `%` that two hexadecimal digits do not follow"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normal() {
        for (path, expected) in [
            ("/", Ok("/")),
            ("/a/b", Ok("/a/b")),
            ("/%61%2Db", Ok("/a-b")),
            ("/%c3%a4", Ok("/%C3%A4")),
            ("/a%2fb", Ok("/a%2Fb")),
            ("/a%252e", Ok("/a%252e")),
            ("/.hidden", Ok("/.hidden")),
            ("/%2ehidden", Ok("/.hidden")),
            ("/...", Ok("/...")),
            ("//a", Ok("//a")),
            ("*", Ok("*")),
            ("/.", Err(())),
            ("/..", Err(())),
            ("/a/../b", Err(())),
            ("/a/./b", Err(())),
            ("/%2e%2E/b", Err(())),
            ("/.%2e", Err(())),
            ("/%", Err(())),
            ("/%2", Err(())),
            ("/%zz", Err(())),
            ("/%+1", Err(())),
            ("/%ä", Err(())),
        ] {
            let found = normal(path).map_err(|problem| assert_eq!(problem.name(), "bad-request"));
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{path}");
        }
    }

    #[test]
    fn captures_are_unescaped_once() {
        for (text, expected) in [
            ("a+b", Some("a+b")),
            ("a%2Fb", Some("a/b")),
            ("a+b%20c", Some("a+b c")),
            ("%252F", Some("%2F")),
            ("%C3%A4", Some("ä")),
            ("%00", Some("\0")),
            ("%C3", None),
            ("%FF", None),
        ] {
            let found = unescape(text, "path.x").ok();
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn queries_are_read_as_forms() {
        for (query, expected) in [
            ("n=1", Ok(Some("1"))),
            ("m=2&n=1&n=3", Ok(Some("1"))),
            ("n", Ok(Some(""))),
            ("n=a=b", Ok(Some("a=b"))),
            ("n=a+b%2B", Ok(Some("a b+"))),
            ("%6E=1", Ok(Some("1"))),
            ("m=1", Ok(None)),
            ("", Ok(None)),
            ("%=2&n=1", Ok(Some("1"))),
            ("m=%&n=1", Ok(Some("1"))),
            ("n=%", Err("query.n")),
            ("n=%ff", Err("query.n")),
        ] {
            let found = query_value(query, "n").map_err(|problem| match problem.kind() {
                strand_engine::Kind::BadRequest { field } => field.clone().unwrap_or_default(),
                kind => panic!("{kind:?}"),
            });
            assert_eq!(
                found.as_ref().map(Option::as_deref).map_err(String::as_str),
                expected,
                "{query}"
            );
        }
    }
}
