//! More of everything than anybody wants.

use std::hint::black_box;
use std::io::{self, Write};

use guest_behaviour::{Count, Hostile};
use wasip2::http::types::{Fields, ResponseOutparam};

use crate::answer;

const LINE: &str = "the quick brown fox jumps over the lazy dog and over the log";

pub(crate) fn stdout(count: Count, out: ResponseOutparam) {
    lines(count, io::stdout(), out);
}

pub(crate) fn stderr(count: Count, out: ResponseOutparam) {
    lines(count, io::stderr(), out);
}

fn lines(count: Count, mut output: impl Write, out: ResponseOutparam) {
    for line in count.rounds() {
        // A host that closes the output has not stopped the flood.
        let _ = writeln!(output, "{line} {LINE}");
    }
    answer::text(out, 200, "done\n");
}

pub(crate) fn log(count: Count, out: ResponseOutparam) {
    for line in count.rounds() {
        guest_capabilities::log(line, "flood", LINE);
    }
    answer::text(out, 200, "done\n");
}

pub(crate) fn headers(count: Count, out: ResponseOutparam) {
    let headers = Fields::new();
    let value = [b'x'; 1000];
    let mut taken = 0;
    let mut end = "asked for".to_owned();
    for line in count.rounds() {
        if let Err(error) = headers.append(&format!("flood-{line}"), &value) {
            end = format!("{error:?}");
            break;
        }
        taken += 1;
    }
    answer::whole(out, 200, headers, format!("{taken} {end}\n").as_bytes());
}

/// Keeps as many full sets of fields as the host lets it.
pub(crate) fn keep_headers() -> usize {
    let value = vec![b'x'; Hostile::KEPT];
    let mut kept = Vec::new();
    loop {
        let headers = Fields::new();
        if headers.append("kept", &value).is_err() {
            return kept.len();
        }
        kept.push(headers);
    }
}

pub(crate) fn random(size: u64) -> ! {
    loop {
        black_box(wasip2::random::random::get_random_bytes(size));
    }
}
