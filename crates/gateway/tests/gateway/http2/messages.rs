//! Requests: what stands in their headers, and how it fits their bodies.

use super::{Case, Good, Malformed, OPEN, WHOLE, block, case, frame, pseudo, request};
use crate::frames::{DATA, END_STREAM, HEADERS};

type Field<'f> = (&'f [u8], &'f [u8]);

const PSEUDO: &str = "RFC 9113, 8.3: which pseudo-header fields there are, each once, before the \
     others";
const REQUEST: &str = "RFC 9113, 8.3.1: what a request has";
const NAME: &str = "RFC 9113, 8.2.1: no such character stands in a field's name";
const VALUE: &str = "RFC 9113, 8.2.1: no such character stands in a field's value";
const SPECIFIC: &str = "RFC 9113, 8.2.2: fields of a connection are not of HTTP/2";
const LENGTH: &str = "RFC 9113, 8.1.1: a Content-Length is the length of the DATA";
const TRAILERS: &str = "RFC 9113, 8.1: trailers end the message, and hold no pseudo-header field";
const CONNECT: &str = "RFC 9113, 8.5";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = pseudo_headers();
    cases.extend(fields());
    cases.extend(bodies());
    cases
}

/// A request of just these fields.
fn of(fields: &[Field]) -> [Vec<u8>; 1] {
    [frame(HEADERS, WHOLE, 1, &block(fields))]
}

/// A request to `/bad` with one field more.
fn with(field: Field) -> [Vec<u8>; 1] {
    let mut fields = pseudo("GET", "/bad").to_vec();
    fields.push(field);
    of(&fields)
}

/// A request to `/bad` with one of its pseudo-header fields replaced.
fn instead(name: &[u8], value: &[u8]) -> [Vec<u8>; 1] {
    let fields = pseudo("GET", "/bad").map(|field| {
        if field.0 == name {
            (name, value)
        } else {
            field
        }
    });
    of(&fields)
}

/// A request to `/bad` without one of its pseudo-header fields.
fn without(name: &[u8]) -> [Vec<u8>; 1] {
    let mut fields = pseudo("GET", "/bad").to_vec();
    fields.retain(|field| field.0 != name);
    of(&fields)
}

