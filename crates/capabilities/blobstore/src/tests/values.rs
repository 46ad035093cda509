//! Bounds of what is read and written.

use std::time::Duration;

use super::guest::{ALL, Guest, bytes, drain, pour, text};
use crate::Config;
use crate::bucket::Bucket;

const SMALL: Config = Config {
    read_ahead: 512 << 10,
    at_once: 1000,
    part: 64 << 10,
    retry_for: Duration::from_secs(1),
};

#[tokio::test]
async fn a_value_at_once_is_bounded() {
    let bucket = Bucket::memory();
    let mut guest = Guest::new(&SMALL, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    guest.write(&c, "x", &bytes(1001)).await.expect("written");
    let value = guest.get_data(&c, "x", (0, 999)).await.expect("a value");
    assert_eq!(guest.at_once(value).await.expect("bytes"), bytes(1000));
    let value = guest.get_data(&c, "x", (0, 1000)).await.expect("a value");
    let error = guest.at_once(value).await.expect_err("too large");
    assert!(
        error.starts_with("the value has 1001 bytes and at most 1000"),
        "{error}"
    );
}

#[tokio::test]
async fn reading_ahead_is_bounded_and_charged() {
    let bucket = Bucket::memory();
    let mut guest = Guest::with_budget(&SMALL, &[("c", &bucket, ALL)], 1 << 20);
    let c = guest.container("c").await;
    guest
        .write(&c, "x", &bytes(4 << 20))
        .await
        .expect("written");
    assert_eq!(guest.budget.used(), 0);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let value = guest
            .get_data(&c, "x", (0, u64::MAX))
            .await
            .expect("a value");
        streams.push(guest.stream(value).await.expect("a stream"));
    }
    assert_eq!(guest.budget.used(), 1 << 20);
    let value = guest
        .get_data(&c, "x", (0, u64::MAX))
        .await
        .expect("a value");
    let error = guest.stream(value).await.err().expect("no memory");
    assert!(error.starts_with("this node has no memory left"), "{error}");
    // A small one has room in what is left of nothing: none.
    let value = guest.get_data(&c, "x", (0, 0)).await.expect("a value");
    assert!(guest.at_once(value).await.is_err());

    let read = drain(&mut streams[0]).await.expect("bytes");
    assert!(read == bytes(4 << 20));
    drop(streams);
    assert_eq!(guest.budget.used(), 0);
}

#[tokio::test]
async fn without_a_place_two_parts_are_kept_and_no_more() {
    let bucket = Bucket::memory();
    let mut guest = Guest::new(&SMALL, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    let value = guest.value().await;
    let mut stream = guest.body(&value).await;
    pour(&mut stream, &bytes(2 * SMALL.part))
        .await
        .expect("room");
    let error = text(stream.write_ready().await.expect_err("full"));
    assert!(error.contains("call write-data first"), "{error}");
    // With a place there is room again.
    guest.write_data(&c, "x", &value).await.expect("begun");
    pour(&mut stream, b"more").await.expect("room");
    drop(stream);
    guest.finish(value).await.expect("finished");
    let mut expected = bytes(2 * SMALL.part);
    expected.extend_from_slice(b"more");
    let read = guest.read(&c, "x", (0, u64::MAX)).await.expect("bytes");
    assert!(read == expected);
}

#[tokio::test]
async fn a_value_has_one_body_and_one_place() {
    use crate::host::bindings::wasi::blobstore::types::HostOutgoingValue as _;
    let bucket = Bucket::memory();
    let mut guest = Guest::new(&SMALL, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    let value = guest.value().await;
    let again = super::guest::again(&value);
    let stream = guest.body(&value).await;
    let second = guest.view().outgoing_value_write_body(again).await;
    assert!(second.expect("no trap").is_err());
    guest.write_data(&c, "x", &value).await.expect("begun");
    let error = guest
        .write_data(&c, "y", &value)
        .await
        .expect_err("two places");
    assert!(error.contains("was given a place before"), "{error}");
    drop(stream);
    guest.finish(value).await.expect("finished");

    let value = guest.value().await;
    let error = guest.finish(value).await.expect_err("no place");
    assert!(error.contains("call write-data before finish"), "{error}");
    assert_eq!(guest.names(&c).await, ["x"]);
}

#[tokio::test]
async fn a_stream_outlives_no_value() {
    use crate::host::bindings::wasi::blobstore::types::HostOutgoingValue as _;
    let bucket = Bucket::memory();
    let mut guest = Guest::new(&SMALL, &[("c", &bucket, ALL)]);
    let value = guest.value().await;
    let again = super::guest::again(&value);
    let stream = guest.view().outgoing_value_write_body(again).await;
    let _stream = stream.expect("no trap").expect("a stream");
    // The stream is still in the guest's hands: that is a trap.
    let value = wasmtime::component::Resource::new_own(value.rep());
    assert!(guest.view().finish(value).await.is_err());
}

#[tokio::test]
async fn writing_without_memory_is_the_guests_error() {
    let bucket = Bucket::memory();
    let mut guest = Guest::with_budget(&SMALL, &[("c", &bucket, ALL)], 100 << 10);
    let c = guest.container("c").await;
    let value = guest.value().await;
    let mut stream = guest.body(&value).await;
    let error = pour(&mut stream, &bytes(101 << 10))
        .await
        .expect_err("no memory");
    assert!(error.starts_with("this node has no memory left"), "{error}");
    drop(stream);
    guest.drop_value(value);
    assert_eq!(guest.budget.used(), 0);
    guest
        .write(&c, "x", &bytes(50 << 10))
        .await
        .expect("written");
}
