//! `/stdout` and `/stderr`.

use guest_behaviour::case_name;
use wasip3::cli::types::ErrorCode as OutputError;
use wasip3::http::types::{ErrorCode, Response};
use wasip3::wit_bindgen::{FutureReader, StreamReader};
use wasip3::wit_stream;

use crate::answer;

/// Writes lines to one of the outputs and waits until the host has taken them.
pub(crate) async fn lines(
    write_via_stream: impl FnOnce(StreamReader<u8>) -> FutureReader<Result<(), OutputError>>,
    name: &str,
    count: u64,
) -> Result<Response, ErrorCode> {
    let (mut output, contents) = wit_stream::new();
    let write = async move {
        for line in 0..count {
            let line = format!("{name} line {line}\n").into_bytes();
            if !output.write_all(line).await.is_empty() {
                return;
            }
        }
    };
    match futures::join!(write_via_stream(contents).into_future(), write).0 {
        Ok(()) => answer::text(200, "done\n"),
        Err(error) => answer::text(502, &format!("{}\n", case_name(&format!("{error:?}")))),
    }
}