fn pseudo_headers() -> Vec<Case> {
    let late = [
        (&b":method"[..], &b"GET"[..]),
        (b":scheme", b"http"),
        (b":authority", b"t"),
        (b"x", b"y"),
        (b":path", b"/bad"),
    ];
    let mut cases = vec![
        case(
            "a pseudo-header field after another field",
            PSEUDO,
            of(&late),
            Malformed,
        ),
        case(
            "a pseudo-header field that nobody knows",
            PSEUDO,
            with((b":x", b"y")),
            Malformed,
        ),
        case(
            "a pseudo-header field of answers",
            PSEUDO,
            with((b":status", b"200")),
            Malformed,
        ),
        case("no path", REQUEST, without(b":path"), Malformed),
        case("no method", REQUEST, without(b":method"), Malformed),
        case("no scheme", REQUEST, without(b":scheme"), Malformed),
        case(
            "neither an authority nor a host",
            "RFC 9113, 8.3.1: of a scheme that has one, one of them is there",
            without(b":authority"),
            Malformed,
        ),
        case(
            "a host in place of an authority",
            "RFC 9113, 8.3.1: as it comes out of HTTP/1.1",
            of(&[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":path", b"/"),
                (b"host", b"t"),
            ]),
            Good,
        ),
        case(
            "a host that is the authority",
            "RFC 9113, 8.3.1",
            of(&[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"t"),
                (b":path", b"/"),
                (b"host", b"T"),
            ]),
            Good,
        ),
        case(
            "another host than the authority",
            "RFC 9113, 8.3.1: should be taken as malformed",
            with((b"host", b"other")),
            Malformed,
        ),
        case(
            "an empty host beside the authority",
            REQUEST,
            with((b"host", b"")),
            Malformed,
        ),
        case("an empty path", REQUEST, instead(b":path", b""), Malformed),
        case(
            "a path without a slash",
            REQUEST,
            instead(b":path", b"bad"),
            Malformed,
        ),
        case(
            "a path of a URI",
            REQUEST,
            instead(b":path", b"http://t/bad"),
            Malformed,
        ),
        case(
            "`*` with a GET",
            REQUEST,
            instead(b":path", b"*"),
            Malformed,
        ),
        case(
            "a path with a space",
            REQUEST,
            instead(b":path", b"/bad b"),
            Malformed,
        ),
        case(
            "a path with a control",
            REQUEST,
            instead(b":path", b"/bad\x01"),
            Malformed,
        ),
        case(
            "a path with a line's end",
            REQUEST,
            instead(b":path", b"/bad\r\nx: y"),
            Malformed,
        ),
        case(
            "a path beyond ASCII",
            REQUEST,
            instead(b":path", b"/bad\xc3\xa4"),
            Malformed,
        ),
        case(
            "a path with a fragment",
            REQUEST,
            instead(b":path", b"/#bad"),
            Malformed,
        )
        .leftover(Good, "the library cuts it off before anybody can see it"),
        case(
            "an empty method",
            REQUEST,
            instead(b":method", b""),
            Malformed,
        ),
        case(
            "a method with a space",
            REQUEST,
            instead(b":method", b"GET /bad HTTP/1.1"),
            Malformed,
        ),
        case(
            "an empty scheme",
            REQUEST,
            instead(b":scheme", b""),
            Malformed,
        ),
        case(
            "a scheme with a slash",
            REQUEST,
            instead(b":scheme", b"http://t/x?"),
            Malformed,
        ),
        case(
            "https without TLS",
            "RFC 9110, 7.4: refused, unless it comes from a gateway that is trusted",
            instead(b":scheme", b"https"),
            Malformed,
        ),
        case(
            "another scheme",
            "RFC 9110, 7.4: what this node does not serve is refused",
            instead(b":scheme", b"ftp"),
            Malformed,
        ),
        case(
            "an empty authority",
            REQUEST,
            instead(b":authority", b""),
            Malformed,
        ),
        case(
            "an authority with a user",
            REQUEST,
            instead(b":authority", b"u@t"),
            Malformed,
        ),
        case(
            "an authority with a path",
            REQUEST,
            instead(b":authority", b"t/x"),
            Malformed,
        ),
        case(
            "two authorities in one",
            REQUEST,
            instead(b":authority", b"t,u"),
            Malformed,
        ),
        case(
            "an authority with a bad port",
            REQUEST,
            instead(b":authority", b"t:+80"),
            Malformed,
        ),
        case(
            "CONNECT",
            "RFC 9113, 8.5: this is no proxy",
            of(&[(b":method", b"CONNECT"), (b":authority", b"t:80")]),
            Malformed,
        ),
        case(
            "CONNECT with a scheme and a path",
            CONNECT,
            instead(b":method", b"CONNECT"),
            Malformed,
        ),
        case(
            "CONNECT without an authority",
            CONNECT,
            of(&[(b":method", b"CONNECT")]),
            Malformed,
        ),
        case(
            "CONNECT with a protocol",
            "RFC 8441, 3: not without the server's setting",
            of(&[
                (b":method", b"CONNECT"),
                (b":protocol", b"websocket"),
                (b":scheme", b"http"),
                (b":authority", b"t"),
                (b":path", b"/bad"),
            ]),
            Malformed,
        ),
        case(
            "a protocol without CONNECT",
            PSEUDO,
            with((b":protocol", b"websocket")),
            Malformed,
        ),
    ];
    for name in [":method", ":scheme", ":authority", ":path"] {
        let again = pseudo("GET", "/bad")
            .into_iter()
            .find(|it| it.0 == name.as_bytes());
        cases.push(case(
            "a pseudo-header field twice",
            PSEUDO,
            with(again.unwrap()),
            Malformed,
        ));
    }
    cases
}

fn fields() -> Vec<Case> {
    let mut cases = vec![
        case(
            "TE for trailers",
            "RFC 9113, 8.2.2: the one value it may have",
            of(&[&pseudo("GET", "/")[..], &[(b"te", b"trailers")]].concat()),
            Good,
        ),
        case(
            "bytes beyond ASCII in a value",
            "RFC 9110, 5.5: they are opaque",
            of(&[&pseudo("GET", "/")[..], &[(b"x", b"\xc3\xa4\xff")]].concat()),
            Good,
        ),
        case(
            "an empty value",
            "RFC 9110, 5.5: a value may be empty",
            of(&[&pseudo("GET", "/")[..], &[(b"x", b"")]].concat()),
            Good,
        ),
    ];
    let specific: [Field; 8] = [
        (b"connection", b"close"),
        (b"connection", b"te"),
        (b"keep-alive", b"timeout=5"),
        (b"proxy-connection", b"keep-alive"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"h2c"),
        (b"te", b"gzip"),
        (b"te", b"trailers, gzip"),
    ];
    for field in specific {
        cases.push(case(
            "a field of a connection",
            SPECIFIC,
            with(field),
            Malformed,
        ));
    }
    let names: [&[u8]; 11] = [
        b"X",
        b"x-Y",
        b"",
        b"x y",
        b" x",
        b"x:y",
        b"x\0",
        b"x\r\n",
        b"x\x7f",
        b"x\xc3\xa4",
        b"(x)",
    ];
    for name in names {
        cases.push(case(
            "a character in a name",
            NAME,
            with((name, b"y")),
            Malformed,
        ));
    }
    let values: [&[u8]; 7] = [
        b"a\0b",
        b"a\rb",
        b"a\nb",
        b"a\r\nx: y",
        b"\0",
        b"a\x01b",
        b"a\x7fb",
    ];
    for value in values {
        cases.push(case(
            "a character in a value",
            VALUE,
            with((b"x", value)),
            Malformed,
        ));
    }
    for value in [&b" a"[..], b"a ", b"\ta", b"a\t", b" "] {
        cases.push(case(
            "whitespace around a value",
            "RFC 9113, 8.2.1: a value neither begins nor ends with it",
            with((b"x", value)),
            Malformed,
        ));
    }
    cases
}

