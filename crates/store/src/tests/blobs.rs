//! Content by digest.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt as _;
use strand_bindle::Sha256;
use strand_objects::Bucket;

use super::backends::{LIMITS, all, get, memory, names, noise, put, repository};
use super::clock::Still;
use super::stepped::Stepped;
use crate::{LEASE, Store, StoreError};

#[tokio::test]
async fn content_comes_back_whole_and_in_ranges() {
    for place in all().await {
        let store = place.store();
        for length in [0, 1, 999, 1000, 1001, 3456] {
            let content = noise(length);
            let digest = Sha256::of(&content);
            assert_eq!(get(&store, digest, 0..1).await.unwrap(), None);
            let blob = put(&store, "a/b", &content).await.unwrap();
            assert_eq!((blob.digest(), blob.size()), (digest, length as u64));
            for (from, to) in [
                (0, u64::MAX),
                (0, 1),
                (998, 1002),
                (1000, 2000),
                (1, 3455),
                (9999, 10000),
            ] {
                let wanted = |end: u64| usize::try_from(end).unwrap_or(usize::MAX).min(length);
                let got = get(&store, digest, from..to).await.unwrap().unwrap();
                let (from, to) = (wanted(from), wanted(to));
                assert!(
                    got == content[from..to],
                    "{place:?} {length} {from}..{to}",
                    place = place.bucket
                );
            }
        }
    }
}

#[tokio::test]
async fn it_is_there_once_and_each_repository_has_it_that_put_it() {
    for place in all().await {
        let store = place.store();
        let content = noise(2500);
        let digest = Sha256::of(&content);
        let pieces = |names: &[String]| {
            names
                .iter()
                .filter(|name| name.starts_with("data/"))
                .count()
        };
        put(&store, "a", &content).await.unwrap();
        assert_eq!(pieces(&names(&store).await), 3);
        assert!(store.holds(&repository("a"), digest).await.unwrap());
        for other in ["b", "a/b", "A"] {
            assert!(!store.holds(&repository(other), digest).await.unwrap());
        }
        put(&store, "a/b", &content).await.unwrap();
        let mut holders = store.holders(digest).await.unwrap();
        holders.sort();
        assert_eq!(holders, [repository("a"), repository("a/b")]);
        // Whose pieces were not needed has them deleted in the background.
        while pieces(&names(&store).await) > 3 {
            tokio::task::yield_now().await;
        }
        assert!(get(&store, digest, 0..u64::MAX).await.unwrap().unwrap() == content);
        // Who only means to refer to it does not have it.
        assert!(store.lease(digest, &repository("b"), false).await.unwrap());
        assert!(!store.holds(&repository("b"), digest).await.unwrap());
        assert!(
            !store
                .lease(Sha256::of("x"), &repository("b"), false)
                .await
                .unwrap()
        );
    }
}

#[tokio::test]
async fn what_breaks_off_or_is_wrong_is_in_nobody_s_way() {
    for place in all().await {
        let store = place.store();
        let content = noise(3500);
        let digest = Sha256::of(&content);
        let mut upload = store.put(&repository("a"));
        upload.write(content.slice(..2700)).await.unwrap();
        drop(upload);
        let mut upload = store.put(&repository("a"));
        upload.write(content.slice(1..)).await.unwrap();
        let error = upload.finish(digest).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Digest { expected, .. } if expected == digest),
            "{error}"
        );
        let mut upload = store.put(&repository("a"));
        let error = upload
            .write(vec![0; (1 << 20) + 1].into())
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::TooLarge(limit) if limit == 1 << 20),
            "{error}"
        );
        drop(upload);
        while !names(&store).await.is_empty() {
            tokio::task::yield_now().await;
        }
        put(&store, "a", &content).await.unwrap();
        assert!(get(&store, digest, 0..u64::MAX).await.unwrap().unwrap() == content);
    }
}

#[tokio::test]
async fn an_upload_goes_on_on_any_server() {
    for place in all().await {
        let content = noise(4321);
        let digest = Sha256::of(&content);
        let to = repository("a");
        let upload = place.store().put_resumable(&to).await.unwrap();
        let id = upload.id();
        drop(upload);
        let mut sent = 0;
        for (step, end) in [500, 2500, 2500, 2600, 4321].into_iter().enumerate() {
            // Another server each time.
            let store = place.store();
            let mut upload = store.resume(id, &to).await.unwrap();
            assert_eq!(upload.offset(), sent as u64);
            upload.write(content.slice(sent..end)).await.unwrap();
            if step == 1 {
                // That one dies: what it has not written as a piece is gone.
                drop(upload);
                while store.resume(id, &to).await.unwrap().offset() < 2500 - 500 {
                    tokio::task::yield_now().await;
                }
                sent = usize::try_from(store.resume(id, &to).await.unwrap().offset()).unwrap();
                assert!((1500..=2500).contains(&sent), "{sent}");
                continue;
            }
            assert_eq!(upload.pause().await.unwrap(), end as u64);
            sent = end;
        }
        let store = place.store();
        let error = store.resume(id, &repository("b")).await.err().unwrap();
        assert!(matches!(error, StoreError::NoUpload(_)), "{error}");
        let upload = store.resume(id, &to).await.unwrap();
        upload.finish(digest).await.unwrap();
        assert!(get(&store, digest, 0..u64::MAX).await.unwrap().unwrap() == content);
        let error = store.resume(id, &to).await.err().unwrap();
        assert!(matches!(error, StoreError::NoUpload(_)), "{error}");
        let left = names(&store).await;
        assert!(
            left.iter().all(|name| !name.starts_with("uploads/")),
            "{left:?}"
        );

        let upload = store.put_resumable(&to).await.unwrap();
        let id = upload.id();
        store.cancel(id).await.unwrap();
        let error = store.resume(id, &to).await.err().unwrap();
        assert!(matches!(error, StoreError::NoUpload(_)), "{error}");
    }
}

