//! Headers in the coding of RFC 7541.

use super::{
    COMPRESSION_ERROR, Case, Ended, Good, PROTOCOL_ERROR, WHOLE, block, case, frame, pseudo,
};
use crate::frames::HEADERS;

const INDEX: &str = "RFC 7541, 2.3.3 and 6.1: an index that no table has is an error";
const STRING: &str = "RFC 7541, 5.2: a string that is not whole, or not Huffman's";
const TABLE: &str = "RFC 7541, 4.2 and 6.3: the table is no larger than the setting, and changes \
     at a block's beginning";

/// h2, below hyper, tells every fault in a block as this.
const LESS_SPECIFIC: &str = "h2 says PROTOCOL_ERROR; the connection ends all the same";

pub(super) fn cases() -> Vec<Case> {
    let headers = |bytes: Vec<u8>| [frame(HEADERS, WHOLE, 1, &bytes)];
    // A request to `/bad`, and then what is wrong.
    let then = |bytes: &[u8]| headers([&block(&pseudo("GET", "/bad")), bytes].concat());
    let good = || block(&pseudo("GET", "/"));
    let wrong = |name, rule, frames| {
        case(name, rule, frames, Ended(&[COMPRESSION_ERROR]))
            .leftover(Ended(&[PROTOCOL_ERROR]), LESS_SPECIFIC)
    };
    vec![
        case(
            "a table that is made smaller, and larger again",
            "RFC 7541, 4.2: at a block's beginning",
            headers([&[0x20, 0x3f, 0xe1, 0x1f], &good()[..]].concat()),
            Good,
        ),
        case(
            "a field of the dynamic table",
            "RFC 7541, 6.2.1",
            headers([&good()[..], &[0x40, 1, b'x', 1, b'y', 0xbe, 0xbe]].concat()),
            Good,
        ),
        case(
            "strings in Huffman's code",
            "RFC 7541, 5.2: `a`, five bits, and three of padding",
            headers([&good()[..], &[0, 0x81, 0x1f, 0x81, 0x1f]].concat()),
            Good,
        ),
        case(
            "a field that is never to be indexed",
            "RFC 7541, 6.2.3",
            headers([&good()[..], &[0x10, 1, b'x', 1, b'y']].concat()),
            Good,
        ),
        wrong("index 0", INDEX, then(&[0x80])),
        wrong("an index beyond the tables", INDEX, then(&[0xbe])),
        wrong(
            "an index far beyond the tables",
            INDEX,
            then(&[0xff, 0xff, 0x7f]),
        ),
        wrong(
            "a name beyond the tables",
            INDEX,
            then(&[0x7f, 0x20, 1, b'y']),
        ),
        wrong(
            "an index that overflows",
            "RFC 7541, 5.1: an integer beyond the limit is an error",
            then(&[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
            ]),
        ),
        wrong(
            "a string longer than the block",
            STRING,
            then(&[0, 1, b'x', 9, b'y']),
        ),
        wrong("a field that breaks off", STRING, then(&[0, 1])),
        wrong(
            "padding of eight bits",
            STRING,
            then(&[0, 1, b'x', 0x82, 0x1f, 0xff]),
        ),
        wrong("padding of zeros", STRING, then(&[0, 1, b'x', 0x81, 0x18])),
        wrong(
            "the end of a string within a string",
            STRING,
            then(&[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]),
        ),
        wrong(
            "a table that is too large",
            TABLE,
            headers([&[0x3f, 0xe2, 0x1f], &block(&pseudo("GET", "/bad"))[..]].concat()),
        ),
        wrong(
            "a change of the table at a block's end",
            TABLE,
            then(&[0x20]),
        ),
    ]
}
