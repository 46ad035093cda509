//! How long a body is: `Content-Length` and `Transfer-Encoding`.

use super::{Case, accepted, case, given, last, post, refused, request};

/// `hello` in chunks.
const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

const INVALID: &str = "RFC 9112, 6.3: an invalid Content-Length is an unrecoverable error: 400";
const NOT_CHUNKED: &str =
    "RFC 9112, 6.3: a request whose final coding is not `chunked` has no reliable end: 400";
const OTHER_CODINGS: &str = "RFC 9112, 6.1 and 7: a coding that is not understood is refused; \
     `chunked` is applied once";
const NOT_A_FIELD: &str = "RFC 9112, 5.1 and 9110, 5.6.2: a field's name is a token right before \
     its colon: 400";
const CONTROL: &str = "RFC 9110, 5.5: a control character in a value is invalid";
const BOTH: &str = "RFC 9112, 6.1: with both, Transfer-Encoding counts and the connection is \
     closed; refusing would be allowed too";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = content_lengths();
    cases.extend(transfer_encodings());
    cases.extend(both());
    cases
}

fn content_lengths() -> Vec<Case> {
    let length = |value: &str| post(format!("content-length: {value}\r\n"), "hello");
    let hello = || accepted(given("POST", "/", "hello"));
    vec![
        case("a length", "RFC 9110, 8.6", length("5"), hello()),
        case(
            "no length",
            "RFC 9112, 6.3: a request with neither field has no body",
            post("", ""),
            accepted(given("POST", "/", "")),
        ),
        case(
            "a length of nothing",
            "RFC 9110, 8.6",
            post("content-length: 0\r\n", ""),
            accepted(given("POST", "/", "")),
        ),
        case(
            "a length with zeros before it",
            "RFC 9110, 8.6: 1*DIGIT, in decimal",
            length("005"),
            hello(),
        ),
        case(
            "whitespace around a length",
            "RFC 9112, 5.1: it is no part of the value",
            length(" \t5 \t"),
            hello(),
        ),
        case(
            "no whitespace before a length",
            "RFC 9112, 5: it is optional",
            post("content-length:5\r\n", "hello"),
            hello(),
        ),
        case(
            "two lengths, the same",
            "RFC 9110, 8.6: one of them may be taken, or the request refused",
            post("content-length: 5\r\ncontent-length: 5\r\n", "hello"),
            hello(),
        ),
        case(
            "two lengths, the second shorter",
            INVALID,
            post("content-length: 5\r\ncontent-length: 0\r\n", "hello"),
            refused(400),
        ),
        case(
            "two lengths, the second longer",
            INVALID,
            post("content-length: 0\r\nContent-Length: 5\r\n", "hello"),
            refused(400),
        ),
        case(
            "three lengths, one of them another",
            INVALID,
            post(
                "content-length: 5\r\nx: y\r\ncontent-length: 5\r\ncontent-length: 6\r\n",
                "hello",
            ),
            refused(400),
        ),
        case(
            "a length and an empty one",
            INVALID,
            post("content-length: 5\r\ncontent-length:\r\n", "hello"),
            refused(400),
        ),
        case(
            "a list of the same length",
            "RFC 9110, 8.6: refused, which is one of two choices",
            length("5, 5"),
            refused(400),
        ),
        case("a list of lengths", INVALID, length("5, 6"), refused(400)),
        case(
            "a length and a comma",
            "RFC 9110, 8.6: no single number; refused",
            length("5,"),
            refused(400),
        ),
        case("a length with `+`", INVALID, length("+5"), refused(400)),
        case("a length with `-`", INVALID, length("-5"), refused(400)),
        case("a length in hex", INVALID, length("0x5"), refused(400)),
        case(
            "a length with a digit of hex",
            INVALID,
            length("5f"),
            refused(400),
        ),
        case(
            "a length with a point",
            INVALID,
            length("5.0"),
            refused(400),
        ),
        case(
            "a length with an exponent",
            INVALID,
            length("5e0"),
            refused(400),
        ),
        case(
            "a length of two words",
            INVALID,
            length("5 5"),
            refused(400),
        ),
        case("a length with `_`", INVALID, length("0_5"), refused(400)),
        case("a length in quotes", INVALID, length("\"5\""), refused(400)),
        case(
            "a length without digits",
            INVALID,
            length("five"),
            refused(400),
        ),
        case("an empty length", INVALID, length(""), refused(400)),
        case(
            "a length of digits beyond ASCII",
            INVALID,
            length("\u{ff15}"),
            refused(400),
        ),
        case(
            "a length of 2^64",
            "RFC 9110, 8.6: no overflow may become another number",
            length("18446744073709551616"),
            refused(400),
        ),
        case(
            "a length of 2^64 - 1",
            "RFC 9110, 8.6 and 15.5.14: a number, and more than any body may have",
            length("18446744073709551615"),
            refused(413),
        )
        .leftover(
            refused(431),
            "hyper refuses it like a header that is too large",
        ),
        case(
            "a length that is 5 in 64 bits",
            "RFC 9110, 8.6: no overflow may become another number",
            length("18446744073709551621"),
            refused(400),
        ),
        case(
            "a vertical tab before a length",
            CONTROL,
            length("\u{b}5"),
            refused(400),
        ),
        case("a NUL after a length", CONTROL, length("5\0"), refused(400)),
        case(
            "a space before the length's colon",
            "RFC 9112, 5.1: whitespace between name and colon is refused: 400",
            post("content-length : 5\r\n", "hello"),
            refused(400),
        ),
        case(
            "a tab before the length's colon",
            "RFC 9112, 5.1: whitespace between name and colon is refused: 400",
            post("content-length\t: 5\r\n", "hello"),
            refused(400),
        ),
        case(
            "a space in the length's name",
            NOT_A_FIELD,
            post("content length: 5\r\n", "hello"),
            refused(400),
        ),
        case(
            "an underscore in the length's name",
            "RFC 9110, 5.1: that is another field",
            post("content_length: 5\r\n", ""),
            accepted(given("POST", "/", "")),
        ),
        case(
            "a length that is folded",
            "RFC 9112, 5.2: obsolete folding is refused, which is one of two choices",
            post("content-length:\r\n 5\r\n", "hello"),
            refused(400),
        ),
        case(
            "a GET with a body",
            "RFC 9110, 9.3.1: it has no meaning; its bounds hold all the same",
            request("GET / HTTP/1.1", "content-length: 5\r\n", "hello"),
            accepted(given("GET", "/", "hello")),
        ),
        case(
            "a body that looks like a request",
            "RFC 9112, 6.2: its bytes belong to the body",
            post(
                "content-length: 36\r\n",
                "GET /hidden HTTP/1.1\r\nhost: hidden\r\n",
            ),
            accepted(given(
                "POST",
                "/",
                "GET /hidden HTTP/1.1\r\nhost: hidden\r\n",
            )),
        ),
        case(
            "a length of HTTP/1.0",
            "RFC 9112, 9.3: without `keep-alive` the connection ends",
            request("POST / HTTP/1.0", "content-length: 5\r\n", "hello"),
            last(given("POST", "/", "hello")),
        ),
    ]
}

