//! More of everything than anybody wants.

use std::hint::black_box;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use guest_behaviour::{Count, Hostile};
use wasip3::cli::types::ErrorCode as OutputError;
use wasip3::cli::{stderr, stdout};
use wasip3::clocks::monotonic_clock;
use wasip3::http::types::{ErrorCode, Fields, Response};
use wasip3::wit_bindgen::{FutureReader, StreamReader};
use wasip3::wit_stream;

use crate::answer;

const LINE: &str = "the quick brown fox jumps over the lazy dog and over the log";

pub(crate) async fn stdout(count: Count) -> Result<Response, ErrorCode> {
    lines(count, stdout::write_via_stream).await
}

pub(crate) async fn stderr(count: Count) -> Result<Response, ErrorCode> {
    lines(count, stderr::write_via_stream).await
}

async fn lines(
    count: Count,
    write_via_stream: impl FnOnce(StreamReader<u8>) -> FutureReader<Result<(), OutputError>>,
) -> Result<Response, ErrorCode> {
    let (mut output, contents) = wit_stream::new();
    let flood = async move {
        for line in count.rounds() {
            // A host that closes the output has not stopped the flood.
            output
                .write_all(format!("{line} {LINE}\n").into_bytes())
                .await;
        }
    };
    let (_written, ()) = futures::join!(write_via_stream(contents).into_future(), flood);
    answer::text(200, "done\n")
}

pub(crate) fn log(count: Count) -> Result<Response, ErrorCode> {
    for line in count.rounds() {
        guest_capabilities::log(line, "flood", LINE);
    }
    answer::text(200, "done\n")
}

pub(crate) fn headers(count: Count) -> Result<Response, ErrorCode> {
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
    answer::whole(200, headers, format!("{taken} {end}\n").into_bytes())
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
        black_box(wasip3::random::random::get_random_bytes(size));
    }
}

/// Has ever more calls of the host under way.
pub(crate) async fn waits() -> Result<Response, ErrorCode> {
    let mut waits = FuturesUnordered::new();
    loop {
        waits.push(monotonic_clock::wait_for(u64::MAX));
        // Polled once, a call is under way.
        if let Some(Some(())) = futures::FutureExt::now_or_never(waits.next()) {
            return answer::text(200, "for ever is over\n");
        }
    }
}
