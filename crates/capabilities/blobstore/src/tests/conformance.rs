//! What every kind of bucket must do alike.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use object_store::memory::InMemory;
use strand_objects::{Bucket, S3Options};
use strand_s3_server::S3Server;

use super::guest::{ALL, Guest, again, bytes};
use super::s3::bucket as s3_bucket;
use crate::Config;
use crate::host::bindings::wasi::blobstore::container::HostContainer as _;

/// Runs the suite on two buckets, which may be in one store.
async fn conformance(one: &Bucket, two: &Bucket) {
    // The least that S3 takes as a part.
    let config = Config {
        part: 5 << 20,
        ..Config::default()
    };
    let mut guest = Guest::new(&config, &[("one", one, ALL), ("two", two, ALL)]);
    ranges(&mut guest).await;
    large(&mut guest).await;
    orders(&mut guest).await;
    listing(&mut guest).await;
    copies(&mut guest).await;
    errors(&mut guest).await;
    assert_eq!(guest.budget.used(), 0);
}

async fn ranges(guest: &mut Guest) {
    let one = guest.container("one").await;
    guest
        .write(&one, "digits", b"0123456789")
        .await
        .expect("written");
    for (range, expected) in [
        ((0, 9), "0123456789"),
        ((0, u64::MAX), "0123456789"),
        ((0, u64::MAX - 1), "0123456789"),
        ((0, 0), "0"),
        ((9, 9), "9"),
        ((2, 4), "234"),
        ((7, 100), "789"),
        ((3, u64::MAX), "3456789"),
    ] {
        let value = guest
            .get_data(&one, "digits", range)
            .await
            .expect("a value");
        assert_eq!(guest.size(&value).await, expected.len() as u64, "{range:?}");
        let read = guest.at_once(value).await.expect("bytes");
        assert_eq!(read, expected.as_bytes(), "{range:?}");
        let read = guest.read(&one, "digits", range).await.expect("bytes");
        assert_eq!(read, expected.as_bytes(), "{range:?}");
    }
    for range in [(10, 20), (10, u64::MAX), (5, 4)] {
        let error = guest
            .get_data(&one, "digits", range)
            .await
            .expect_err("no such range");
        assert!(
            error.contains("none from 10 on") || error.contains("the range from 5 to 4 is none"),
            "{error}"
        );
    }

    // Written again: the new bytes, and no more of the old.
    guest.write(&one, "digits", b"abc").await.expect("written");
    let read = guest.read(&one, "digits", (0, u64::MAX)).await;
    assert_eq!(read.expect("bytes"), b"abc");

    guest.write(&one, "nothing", b"").await.expect("written");
    for range in [(0, u64::MAX), (0, 10)] {
        let read = guest.read(&one, "nothing", range).await.expect("no bytes");
        assert!(read.is_empty());
    }
    assert!(guest.has(&one, "nothing").await);
    guest
        .delete(&one, &["digits", "nothing"])
        .await
        .expect("deleted");
}

async fn large(guest: &mut Guest) {
    let one = guest.container("one").await;
    // Two parts and a bit; exactly two; exactly one.
    for length in [(10 << 20) + 12_345, 10 << 20, 5 << 20] {
        let written = bytes(length);
        guest
            .write(&one, "a/large", &written)
            .await
            .expect("written");
        let read = guest
            .read(&one, "a/large", (0, u64::MAX))
            .await
            .expect("bytes");
        assert!(read == written, "{length} bytes differ");
    }
    let written = bytes(5 << 20);
    let range = ((1 << 20) + 1, (3 << 20) + 7);
    let read = guest.read(&one, "a/large", range).await.expect("bytes");
    assert!(read == written[range.0 as usize..=range.1 as usize]);
    guest.delete(&one, &["a/large"]).await.expect("deleted");
}

async fn orders(guest: &mut Guest) {
    let one = guest.container("one").await;

    // Body first, place after it: `write-data` acknowledges.
    let value = guest.value().await;
    let mut stream = guest.body(&value).await;
    super::guest::pour(&mut stream, b"body first")
        .await
        .expect("written");
    drop(stream);
    guest
        .write_data(&one, "order", &value)
        .await
        .expect("written");
    let read = guest.read(&one, "order", (0, u64::MAX)).await;
    assert_eq!(read.expect("bytes"), b"body first");
    guest.finish(value).await.expect("finished");

    // Nothing is there before `finish`.
    let value = guest.value().await;
    guest
        .write_data(&one, "later", &value)
        .await
        .expect("begun");
    let mut stream = guest.body(&value).await;
    super::guest::pour(&mut stream, b"place first")
        .await
        .expect("written");
    drop(stream);
    assert!(!guest.has(&one, "later").await);
    guest.finish(value).await.expect("finished");
    assert!(guest.has(&one, "later").await);

    // A value without a body is empty.
    let value = guest.value().await;
    guest
        .write_data(&one, "order", &value)
        .await
        .expect("begun");
    guest.finish(value).await.expect("finished");
    let read = guest.read(&one, "order", (0, u64::MAX)).await;
    assert!(read.expect("no bytes").is_empty());

    // Dropped without `finish`: as if it had not been, small or in parts.
    for length in [10, 12 << 20] {
        let value = guest.value().await;
        let mut stream = guest.body(&value).await;
        guest.write_data(&one, "lost", &value).await.expect("begun");
        super::guest::pour(&mut stream, &bytes(length))
            .await
            .expect("written");
        drop(stream);
        guest.drop_value(value);
        while guest.budget.used() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(!guest.has(&one, "lost").await);
    }
    guest
        .delete(&one, &["order", "later"])
        .await
        .expect("deleted");
}