fn transfer_encodings() -> Vec<Case> {
    let coded = |value: &str| {
        let mut fields = b"transfer-encoding: ".to_vec();
        fields.extend(value.as_bytes());
        fields.extend(b"\r\n");
        post(fields, CHUNKS)
    };
    let hello = || accepted(given("POST", "/", "hello"));
    let mut cases = vec![
        case("chunks", "RFC 9112, 7.1", coded("chunked"), hello()),
        case(
            "chunks in capitals",
            "RFC 9112, 7: names of codings do not depend on case",
            post("TRANSFER-ENCODING: ChUnKeD\r\n", CHUNKS),
            hello(),
        ),
        case(
            "chunks after a tab",
            "RFC 9112, 5.1: whitespace around it is no part of the value",
            post("transfer-encoding:\tchunked \r\n", CHUNKS),
            hello(),
        ),
        case(
            "a GET with chunks",
            "RFC 9110, 9.3.1: it has no meaning; its bounds hold all the same",
            request("GET / HTTP/1.1", "transfer-encoding: chunked\r\n", CHUNKS),
            accepted(given("GET", "/", "hello")),
        ),
        case(
            "an underscore in the coding's name",
            "RFC 9110, 5.1: that is another field, and the length counts",
            post(
                "transfer_encoding: chunked\r\ncontent-length: 5\r\n",
                "hello",
            ),
            hello(),
        ),
        case(
            "chunks of HTTP/1.0",
            "RFC 9112, 6.1: its framing is faulty",
            request("POST / HTTP/1.0", "transfer-encoding: chunked\r\n", CHUNKS),
            refused(400),
        ),
        case(
            "chunks of HTTP/1.0 that lives on, with a length",
            "RFC 9112, 6.1: its framing is faulty, also with a length",
            request(
                "POST / HTTP/1.0",
                "connection: keep-alive\r\ncontent-length: 15\r\ntransfer-encoding: chunked\r\n",
                CHUNKS,
            ),
            refused(400),
        ),
        case(
            "a space before the coding's colon",
            "RFC 9112, 5.1: whitespace between name and colon is refused: 400",
            post("transfer-encoding : chunked\r\n", CHUNKS),
            refused(400),
        ),
        case(
            "a line's end before the coding's colon",
            NOT_A_FIELD,
            post("transfer-encoding\r\n: chunked\r\n", CHUNKS),
            refused(400),
        ),
        case(
            "a vertical tab in the coding's name",
            NOT_A_FIELD,
            post("transfer-encoding\u{b}: chunked\r\n", CHUNKS),
            refused(400),
        ),
        case(
            "a coding behind a space",
            "RFC 9112, 5.2: folded, or 2.2: whitespace before a field; refused",
            post(" transfer-encoding: chunked\r\n", CHUNKS),
            refused(400),
        ),
        case(
            "a coding that is folded",
            "RFC 9112, 5.2: obsolete folding is refused, which is one of two choices",
            post("transfer-encoding:\r\n chunked\r\n", CHUNKS),
            refused(400),
        ),
        case(
            "a coding behind a bare CR",
            "RFC 9112, 2.2: a bare CR makes the element invalid",
            post("x: y\rtransfer-encoding: chunked\r\n", CHUNKS),
            refused(400),
        ),
        case(
            "a coding and a byte beyond ASCII",
            NOT_CHUNKED,
            post(b"transfer-encoding: chunked\xa0\r\n", CHUNKS),
            refused(400),
        ),
    ];
    for value in ["\u{b}chunked", "chunked\u{b}", "chunked\0", "\u{8}chunked"] {
        cases.push(case(
            "a coding with a control",
            CONTROL,
            coded(value),
            refused(400),
        ));
    }
    for value in [
        "",
        "xchunked",
        "chunkedx",
        "chun ked",
        "chunked chunked",
        "identity",
        "gzip",
        "\"chunked\"",
        "'chunked'",
        "chunked;q=1",
        "chunked, identity",
        "chunked, gzip",
    ] {
        cases.push(case(
            "a coding that is not `chunked`",
            NOT_CHUNKED,
            coded(value),
            refused(400),
        ));
    }
    for value in [
        "gzip, chunked",
        "identity, chunked",
        "chunked, chunked",
        "cow, chunked",
    ] {
        cases.push(case(
            "more codings than `chunked`",
            OTHER_CODINGS,
            coded(value),
            refused(400),
        ));
    }
    for value in ["chunked,", ",chunked", "chunked, "] {
        cases.push(case(
            "a coding and an empty one",
            "RFC 9110, 5.6.1: a sender must not write empty elements; stricter than 5.6.1.2, \
             since not all readers skip them",
            coded(value),
            refused(400),
        ));
    }
    for fields in [
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\nTransfer-Encoding: cow\r\n",
        "transfer-encoding: cow\r\nTransfer-Encoding: chunked\r\n",
        "transfer-encoding:\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
    ] {
        cases.push(case(
            "two lines of codings",
            OTHER_CODINGS,
            post(fields, CHUNKS),
            refused(400),
        ));
    }
    cases
}

