//! Bodies in chunks, and what stands after them.

use super::{Case, Outcome, accepted, case, given, post, refused};

const SIZE: &str = "RFC 9112, 7.1: a chunk's size is 1*HEXDIG";
const SIZE_LINE: &str = "RFC 9112, 7.1 and 2.2: a chunk's first line ends with CRLF";
const DATA_END: &str = "RFC 9112, 7.1: CRLF follows a chunk's data";
const EXTENSION: &str = "RFC 9112, 7.1.1: extensions that are not known are ignored";
const TRAILER: &str = "RFC 9112, 7.1.2 and 5: trailers are field lines";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = chunks();
    cases.extend(trailers());
    cases
}

/// A request with this as its body.
fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    post("transfer-encoding: chunked\r\n", body)
}

/// One chunk with this in place of its size, and the end.
fn size(size: &str) -> Vec<u8> {
    chunked(format!("{size}\r\nhello\r\n0\r\n\r\n"))
}

fn chunks() -> Vec<Case> {
    let hello = || accepted(given("POST", "/", "hello"));
    let nothing = || accepted(given("POST", "/", ""));
    vec![
        case(
            "sizes in capitals and not",
            "RFC 9112, 7.1",
            chunked("A\r\nhello, you\r\nb\r\n and others\r\n0\r\n\r\n"),
            accepted(given("POST", "/", "hello, you and others")),
        ),
        case("no chunk", "RFC 9112, 7.1", chunked("0\r\n\r\n"), nothing()),
        case("zeros before a size", SIZE, size("0005"), hello()),
        case(
            "very many zeros before a size",
            "RFC 9112, 7.1: large numerals are anticipated",
            size(&format!("{}5", "0".repeat(20_000))),
            hello(),
        ),
        case(
            "a last chunk of many zeros",
            SIZE,
            chunked("000\r\n\r\n"),
            nothing(),
        ),
        case(
            "an extension",
            EXTENSION,
            size("5;a=b;c;d=\"e f\""),
            hello(),
        ),
        case(
            "whitespace around an extension",
            EXTENSION,
            size("5 ; a = b"),
            hello(),
        ),
        case(
            "a last chunk with an extension",
            EXTENSION,
            chunked("0;a=b\r\n\r\n"),
            nothing(),
        ),
        case(
            "an extension with a quote that is not closed",
            "RFC 9110, 5.6.4: nothing quoted holds a line's end, so that the first one ends the \
             line; the extension is ignored",
            size("5;a=\""),
            hello(),
        ),
        case(
            "an extension as long as a header",
            "RFC 9112, 7.1.1: their length ought to be limited, with a 4xx",
            size(&format!("5;{}", "a".repeat(20_000))),
            refused(400),
        ),
        case(
            "an extension with a bare LF",
            SIZE_LINE,
            size("5;a\n0"),
            refused(400),
        ),
        case(
            "an extension that ends with a bare LF",
            SIZE_LINE,
            chunked("5;a\nhello\r\n0\r\n\r\n"),
            refused(400),
        ),
        case(
            "an extension with a bare CR",
            SIZE_LINE,
            size("5;a\rb"),
            refused(400),
        ),
        case(
            "a size that overflows",
            "RFC 9112, 7.1: no overflow may become another number",
            size("10000000000000005"),
            refused(400),
        ),
        case("a size with `0x`", SIZE, size("0x5"), refused(400)),
        case("a size with `+`", SIZE, size("+5"), refused(400)),
        case("a size with `-`", SIZE, size("-5"), refused(400)),
        case("a size with `_`", SIZE, size("0_5"), refused(400)),
        case("a size with a comma", SIZE, size("5,5"), refused(400)),
        case("a size with a NUL", SIZE, size("5\0"), refused(400)),
        case("a size with a letter", SIZE, size("5g"), refused(400)),
        case("a size of two words", SIZE, size("5 5"), refused(400)),
        case("a size in quotes", SIZE, size("\"5\""), refused(400)),
        case("no size", SIZE, size(""), refused(400)),
        case(
            "an extension without a size",
            SIZE,
            size(";a=b"),
            refused(400),
        ),
        case("a space before a size", SIZE, size(" 5"), refused(400)),
        case("a tab before a size", SIZE, size("\t5"), refused(400)),
        case(
            "a space after a size",
            "RFC 9112, 7.1: none stands there but before an extension",
            size("5 "),
            refused(400),
        )
        .leftover(
            hello(),
            "hyper skips it; whoever does not refuse it has the same size",
        ),
        case(
            "a size and a bare LF",
            SIZE_LINE,
            chunked("5\nhello\r\n0\r\n\r\n"),
            refused(400),
        ),
        case(
            "a size and a bare CR",
            SIZE_LINE,
            chunked("5\rhello\r\n0\r\n\r\n"),
            refused(400),
        ),
        case(
            "a last size and a bare LF",
            SIZE_LINE,
            chunked("5\r\nhello\r\n0\n\r\n"),
            refused(400),
        ),
        case(
            "no line's end after data",
            DATA_END,
            chunked("5\r\nhello0\r\n\r\n"),
            refused(400),
        ),
        case(
            "a bare LF after data",
            DATA_END,
            chunked("5\r\nhello\n0\r\n\r\n"),
            refused(400),
        ),
        case(
            "a bare CR after data",
            DATA_END,
            chunked("5\r\nhello\r0\r\n\r\n"),
            refused(400),
        ),
        case(
            "more data than the size",
            DATA_END,
            chunked("4\r\nhello\r\n0\r\n\r\n"),
            refused(400),
        ),
        case(
            "less data than the size",
            DATA_END,
            chunked("6\r\nhello\r\n0\r\n\r\n"),
            refused(400),
        ),
        case(
            "an empty line before the end",
            SIZE,
            chunked("5\r\nhello\r\n\r\n0\r\n\r\n"),
            refused(400),
        ),
        case(
            "chunks after the last one",
            "RFC 9112, 7.1: they are the next request, and none",
            chunked("0\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            Outcome {
                statuses: vec![200, 400],
                requests: vec![given("POST", "/", "")],
            },
        ),
        case(
            "no end of the trailers",
            "RFC 9112, 7.1: an empty line ends them; the next request is none",
            chunked("5\r\nhello\r\n0\r\n"),
            refused(400),
        ),
        case(
            "a bare CR for the end of the trailers",
            "RFC 9112, 7.1 and 2.2: CRLF ends them",
            chunked("5\r\nhello\r\n0\r\n\r"),
            refused(400),
        ),
    ]
}

