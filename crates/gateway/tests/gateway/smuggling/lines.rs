//! Where lines end, and what may stand in them.

use super::{Case, accepted, case, get, given, refused, request};

const BARE_LF: &str = "RFC 9112, 2.2: a recipient may read LF as a line's end, which it then is \
     everywhere in the header; refusing would be allowed too";
const BARE_CR: &str = "RFC 9112, 2.2: a bare CR makes the element invalid, or is a space; refused";
const NAME: &str =
    "RFC 9112, 5.1 and 9110, 5.6.2: a field's name is a token right before its colon";
const VALUE: &str = "RFC 9110, 5.5: CR, LF and NUL in a value are dangerous, other controls \
     invalid; refused";
const FOLDED: &str = "RFC 9112, 5.2: obsolete folding is refused, which is one of two choices";
const REQUEST_LINE: &str =
    "RFC 9112, 3: method SP target SP version; a looser reading is allowed, and not done";
const VERSION: &str = "RFC 9112, 2.3 and 3: an invalid request line is a 400";
const METHOD: &str = "RFC 9110, 9.1: a method is a token";
const LEADING: &str = "RFC 9112, 2.2: empty lines before a request are skipped";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = line_ends();
    cases.extend(field_lines());
    cases.extend(request_lines());
    cases
}

fn nothing() -> super::Outcome {
    accepted(given("GET", "/", ""))
}

fn line_ends() -> Vec<Case> {
    vec![
        case(
            "lines that end as they should",
            "RFC 9112, 2.1",
            get(""),
            nothing(),
        ),
        case(
            "bare LF everywhere",
            BARE_LF,
            "GET / HTTP/1.1\nhost: t\n\n",
            nothing(),
        ),
        case(
            "bare LF after the request line",
            BARE_LF,
            "GET / HTTP/1.1\nhost: t\r\n\r\n",
            nothing(),
        ),
        case("bare LF after a field", BARE_LF, get("x: y\n"), nothing()),
        case(
            "bare LF at the header's end",
            BARE_LF,
            "GET / HTTP/1.1\r\nhost: t\r\n\n",
            nothing(),
        ),
        case(
            "a field behind a bare LF",
            BARE_LF,
            request("POST / HTTP/1.1", "x: y\ncontent-length: 5\r\n", "hello"),
            accepted(given("POST", "/", "hello")),
        ),
        case(
            "a bare CR after the request line",
            BARE_CR,
            "GET / HTTP/1.1\rhost: t\r\n\r\n",
            refused(400),
        ),
        case(
            "a bare CR after a field",
            BARE_CR,
            get("x: y\rz: 1\r\n"),
            refused(400),
        ),
        case(
            "a bare CR in a value",
            BARE_CR,
            get("x: y\rz\r\n"),
            refused(400),
        ),
        case(
            "a bare CR before a value",
            BARE_CR,
            get("x:\r y\r\n"),
            refused(400),
        ),
        case(
            "a bare CR in a name",
            BARE_CR,
            get("x\ry: z\r\n"),
            refused(400),
        ),
        case(
            "a bare CR in a target",
            BARE_CR,
            request("GET /a\rb HTTP/1.1", "", ""),
            refused(400),
        ),
        case("CR CR LF", BARE_CR, get("x: y\r\r\n"), refused(400)),
        case(
            "CR CR at the header's end",
            BARE_CR,
            "GET / HTTP/1.1\r\nhost: t\r\n\r\r\n",
            refused(400),
        ),
        case(
            "LF CR",
            BARE_CR,
            "GET / HTTP/1.1\n\rhost: t\n\r\n\r",
            refused(400),
        ),
        case(
            "CRLF before a request",
            LEADING,
            "\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n",
            nothing(),
        ),
        case(
            "some empty lines before a request",
            LEADING,
            "\r\n\r\n\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n",
            nothing(),
        ),
        case(
            "a bare LF before a request",
            BARE_LF,
            "\nGET / HTTP/1.1\r\nhost: t\r\n\r\n",
            nothing(),
        ),
        case(
            "a bare CR before a request",
            BARE_CR,
            "\rGET / HTTP/1.1\r\nhost: t\r\n\r\n",
            refused(400),
        ),
        case(
            "CRLF between requests",
            LEADING,
            "GET / HTTP/1.1\r\nhost: t\r\n\r\n\r\n",
            nothing(),
        ),
    ]
}