fn bodies() -> Vec<Case> {
    let long = |length: &str, path: &str, flags: u8| {
        let length = (&b"content-length"[..], length.as_bytes());
        let fields = [&pseudo("POST", path)[..], &[length]].concat();
        frame(HEADERS, flags, 1, &block(&fields))
    };
    let data = |flags: u8, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let trailers = |flags: u8, fields: &[Field]| frame(HEADERS, flags, 1, &block(fields));
    let two = [
        (&b"content-length"[..], &b"5"[..]),
        (b"content-length", b"6"),
    ];
    let mut cases = vec![
        case(
            "a length that is right",
            LENGTH,
            [
                long("5", "/", OPEN),
                data(0, b"hel"),
                data(END_STREAM, b"lo"),
            ],
            Good,
        ),
        case(
            "a length of more",
            LENGTH,
            [long("6", "/bad", OPEN), data(END_STREAM, b"hello")],
            Malformed,
        ),
        case(
            "a length of less",
            LENGTH,
            [long("4", "/bad", OPEN), data(END_STREAM, b"hello")],
            Malformed,
        ),
        case(
            "a length of more, in pieces",
            LENGTH,
            [
                long("6", "/bad", OPEN),
                data(0, b"hel"),
                data(END_STREAM, b"lo"),
            ],
            Malformed,
        ),
        case(
            "a length of less, in pieces",
            LENGTH,
            [
                long("4", "/bad", OPEN),
                data(0, b"hel"),
                data(END_STREAM, b"lo"),
            ],
            Malformed,
        ),
        case(
            "a length without a body",
            LENGTH,
            [long("5", "/bad", WHOLE)],
            Malformed,
        ),
        case(
            "a length and trailers instead",
            LENGTH,
            [long("5", "/bad", OPEN), trailers(WHOLE, &[(b"x", b"y")])],
            Malformed,
        ),
        case(
            "two lengths",
            "RFC 9110, 8.6: an invalid length",
            [
                frame(
                    HEADERS,
                    OPEN,
                    1,
                    &block(&[&pseudo("POST", "/bad")[..], &two].concat()),
                ),
                data(END_STREAM, b"hello"),
            ],
            Malformed,
        ),
        case(
            "no length",
            "RFC 9113, 8.1.1: it need not be there",
            [
                request(1, OPEN, "/"),
                data(0, b""),
                data(0, b"hello"),
                data(END_STREAM, b""),
            ],
            Good,
        ),
        case(
            "trailers",
            TRAILERS,
            [
                request(1, OPEN, "/"),
                data(0, b"hello"),
                trailers(WHOLE, &[(b"x", b"y")]),
            ],
            Good,
        ),
        case(
            "trailers without the end",
            TRAILERS,
            [
                request(1, OPEN, "/bad"),
                data(0, b"hello"),
                trailers(OPEN, &[(b"x", b"y")]),
            ],
            Malformed,
        ),
        case(
            "trailers with a pseudo-header field",
            TRAILERS,
            [
                request(1, OPEN, "/"),
                data(0, b"hello"),
                trailers(WHOLE, &[(b":path", b"/x")]),
            ],
            Malformed,
        )
        .leftover(Good, "h2 drops it, and the function sees the others"),
        case(
            "trailers with capitals",
            NAME,
            [
                request(1, OPEN, "/bad"),
                data(0, b"hello"),
                trailers(WHOLE, &[(b"X", b"y")]),
            ],
            Malformed,
        ),
        case(
            "trailers with a field of a connection",
            SPECIFIC,
            [
                request(1, OPEN, "/bad"),
                data(0, b"x"),
                trailers(WHOLE, &[(b"connection", b"close")]),
            ],
            Malformed,
        ),
    ];
    for length in [
        "+5",
        "-5",
        "0x5",
        "5 ",
        "",
        "five",
        "5, 5",
        "18446744073709551621",
    ] {
        cases.push(case(
            "a length that is no number",
            "RFC 9110, 8.6: an invalid length",
            [long(length, "/bad", OPEN), data(END_STREAM, b"hello")],
            Malformed,
        ));
    }
    cases
}
