//! Bounds of what is read and written.

use std::time::Duration;

use super::guest::{ALL, Guest, bytes, drain, pour, text};
use crate::Config;
use crate::memory::memory;
use crate::memory::memory_of;

const SMALL: Config = Config {
    read_ahead: 512 << 10,
    at_once: 1000,
    part: 64 << 10,
    retry_for: Duration::from_secs(1),
    values: 64,
    buffers: 64 << 20,
};

#[tokio::test]
async fn a_value_at_once_is_bounded() {
    let bucket = memory();
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
    let bucket = memory();
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
    let bucket = memory();
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
    let bucket = memory();
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
    let bucket = memory();
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
    let bucket = memory();
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

/// Opens values until there is no room.
#[tokio::test]
async fn values_that_are_open_are_bounded() {
    use crate::host::bindings::wasi::blobstore::container::HostContainer as _;
    let config = Config {
        values: 18,
        ..SMALL
    };
    let bucket = memory();
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    guest.write(&c, "x", b"data").await.expect("written");
    let limit = "an instance may have 18 values of blobs open at once";

    // A listing is many, until it ends.
    let listing = guest.listing(&c).await;
    let second = guest.view().list_objects(super::guest::again(&c)).await;
    let error = second.expect("no trap").expect_err("no room");
    assert!(error.starts_with(limit), "{error}");
    let reading = guest.get_data(&c, "x", (0, 9)).await.expect("a value");
    let writing = guest.value().await;
    let error = guest.get_data(&c, "x", (0, 9)).await.expect_err("no room");
    assert!(error.starts_with(limit), "{error}");
    // What takes no value goes on.
    guest.copy(("c", "x"), ("c", "y")).await.expect("copied");

    // The interface has no error for the making of a value: its use has.
    let refused = guest.value().await;
    let mut stream = guest.body(&refused).await;
    let error = text(stream.write_ready().await.expect_err("no room"));
    assert!(error.starts_with(limit), "{error}");
    let error = guest.write_data(&c, "z", &refused).await;
    assert!(error.expect_err("no room").starts_with(limit));
    drop(stream);
    let error = guest.finish(refused).await.expect_err("no room");
    assert!(error.starts_with(limit), "{error}");
    assert!(!guest.has(&c, "z").await);

    // A stream is the value that it came from, up to its end.
    let mut stream = guest.stream(reading).await.expect("a stream");
    assert!(guest.get_data(&c, "x", (0, 9)).await.is_err());
    assert_eq!(drain(&mut stream).await.expect("bytes"), b"data");
    guest.read(&c, "x", (0, 9)).await.expect("room");
    let value = guest.get_data(&c, "x", (0, 9)).await.expect("room");
    let unread = guest.stream(value).await.expect("a stream");
    assert!(guest.get_data(&c, "x", (0, 9)).await.is_err());
    drop(unread);
    guest.drop_value(writing);
    for _ in 0..2 {
        guest.get_data(&c, "x", (0, 9)).await.expect("room");
    }
    assert!(guest.get_data(&c, "x", (0, 9)).await.is_err());
    // Nor does a listing hold anything when it has ended.
    assert!(guest.next_names(&listing, 10).await.1, "the end");
    assert_eq!(guest.names(&c).await, ["x", "y"]);
}

#[tokio::test]
async fn buffers_of_an_instance_are_bounded() {
    let config = Config {
        buffers: 1 << 20,
        ..SMALL
    };
    let bucket = memory();
    let mut guest = Guest::new(&config, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    guest
        .write(&c, "x", &bytes(4 << 20))
        .await
        .expect("written");
    let limit = "an instance may buffer 1Mi of blobs at once";
    let mut streams = Vec::new();
    for _ in 0..2 {
        let value = guest.get_data(&c, "x", (0, u64::MAX)).await;
        streams.push(guest.stream(value.expect("a value")).await.expect("room"));
    }
    let value = guest.get_data(&c, "x", (0, 999)).await.expect("a value");
    let error = guest.at_once(value).await.expect_err("no room");
    assert!(error.starts_with(limit), "{error}");
    let error = guest.write(&c, "y", b"more").await.expect_err("no room");
    assert!(error.starts_with(limit), "{error}");
    // Another instance has its own.
    let mut other = Guest::new(&config, &[("c", &bucket, ALL)]);
    let own = other.container("c").await;
    other.write(&own, "y", b"more").await.expect("room");
    streams.pop();
    guest.write(&c, "y", b"more").await.expect("room");
    drop(streams);
    assert_eq!(guest.budget.used(), 0);
}

#[tokio::test]
async fn a_bucket_in_memory_is_bounded() {
    let bucket = memory_of(1 << 20);
    let mut guest = Guest::new(&SMALL, &[("c", &bucket, ALL)]);
    let c = guest.container("c").await;
    let full = "`y` is refused: this bucket is in memory, of which it may have 1Mi";
    guest.write(&c, "x", &bytes(970 << 10)).await.expect("room");
    // At once, and in parts.
    for length in [60 << 10, 300 << 10] {
        let error = guest.write(&c, "y", &bytes(length)).await;
        let error = error.expect_err("full");
        assert!(error.starts_with(full), "{length}: {error}");
    }
    let error = guest.copy(("c", "x"), ("c", "y")).await.expect_err("full");
    assert!(error.starts_with(full), "{error}");
    assert_eq!(guest.names(&c).await, ["x"]);
    guest.delete(&c, &["x"]).await.expect("deleted");
    guest
        .write(&c, "y", &bytes(1000 << 10))
        .await
        .expect("room");
}