async fn listing(guest: &mut Guest) {
    let (one, two) = (guest.container("one").await, guest.container("two").await);
    assert!(guest.names(&one).await.is_empty());
    let mut names = vec![
        "a/b/c",
        "a/b/d",
        "a/e",
        "f",
        "with space",
        "ü+&=#1 [x]",
        "%41",
    ];
    names.sort_unstable();
    for name in &names {
        guest
            .write(&one, name, name.as_bytes())
            .await
            .expect("written");
    }
    assert_eq!(guest.names(&one).await, names);
    assert!(guest.names(&two).await.is_empty());
    for name in &names {
        let read = guest.read(&one, name, (0, u64::MAX)).await.expect("bytes");
        assert_eq!(read, name.as_bytes());
    }

    let stream = guest.listing(&one).await;
    assert_eq!(guest.skip_names(&stream, 2).await, (2, false));
    let (rest, _) = guest.next_names(&stream, 100).await;
    assert_eq!(rest.len(), 5);
    assert_eq!(guest.next_names(&stream, 100).await, (Vec::new(), true));
    assert_eq!(guest.skip_names(&stream, 1).await, (0, true));

    let info = guest
        .view()
        .object_info(again(&one), "a/e".to_owned())
        .await;
    let info = info.expect("no trap").expect("its info");
    assert_eq!(
        (info.name, info.container, info.size),
        ("a/e".into(), "one".into(), 3)
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    assert!(now.as_secs().abs_diff(info.created_at) < 120);

    guest
        .delete(&one, &["a/b/c", "f", "never/was"])
        .await
        .expect("deleted");
    assert!(!guest.has(&one, "f").await);
    assert!(guest.has(&one, "a/b/d").await);
    let cleared = guest.view().clear(again(&one)).await;
    cleared.expect("no trap").expect("cleared");
    assert!(guest.names(&one).await.is_empty());
}

async fn copies(guest: &mut Guest) {
    let (one, two) = (guest.container("one").await, guest.container("two").await);
    let written = bytes((5 << 20) + 1);
    guest.write(&one, "x", &written).await.expect("written");
    guest.write(&two, "deep/y", b"old").await.expect("written");

    guest
        .copy(("one", "x"), ("one", "copies/x"))
        .await
        .expect("copied");
    guest
        .copy(("one", "x"), ("two", "deep/y"))
        .await
        .expect("copied");
    guest
        .copy(("one", "x"), ("one", "x"))
        .await
        .expect("copied");
    assert_eq!(guest.names(&one).await, ["copies/x", "x"]);
    let read = guest
        .read(&two, "deep/y", (0, u64::MAX))
        .await
        .expect("bytes");
    assert!(read == written);

    guest
        .rename(("one", "copies/x"), ("one", "z"))
        .await
        .expect("moved");
    guest
        .rename(("one", "z"), ("one", "z"))
        .await
        .expect("moved");
    guest
        .rename(("one", "z"), ("two", "z"))
        .await
        .expect("moved");
    assert_eq!(guest.names(&one).await, ["x"]);
    assert_eq!(guest.names(&two).await, ["deep/y", "z"]);
    let read = guest.read(&two, "z", (0, u64::MAX)).await.expect("bytes");
    assert!(read == written);

    for result in [
        guest.copy(("one", "no"), ("one", "new")).await,
        guest.copy(("one", "no"), ("two", "new")).await,
        guest.rename(("one", "no"), ("one", "new")).await,
        guest.rename(("one", "no"), ("one", "no")).await,
    ] {
        assert_eq!(
            result.expect_err("nothing to copy"),
            "there is no object `no`"
        );
    }
    assert!(!guest.has(&one, "new").await);
    for container in [one, two] {
        let cleared = guest.view().clear(container).await;
        cleared.expect("no trap").expect("cleared");
    }
}

async fn errors(guest: &mut Guest) {
    let one = guest.container("one").await;
    let missing = "there is no object `a/missing`";
    let error = guest.read(&one, "a/missing", (0, u64::MAX)).await;
    assert_eq!(error.expect_err("missing"), missing);
    let error = guest.read(&one, "a/missing", (5, 6)).await;
    assert_eq!(error.expect_err("missing"), missing);
    let info = guest
        .view()
        .object_info(again(&one), "a/missing".to_owned())
        .await;
    assert_eq!(info.expect("no trap").expect_err("missing"), missing);
    for name in ["", "../x", "a//b", "/a", "a/", "a\nb"] {
        let error = guest.write(&one, name, b"x").await.expect_err(name);
        assert!(error.contains("is no name of an object"), "{error}");
    }
    // One name that is none: nothing is deleted.
    guest.write(&one, "kept", b"x").await.expect("written");
    assert!(guest.delete(&one, &["kept", ".."]).await.is_err());
    assert!(guest.has(&one, "kept").await);
    guest.delete(&one, &["kept"]).await.expect("deleted");
}

#[tokio::test]
async fn memory() {
    conformance(&crate::memory(), &crate::memory()).await;
}

#[tokio::test]
async fn prefixes_of_one_store() {
    let store = Arc::new(InMemory::new());
    let at = |prefix| Bucket::new("shared", store.clone(), prefix).expect("a prefix");
    conformance(&at("a/one"), &at("a/one2")).await;
}

#[tokio::test]
async fn folders() {
    let folder = tempfile::tempdir().expect("a folder");
    let [one, two] = ["one", "two"].map(|name| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Bucket::folder(&path).expect("opens")
    });
    conformance(&one, &two).await;
}

#[tokio::test]
async fn s3() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bucket")).expect("a bucket");
    let server = S3Server::start(folder.path()).await.expect("serves");
    let options = S3Options::default();
    let [one, two] = ["one", "two/deep"].map(|prefix| s3_bucket(&server, prefix, &options));
    conformance(&one, &two).await;
}