fn both() -> Vec<Case> {
    let hello = || last(given("POST", "/", "hello"));
    vec![
        case(
            "a length and chunks",
            BOTH,
            post(
                "content-length: 3\r\ntransfer-encoding: chunked\r\n",
                CHUNKS,
            ),
            hello(),
        ),
        case(
            "chunks and a length",
            BOTH,
            post(
                "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
                CHUNKS,
            ),
            hello(),
        ),
        case(
            "chunks and a length of nothing",
            BOTH,
            post(
                "transfer-encoding: chunked\r\ncontent-length: 0\r\n",
                CHUNKS,
            ),
            hello(),
        ),
        case(
            "chunks and a length that fits",
            BOTH,
            post(
                "transfer-encoding: chunked\r\ncontent-length: 15\r\n",
                CHUNKS,
            ),
            hello(),
        ),
        case(
            "a length around chunks that end early",
            BOTH,
            post(
                "content-length: 43\r\ntransfer-encoding: chunked\r\n",
                "0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: hidden\r\n\r\n",
            ),
            last(given("POST", "/", "")),
        ),
        case(
            "two lengths and chunks",
            INVALID,
            post(
                "content-length: 3\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n",
                CHUNKS,
            ),
            refused(400),
        ),
        case(
            "a length and a coding that is not `chunked`",
            NOT_CHUNKED,
            post(
                "content-length: 15\r\ntransfer-encoding: xchunked\r\n",
                CHUNKS,
            ),
            refused(400),
        ),
        case(
            "a length and `identity`",
            NOT_CHUNKED,
            post(
                "content-length: 5\r\ntransfer-encoding: identity\r\n",
                "hello",
            ),
            refused(400),
        ),
    ]
}
