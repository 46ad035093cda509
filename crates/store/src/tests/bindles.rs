//! Invoices: published once, yanked, deleted, found.

use bytes::Bytes;
use strand_bindle::{Document, Id, Query, Sha256};

use super::backends::{all, get, memory, noise, put, repository};
use crate::{BindleError, Repository, Store};

/// An invoice with parcels of these.
pub(super) fn invoice(id: &str, parcels: &[&Bytes]) -> Document {
    let (name, version) = id.rsplit_once('/').unwrap();
    let mut text = format!(
        "# As it came.\nbindleVersion = '1.0.0'\nbindle = {{ name = '{name}', version = '{version}' }}\n"
    );
    for parcel in parcels {
        let digest = Sha256::of(parcel);
        let size = parcel.len();
        text += &format!(
            "[[parcel]]\nlabel = {{ name = 'x', sha256 = '{digest}', mediaType = 'a/b', size = {size} }}\n"
        );
    }
    Document::from_toml(text.into_bytes()).unwrap()
}

fn nobody(_: &Repository) -> bool {
    false
}

fn everybody(_: &Repository) -> bool {
    true
}

async fn publish(store: &Store, document: &Document) -> Result<usize, BindleError> {
    Ok(store.publish(document, None, &nobody).await?.len())
}

#[tokio::test]
async fn an_invoice_is_as_it_came_and_comes_once() {
    for place in all().await {
        let store = place.store();
        let (one, two) = (noise(1200), noise(10));
        let document = invoice("example.com/a/1.0.0+b.1", &[&one, &two, &one]);
        let id = document.invoice().id();
        assert!(store.bindle(id).await.unwrap().is_none());
        let missing = store.publish(&document, None, &nobody).await.unwrap();
        let digests: Vec<Sha256> = missing.iter().map(|label| label.sha256).collect();
        assert_eq!(digests, [Sha256::of(&one), Sha256::of(&two)]);

        put(&store, "example.com/a", &one).await.unwrap();
        let bindle = store.bindle(id).await.unwrap().unwrap();
        assert_eq!(bindle.document.bytes(), document.bytes());
        assert!(!bindle.yanked);
        let missing = store.missing(&bindle).await.unwrap();
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].sha256, Sha256::of(&two));
        // It is content, too.
        let bytes = get(&store, document.digest(), 0..u64::MAX).await.unwrap();
        assert_eq!(bytes.as_deref(), Some(document.bytes()));

        for again in [&document, &invoice("example.com/a/1.0.0+b.1", &[])] {
            let error = publish(&store, again).await.unwrap_err();
            assert!(matches!(error, BindleError::Exists(_)), "{error}");
        }
        // Another build is another version.
        assert_eq!(
            publish(&store, &invoice("example.com/a/1.0.0", &[&one]))
                .await
                .unwrap(),
            0
        );
        let json = document
            .invoice()
            .to_json()
            .unwrap()
            .replace("1.0.0+b.1", "2.0.0");
        let json = Document::read(json.into_bytes(), strand_bindle::Format::Json).unwrap();
        publish(&store, &json).await.unwrap();
        let kept = store.bindle(json.invoice().id()).await.unwrap().unwrap();
        assert_eq!(kept.document.bytes(), json.bytes());
    }
}

#[tokio::test]
async fn knowing_a_digest_is_not_having_the_content() {
    let place = memory();
    let store = place.store();
    let secret = noise(1200);
    put(&store, "theirs", &secret).await.unwrap();
    let document = invoice("mine/1.0.0", &[&secret]);
    assert_eq!(publish(&store, &document).await.unwrap(), 1);
    assert!(
        !store
            .holds(&repository("mine"), Sha256::of(&secret))
            .await
            .unwrap()
    );
    // Who may read it there need not put it again.
    let document = invoice("ours/1.0.0", &[&secret]);
    let missing = store.publish(&document, None, &everybody).await.unwrap();
    assert_eq!(missing, []);
    assert!(
        store
            .holds(&repository("ours"), Sha256::of(&secret))
            .await
            .unwrap()
    );
    let wrong = Document::from_toml(
        String::from_utf8(document.bytes().to_vec())
            .unwrap()
            .replace("size = 1200", "size = 1201")
            .replace("1.0.0' }", "2.0.0' }")
            .into_bytes(),
    )
    .unwrap();
    let error = store.publish(&wrong, None, &everybody).await.unwrap_err();
    assert!(
        matches!(
            error,
            BindleError::Size {
                expected: 1201,
                actual: 1200,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_yanked_stays_and_what_is_deleted_does_not_come_again() {
    for place in all().await {
        let store = place.store();
        let document = invoice("a/b/1.0.0", &[]);
        let id = document.invoice().id();
        let error = store.yank(id).await.unwrap_err();
        assert!(matches!(error, BindleError::Unknown(_)), "{error}");
        publish(&store, &document).await.unwrap();
        store.yank(id).await.unwrap();
        store.yank(id).await.unwrap();
        assert!(store.bindle(id).await.unwrap().unwrap().yanked);
        let error = publish(&store, &document).await.unwrap_err();
        assert!(matches!(error, BindleError::Exists(_)), "{error}");

        store.delete_bindle(id).await.unwrap();
        for error in [
            store.bindle(id).await.unwrap_err(),
            publish(&store, &document).await.unwrap_err(),
        ] {
            assert!(matches!(error, BindleError::Deleted(_)), "{error}");
        }
        let error = store.delete_bindle(id).await.unwrap_err();
        assert!(matches!(error, BindleError::Unknown(_)), "{error}");
        let all = Query {
            yanked: true,
            ..Query::default()
        };
        assert_eq!(store.search(&all, &|_| true).await.unwrap().0, 0);
    }
}

#[tokio::test]
async fn a_search_has_pages() {
    for place in all().await {
        let store = place.store();
        for id in [
            "b/1.0.0",
            "a/x/2.0.0",
            "a/x/10.0.0",
            "a/x/1.0.0",
            "c/1.0.0-rc.1",
        ] {
            publish(&store, &invoice(id, &[])).await.unwrap();
        }
        let yanked: Id = "a/x/1.0.0".parse().unwrap();
        store.yank(&yanked).await.unwrap();
        for (query, total, expected) in [
            ("", 4, "a/x/2.0.0 a/x/10.0.0 b/1.0.0 c/1.0.0-rc.1"),
            (
                "yanked=true",
                5,
                "a/x/1.0.0 a/x/2.0.0 a/x/10.0.0 b/1.0.0 c/1.0.0-rc.1",
            ),
            ("o=1&l=2", 4, "a/x/10.0.0 b/1.0.0"),
            ("q=a&strict=true", 2, "a/x/2.0.0 a/x/10.0.0"),
            ("q=a&v=^2", 1, "a/x/2.0.0"),
            ("o=9", 4, ""),
        ] {
            let (found, page) = store
                .search(&Query::parse(query).unwrap(), &|_| true)
                .await
                .unwrap();
            let page: Vec<String> = page
                .iter()
                .map(|bindle| bindle.document.invoice().id().to_string())
                .collect();
            assert_eq!(
                (found, page.join(" ").as_str()),
                (total, expected),
                "{query}"
            );
        }
    }
}