fn trailers() -> Vec<Case> {
    let trailing = |fields: &str| chunked(format!("5\r\nhello\r\n0\r\n{fields}\r\n"));
    let with = |names: &[&str]| {
        let mut request = given("POST", "/", "hello");
        request.trailers = names.iter().map(|name| (*name).to_owned()).collect();
        accepted(request)
    };
    let many = "x: y\r\n".repeat(101);
    let long = format!("x: {}\r\n", "y".repeat(40_000));
    vec![
        case(
            "a trailer",
            TRAILER,
            trailing("x-end: bye\r\n"),
            with(&["x-end"]),
        ),
        case(
            "trailers that would frame or route",
            "RFC 9110, 6.5.1: none may be there that frame, route, authenticate or describe the \
             content; dropped, as 9112, 7.1.2 allows",
            trailing(
                "content-length: 3\r\ntransfer-encoding: chunked\r\nhost: hidden\r\n\
                 connection: x-end\r\nauthorization: x\r\ncontent-encoding: gzip\r\n\
                 trailer: x-end\r\nte: trailers\r\n\
                 x-forwarded-for: 192.0.2.1\r\nx-end: bye\r\n",
            ),
            with(&["x-end"]),
        ),
        case(
            "trailers of which none may be there",
            "RFC 9110, 6.5.1",
            trailing("content-length: 3\r\n"),
            with(&[]),
        ),
        case(
            "a trailer without a colon",
            TRAILER,
            trailing("x-end\r\n"),
            refused(400),
        ),
        case(
            "a trailer without a name",
            TRAILER,
            trailing(": bye\r\n"),
            refused(400),
        ),
        case(
            "a space before a trailer's colon",
            TRAILER,
            trailing("x-end : bye\r\n"),
            refused(400),
        ),
        case(
            "a trailer that is folded",
            "RFC 9112, 5.2: obsolete folding is refused",
            trailing("x-end: bye\r\n now\r\n"),
            refused(400),
        ),
        case(
            "a trailer with a bare CR",
            "RFC 9112, 2.2: a bare CR makes the element invalid",
            trailing("x-end: bye\rx: y\r\n"),
            refused(400),
        ),
        case(
            "a trailer with a NUL",
            "RFC 9110, 5.5: a control character in a value is invalid",
            trailing("x-end: b\0e\r\n"),
            refused(400),
        ),
        case(
            "very many trailers",
            "RFC 9110, 5.4: a 4xx",
            trailing(&many),
            refused(400),
        ),
        case(
            "a very long trailer",
            "RFC 9110, 5.4: a 4xx",
            trailing(&long),
            refused(400),
        ),
        case(
            "two trailers with a bare LF between them",
            "RFC 9112, 2.2: LF may be read as a line's end; refused, as everywhere in chunks",
            trailing("x-end: bye\nx: y\r\n"),
            refused(400),
        ),
        case(
            "a request behind a bare LF",
            "RFC 9112, 2.2: LF may be read as a line's end, and the request is one; or may not, \
             and it is no trailer; it may not vanish",
            trailing("x-end: bye\n\r\nGET /hidden HTTP/1.1\r\nhost: t\r\n"),
            refused(400),
        )
        .leftover(with(&["x-end"]), "hyper ends lines with CRLF to find the end, and with LF to read them: the hidden request is nobody's"),
    ]
}
