//! Who may what, and what the others are told.

use strand_bindle::Sha256;
use strand_bindle::wire::Matches;
use strand_store::auth::{Caller, Right};

use crate::client::{Client, grants, invoice};

#[tokio::test]
async fn rights_are_of_namespaces() {
    let owner = Client::new();
    let theirs = b"their content".as_slice();
    owner.create(&invoice("theirs/a/1.0.0", &[theirs])).await;
    let parcel = |id: &str| format!("/v1/_i/{id}@{}", Sha256::of(theirs));
    owner
        .check(
            &format!("POST {}", parcel("theirs/a/1.0.0")),
            &[],
            theirs,
            200,
            "",
        )
        .await;
    owner.create(&invoice("ours/a/1.0.0", &[])).await;

    let mut ours = grants("ours", &[Right::Pull, Right::Push]);
    ours.extend(grants("shown", &[Right::Pull]));
    let known = owner.of(Caller::known("ann", ours.clone()));
    let unknown = owner.of(Caller::anonymous(ours));
    for (line, allowed) in [
        ("GET /v1/_i/ours/a/1.0.0", Some(200)),
        ("GET /v1/_i/shown/a/1.0.0", Some(404)),
        ("GET /v1/_i/theirs/a/1.0.0", None),
        ("HEAD /v1/_i/theirs/a/1.0.0", None),
        // Whether there is one is nobody's business either.
        ("GET /v1/_i/theirs/a/9.0.0", None),
        ("GET /v1/_r/missing/theirs/a/1.0.0", None),
        (&format!("GET {}", parcel("theirs/a/1.0.0")), None),
        (&format!("POST {}", parcel("theirs/a/1.0.0")), None),
        ("DELETE /v1/_i/ours/a/1.0.0", None),
        ("DELETE /v1/_i/theirs/a/1.0.0", None),
        ("GET /v1/_q", Some(200)),
        ("GET /v1/bindle-keys", Some(200)),
    ] {
        let known = known.ask(line, &[], "").await;
        assert_eq!(
            known.status.as_u16(),
            allowed.unwrap_or(403),
            "{line}: {}",
            known.text()
        );
        let unknown = unknown.ask(line, &[], "").await;
        assert_eq!(unknown.status.as_u16(), allowed.unwrap_or(401), "{line}");
        let asks = unknown
            .header("www-authenticate")
            .starts_with("Basic realm=");
        assert_eq!(asks, allowed.is_none(), "{line}");
    }
    for (id, status) in [
        ("ours/b/1.0.0", 201),
        ("shown/b/1.0.0", 403),
        ("oursb/1.0.0", 403),
    ] {
        let body = invoice(id, &[]).to_toml().unwrap();
        known.check("POST /v1/_i", &[], body, status, "").await;
    }
    let found: Matches = known.get("/v1/_q?q=a").await.toml();
    assert_eq!(found.total, 1);
    assert_eq!(found.invoices[0].id().to_string(), "ours/a/1.0.0");

    // Its digest does not open a parcel that somebody may not see.
    let answered = known.create(&invoice("ours/c/1.0.0", &[theirs])).await;
    assert_eq!(answered.status.as_u16(), 202, "{}", answered.text());
    let line = format!("GET {}", parcel("ours/c/1.0.0"));
    known.check(&line, &[], "", 404, "not uploaded yet").await;
    let line = format!("POST {}", parcel("ours/c/1.0.0"));
    known.check(&line, &[], theirs, 200, "").await;
    let line = format!("GET {}", parcel("ours/c/1.0.0"));
    known.check(&line, &[], "", 200, "their content").await;
}
