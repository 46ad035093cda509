//! Bodies on their way in and out.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use http::StatusCode;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use tokio::time::timeout;

use super::answer::Refused;
use super::asked::Incoming;
use crate::StoreError;

/// The body of an answer. It ends in an error where content is damaged or cannot be read on.
pub type Body = UnsyncBoxBody<Bytes, StoreError>;

pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub(super) fn streamed(
    stream: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static,
) -> Body {
    StreamBody::new(stream.map_ok(Frame::data)).boxed_unsync()
}

/// Hands on what comes, piece by piece; none may take longer than `silence`.
pub(super) async fn read(
    mut body: Incoming,
    silence: Duration,
    mut take: impl AsyncFnMut(Bytes) -> Result<(), Refused>,
) -> Result<(), Refused> {
    loop {
        let frame = timeout(silence, body.frame()).await.map_err(|_| {
            let why = format!("nothing of the body came for {silence:?}");
            Refused::new(StatusCode::REQUEST_TIMEOUT, why)
        })?;
        let Some(frame) = frame else {
            return Ok(());
        };
        let frame = frame.map_err(|error| {
            let why = format!("the body broke off: {error}");
            Refused::new(StatusCode::BAD_REQUEST, why)
        })?;
        if let Ok(bytes) = frame.into_data() {
            take(bytes).await?;
        }
    }
}

/// The whole of a small body.
pub(super) async fn whole(
    body: Incoming,
    silence: Duration,
    most: usize,
) -> Result<Vec<u8>, Refused> {
    let mut whole = Vec::new();
    read(body, silence, async |bytes| {
        if whole.len() + bytes.len() > most {
            let why = format!("the body is too large: {most} bytes are allowed");
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        whole.extend_from_slice(&bytes);
        Ok(())
    })
    .await?;
    Ok(whole)
}
