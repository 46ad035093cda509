//! What a function may do, and what it is told when it may not.

use std::collections::BTreeMap;

use strand_engine::MemoryBudget;

use super::guest::{ALL, Guest, READ, WRITE, again};
use crate::host::bindings::wasi::blobstore::blobstore::Host as _;
use crate::host::bindings::wasi::blobstore::container::HostContainer as _;
use crate::memory::memory;
use crate::{Blobstore, Config, Grant, Unbound};

async fn guest() -> Guest {
    let shared = memory();
    let mut owner = Guest::new(&Config::default(), &[("own", &shared, ALL)]);
    let own = owner.container("own").await;
    owner.write(&own, "x", b"data").await.expect("written");
    let containers = [("in", &shared, READ), ("out", &shared, WRITE)];
    Guest::new(&Config::default(), &containers)
}

#[tokio::test]
async fn reading_is_not_writing() {
    let mut guest = guest().await;
    let input = guest.container("in").await;
    assert!(guest.has(&input, "x").await);
    let cleared = guest.view().clear(again(&input)).await.expect("no trap");
    let one = guest.view().delete_object(again(&input), "x".into()).await;
    for denied in [
        guest.write(&input, "x", b"other").await,
        guest.delete(&input, &["x"]).await,
        guest.rename(("in", "x"), ("out", "y")).await,
        guest.copy(("in", "x"), ("in", "y")).await,
        cleared,
        one.expect("no trap"),
    ] {
        assert_eq!(
            denied.expect_err("denied"),
            "access denied: this function has no `write` on the container `in`; \
             it would be `grants.blobs.in: [write]`"
        );
    }
    let read = guest.read(&input, "x", (0, u64::MAX)).await;
    assert_eq!(read.expect("unchanged"), b"data");
}

#[tokio::test]
async fn writing_is_not_reading() {
    let mut guest = guest().await;
    let output = guest.container("out").await;
    guest.write(&output, "y", b"new").await.expect("written");
    guest.copy(("in", "x"), ("out", "z")).await.expect("copied");
    let has = guest.view().has_object(again(&output), "x".into()).await;
    let info = guest.view().object_info(again(&output), "x".into()).await;
    let list = guest.view().list_objects(again(&output)).await;
    for denied in [
        guest.read(&output, "y", (0, 1)).await.map(|_| ()),
        guest.copy(("out", "x"), ("out", "y")).await,
        has.expect("no trap").map(|_| ()),
        info.expect("no trap").map(|_| ()),
        list.expect("no trap").map(|_| ()),
    ] {
        let error = denied.expect_err("denied");
        assert!(
            error.contains("has no `read` on the container `out`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn other_containers_do_not_exist() {
    let mut guest = guest().await;
    let mut view = guest.view();
    let get = view.get_container("own".into()).await.expect("no trap");
    let error = get.expect_err("not granted");
    assert_eq!(
        error,
        "no such container: \"own\"; this function has in, out"
    );
    for (name, exists) in [("in", true), ("out", true), ("own", false), ("", false)] {
        let answer = view.container_exists(name.into()).await;
        assert_eq!(answer.expect("no trap"), Ok(exists));
    }
    let made = view.create_container("new".into()).await.expect("no trap");
    let deleted = view.delete_container("in".into()).await.expect("no trap");
    for error in [made.map(|_| ()), deleted] {
        let error = error.expect_err("denied");
        assert!(
            error.starts_with("access denied: containers are resources"),
            "{error}"
        );
    }
    assert!(guest.copy(("own", "x"), ("out", "x")).await.is_err());
    let input = guest.container("in").await;
    let name = guest.view().name(again(&input)).await.expect("no trap");
    assert_eq!(name, Ok("in".to_owned()));
    let info = guest
        .view()
        .info(input)
        .await
        .expect("no trap")
        .expect("info");
    assert_eq!((info.name.as_str(), info.created_at), ("in", 0));
}

#[test]
fn a_container_without_a_place_is_told_at_start() {
    let mut grant = Grant::default();
    grant.containers.insert("genomes".to_owned(), READ);
    let budget = MemoryBudget::new(1);
    let result = Blobstore::new(&Config::default(), &budget, grant, &BTreeMap::new());
    assert_eq!(result.err(), Some(Unbound("genomes".to_owned())));
}