fn field_lines() -> Vec<Case> {
    let mut cases = vec![
        case(
            "a folded field",
            FOLDED,
            get("x: y\r\n z\r\n"),
            refused(400),
        ),
        case(
            "a field folded with a tab",
            FOLDED,
            get("x: y\r\n\tz\r\n"),
            refused(400),
        ),
        case(
            "a folded empty line",
            FOLDED,
            get("x: y\r\n \r\n"),
            refused(400),
        ),
        case(
            "a folded host",
            FOLDED,
            "GET / HTTP/1.1\r\nhost:\r\n t\r\n\r\n",
            refused(400),
        ),
        case(
            "a space before the first field",
            "RFC 9112, 2.2: refused, which is one of two choices",
            "GET / HTTP/1.1\r\n host: t\r\n\r\n",
            refused(400),
        ),
        case(
            "a line of space before the first field",
            "RFC 9112, 2.2: refused, which is one of two choices",
            "GET / HTTP/1.1\r\n \r\nhost: t\r\n\r\n",
            refused(400),
        ),
        case(
            "a space before a colon",
            NAME,
            get("x : y\r\n"),
            refused(400),
        ),
        case(
            "a tab before a colon",
            NAME,
            get("x\t: y\r\n"),
            refused(400),
        ),
        case("no name", NAME, get(": y\r\n"), refused(400)),
        case("no colon", NAME, get("x\r\n"), refused(400)),
        case("a space in a name", NAME, get("x y: z\r\n"), refused(400)),
        case("a NUL in a name", NAME, get("x\0y: z\r\n"), refused(400)),
        case(
            "a control in a name",
            NAME,
            get("x\u{b}: z\r\n"),
            refused(400),
        ),
        case(
            "a byte beyond ASCII in a name",
            NAME,
            get(b"x\xe4: z\r\n"),
            refused(400),
        ),
        case(
            "an empty value",
            "RFC 9112, 5: a value may be empty",
            get("x:\r\n"),
            nothing(),
        ),
        case(
            "bytes beyond ASCII in a value",
            "RFC 9110, 5.5: they are opaque",
            get(b"x: \xc3\xa4\xff\r\n"),
            nothing(),
        ),
        case(
            "a colon in a value",
            "RFC 9112, 5: the first colon ends the name",
            get("x: content-length: 5\r\n"),
            nothing(),
        ),
        case(
            "names that only look like others",
            "RFC 9110, 5.1: those are other fields",
            get("x-content-length: 5\r\ntransfer.encoding: chunked\r\ncontent-lengths: 5\r\n"),
            nothing(),
        ),
    ];
    for name in [
        "(x)", "x,y", "x/y", "x;y", "<x>", "x=y", "x@y", "[x]", "x\\y", "{x}", "\"x\"",
    ] {
        cases.push(case(
            "a separator in a name",
            NAME,
            get(format!("{name}: z\r\n")),
            refused(400),
        ));
    }
    for control in ["\0", "\u{1}", "\u{8}", "\u{b}", "\u{c}", "\u{1b}", "\u{7f}"] {
        let field = format!("x: a{control}b\r\n");
        cases.push(case(
            "a control in a value",
            VALUE,
            get(field),
            refused(400),
        ));
    }
    cases
}

fn request_lines() -> Vec<Case> {
    let mut cases = vec![
        case(
            "a method in small letters",
            "RFC 9110, 9.1: another method than in capitals",
            request("get / HTTP/1.1", "", ""),
            accepted(given("get", "/", "")),
        ),
        case(
            "a method that nobody knows",
            "RFC 9110, 9.1: a token; here any method has its function",
            request("X!#$%&'*+-.^_`|~9 / HTTP/1.1", "", ""),
            accepted(given("X!#$%&'*+-.^_`|~9", "/", "")),
        ),
        case(
            "HTTP/2 that breaks off",
            "RFC 9113, 3.4 and RFC 9112, 2.3: neither a preface nor a request",
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            refused(400),
        ),
        case(
            "HTTP/1.2",
            "RFC 9110, 2.5: may be read as HTTP/1.1; refused, since nobody speaks it",
            request("GET / HTTP/1.2", "", ""),
            refused(400),
        ),
    ];
    for line in [
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1\t",
        "GET / x HTTP/1.1",
        "GET /\u{b}HTTP/1.1",
        "GET / HTTP/1.1 x",
        "GET HTTP/1.1",
    ] {
        cases.push(case(
            "whitespace in a request line",
            REQUEST_LINE,
            request(line, "", ""),
            refused(400),
        ));
    }
    for line in [
        "GET /",
        "GET / ",
        "GET / HTTP",
        "GET / HTTP/",
        "GET / HTTP/1",
        "GET / HTTP/1.",
        "GET / HTTP/0.9",
        "GET / HTTP/2.0",
        "GET / HTTP/2",
        "GET / HTTP/3.0",
        "GET / HTTP/1.10",
        "GET / HTTP/01.1",
        "GET / HTTP/1,1",
        "GET / HTTP/-1.1",
        "GET / HTTP 1.1",
        "GET / http/1.1",
        "GET / Http/1.1",
        "GET / HTTPS/1.1",
        "GET / XTTP/1.1",
        "GET / ICY/1.1",
    ] {
        cases.push(case(
            "another version",
            VERSION,
            request(line, "", ""),
            refused(400),
        ));
    }
    for method in [
        "", "G@T", "GE:T", "GE(T)", "GET,", "\"GET\"", "G\0T", "G\u{e4}T", "GET/",
    ] {
        let line = format!("{method} / HTTP/1.1");
        cases.push(case(
            "a method that is no token",
            METHOD,
            request(&line, "", ""),
            refused(400),
        ));
    }
    cases
}