#[tokio::test]
async fn two_who_go_on_with_one_upload_do_not_mix() {
    let place = memory();
    let store = place.store();
    let to = repository("a");
    let upload = store.put_resumable(&to).await.unwrap();
    let id = upload.id();
    let mut one = store.resume(id, &to).await.unwrap();
    let mut other = store.resume(id, &to).await.unwrap();
    let content = noise(1500);
    one.write(content.clone()).await.unwrap();
    assert_eq!(one.pause().await.unwrap(), 1500);
    other.write(noise(1400)).await.unwrap();
    let error = other.pause().await.unwrap_err();
    assert!(matches!(error, StoreError::Contended(_)), "{error}");
    let upload = store.resume(id, &to).await.unwrap();
    upload.finish(Sha256::of(&content)).await.unwrap();
}

#[tokio::test]
async fn what_is_damaged_is_never_given_whole() {
    let place = memory();
    let store = place.store();
    let content = noise(2500);
    let digest = Sha256::of(&content);
    put(&store, "a", &content).await.unwrap();
    let piece = names(&store)
        .await
        .into_iter()
        .find(|name| name.ends_with("/00000001"))
        .unwrap();
    let at: object_store::path::Path = format!("a/prefix/{piece}").as_str().into();
    let good = store.objects().get(&at).await.unwrap().unwrap();

    let mut bad = good.to_vec();
    bad[500] ^= 1;
    let damage = [
        (Some(bad), "its bytes have the digest"),
        (Some(good[..999].to_vec()), "its piece 1 is too short"),
        (None, "its piece 1 is gone"),
    ];
    for (bytes, expected) in damage {
        match bytes {
            Some(bytes) => drop(place.bucket.store().put(&at, bytes.into()).await.unwrap()),
            None => place.bucket.store().delete(&at).await.unwrap(),
        }
        let error = get(&store, digest, 0..u64::MAX)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// A store whose time the test has.
fn with_clock() -> (Store, std::sync::Arc<Still>) {
    let clock = Still::new();
    let stepped = Stepped::new(&clock).at_once();
    let bucket = Bucket::new("stepped", Arc::new(stepped), "").unwrap();
    let store = Store::with_clock(&bucket, LIMITS, clock.clone());
    (store, clock)
}

#[tokio::test]
async fn what_nobody_needs_goes_after_its_lease() {
    let (store, clock) = with_clock();
    let content = noise(2500);
    let digest = Sha256::of(&content);
    put(&store, "a", &content).await.unwrap();
    let given_up = store.put_resumable(&repository("a")).await.unwrap();
    let id = given_up.id();
    let mut given_up = given_up;
    given_up.write(noise(1500)).await.unwrap();
    given_up.pause().await.unwrap();

    let collected = store.collect(false).await.unwrap();
    assert_eq!(
        (collected.copies, collected.pieces, collected.staying),
        (0, 0, 1)
    );
    clock.advance(LEASE - Duration::from_secs(1));
    assert_eq!(store.collect(false).await.unwrap(), collected);
    // Whoever comes just in time has another day.
    assert!(store.lease(digest, &repository("b"), false).await.unwrap());
    let error = store.resume(id, &repository("a")).await.err().unwrap();
    assert!(matches!(error, StoreError::NoUpload(_)), "{error}");
    clock.advance(LEASE - Duration::from_secs(1));
    let would = store.collect(true).await.unwrap();
    assert_eq!((would.copies, would.pieces, would.bytes), (0, 2, 1500));
    let before = names(&store).await;
    assert_eq!(store.collect(true).await.unwrap(), would);
    assert_eq!(names(&store).await, before);
    assert_eq!(store.collect(false).await.unwrap(), would);
    assert!(store.holds(&repository("a"), digest).await.unwrap());
    assert!(get(&store, digest, 0..u64::MAX).await.unwrap().is_some());

    clock.advance(Duration::from_secs(2));
    let collected = store.collect(false).await.unwrap();
    assert_eq!(
        (collected.copies, collected.bytes, collected.staying),
        (1, 2500, 0)
    );
    assert_eq!(get(&store, digest, 0..u64::MAX).await.unwrap(), None);
    // The sentence stays until no upload of that time can end any more.
    let left = names(&store).await;
    assert!(
        left.len() == 1 && left[0].ends_with(".condemned"),
        "{left:?}"
    );
    clock.advance(LEASE);
    store.collect(false).await.unwrap();
    assert_eq!(names(&store).await, Vec::<String>::new());
}
