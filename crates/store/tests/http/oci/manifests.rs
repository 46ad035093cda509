//! Manifests, indices, tags and referrers.

use http::StatusCode;
use serde_json::{Value, json};

use super::{INDEX, MANIFEST, descriptor, digest, manifest, parsed, push, put};
use crate::client::Client;

#[tokio::test]
async fn a_manifest_needs_what_it_refers_to() {
    let client = Client::new();
    let made = manifest(&[b"layer"]);
    let answered = put(&client, "v1", &made).await;
    assert_eq!(answered.status, StatusCode::NOT_FOUND);
    assert_eq!(
        parsed(&answered)["errors"][0]["code"],
        "MANIFEST_BLOB_UNKNOWN"
    );
    push(&client, "a/b", b"{}").await;
    push(&client, "elsewhere", b"layer").await;
    assert_eq!(
        put(&client, "v1", &made).await.status,
        StatusCode::NOT_FOUND
    );
    push(&client, "a/b", b"layer").await;
    let own = digest(made.to_string());
    for reference in ["v1", "v1", "latest", &own] {
        let answered = put(&client, reference, &made).await;
        assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
        assert_eq!(answered.header("docker-content-digest"), own);
        assert_eq!(
            answered.header("location"),
            format!("/v2/a/b/manifests/{own}")
        );
    }
    for reference in ["v1", "latest", &own] {
        let path = format!("/v2/a/b/manifests/{reference}");
        let got = client.get(&path).await;
        assert_eq!(got.text(), made.to_string());
        let head = client.ask(&format!("HEAD {path}"), &[], "").await;
        for answered in [got, head] {
            assert_eq!(answered.status, StatusCode::OK);
            assert_eq!(answered.header("content-type"), MANIFEST);
            assert_eq!(answered.header("docker-content-digest"), own);
            assert_eq!(
                answered.header("content-length"),
                made.to_string().len().to_string()
            );
        }
    }
    // A tag moves on.
    let other = manifest(&[]);
    put(&client, "latest", &other).await;
    assert_eq!(
        client.get("/v2/a/b/manifests/latest").await.text(),
        other.to_string()
    );
    assert_eq!(
        client.get("/v2/a/b/manifests/v1").await.text(),
        made.to_string()
    );
    for reference in ["v2", &digest("nothing")] {
        let line = format!("GET /v2/a/b/manifests/{reference}");
        client.check(&line, &[], "", 404, "MANIFEST_UNKNOWN").await;
    }
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let client = Client::new();
    push(&client, "a/b", b"{}").await;
    let good = manifest(&[]).to_string();
    let line = "PUT /v2/a/b/manifests/v1";
    let large = format!("{good}{}", " ".repeat(4 << 20));
    for (line, field, body, status, code) in [
        (line, MANIFEST, "", 400, "MANIFEST_INVALID"),
        (line, MANIFEST, "{", 400, "MANIFEST_INVALID"),
        (line, MANIFEST, "[]", 400, "MANIFEST_INVALID"),
        (line, MANIFEST, "{}", 400, "MANIFEST_INVALID"),
        (
            line,
            MANIFEST,
            r#"{"schemaVersion": 1}"#,
            400,
            "MANIFEST_INVALID",
        ),
        (
            line,
            MANIFEST,
            r#"{"schemaVersion": 2, "layers": 7}"#,
            400,
            "MANIFEST_INVALID",
        ),
        (
            line,
            MANIFEST,
            r#"{"schemaVersion": 2, "layers": [{"digest": "x"}]}"#,
            400,
            "MANIFEST_INVALID",
        ),
        (
            line,
            MANIFEST,
            r#"{"schemaVersion": 2, "layers": [{"digest": "x", "mediaType": "a/b", "size": 1}]}"#,
            400,
            "DIGEST_INVALID",
        ),
        (line, INDEX, &good, 400, "MANIFEST_INVALID"),
        (line, MANIFEST, &large, 413, "SIZE_INVALID"),
        (
            &format!("PUT /v2/a/b/manifests/{}", digest("x")),
            MANIFEST,
            &good,
            400,
            "DIGEST_INVALID",
        ),
        (
            "PUT /v2/a/b/manifests/.x",
            MANIFEST,
            &good,
            400,
            "TAG_INVALID",
        ),
        (
            "PUT /v2/a/b/manifests/a+b",
            MANIFEST,
            &good,
            400,
            "TAG_INVALID",
        ),
        (
            &format!("PUT /v2/a/b/manifests/{}", "x".repeat(129)),
            MANIFEST,
            &good,
            400,
            "TAG_INVALID",
        ),
        (
            "PUT /v2/a//b/manifests/x",
            MANIFEST,
            &good,
            400,
            "NAME_INVALID",
        ),
        (
            "PUT /v2/a/../b/manifests/x",
            MANIFEST,
            &good,
            400,
            "NAME_INVALID",
        ),
        (line, MANIFEST, &good, 201, ""),
    ] {
        let field = format!("Content-Type: {field}");
        client
            .check(line, &[&field], body.to_owned(), status, code)
            .await;
    }
}

#[tokio::test]
async fn an_index_has_several() {
    let client = Client::new();
    push(&client, "a/b", b"{}").await;
    let parts = [manifest(&[]), {
        push(&client, "a/b", b"layer").await;
        manifest(&[b"layer"])
    }];
    let manifests: Vec<Value> = parts
        .iter()
        .map(|part| descriptor(MANIFEST, part.to_string()))
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    put(&client, &digest(parts[0].to_string()), &parts[0]).await;
    let answered = put(&client, "all", &index).await;
    assert_eq!(
        answered.status,
        StatusCode::NOT_FOUND,
        "{}",
        answered.text()
    );
    put(&client, &digest(parts[1].to_string()), &parts[1]).await;
    let answered = put(&client, "all", &index).await;
    assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
    let got = client.get("/v2/a/b/manifests/all").await;
    assert_eq!(
        (got.text(), got.header("content-type")),
        (index.to_string(), INDEX)
    );
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let client = Client::new();
    client
        .check("GET /v2/a/b/tags/list", &[], "", 404, "NAME_UNKNOWN")
        .await;
    push(&client, "a/b", b"{}").await;
    for tag in ["b", "a", "d", "c", "B"] {
        put(&client, tag, &manifest(&[])).await;
    }
    for (query, tags, next) in [
        ("", json!(["B", "a", "b", "c", "d"]), ""),
        ("?n=2", json!(["B", "a"]), "n=2&last=a"),
        ("?n=2&last=a", json!(["b", "c"]), "n=2&last=c"),
        ("?n=2&last=c", json!(["d"]), ""),
        ("?last=bb", json!(["c", "d"]), ""),
        ("?n=0", json!([]), ""),
        ("?n=5", json!(["B", "a", "b", "c", "d"]), ""),
    ] {
        let answered = client.get(&format!("/v2/a/b/tags/list{query}")).await;
        assert_eq!(
            parsed(&answered),
            json!({ "name": "a/b", "tags": tags }),
            "{query}"
        );
        let link = match next {
            "" => String::new(),
            next => format!("</v2/a/b/tags/list?{next}>; rel=\"next\""),
        };
        assert_eq!(answered.header("link"), link, "{query}");
    }
    client
        .check("GET /v2/a/b/tags/list?n=x", &[], "", 400, "number")
        .await;
}

#[tokio::test]
async fn referrers_are_found_by_what_they_refer_to() {
    let client = Client::new();
    push(&client, "a/b", b"{}").await;
    let subject = manifest(&[]);
    let path = format!("/v2/a/b/referrers/{}", digest(subject.to_string()));
    let none = client.get(&path).await;
    assert_eq!(
        (none.status, none.header("content-type")),
        (StatusCode::OK, INDEX)
    );
    assert_eq!(parsed(&none)["manifests"], json!([]));
    let referrer = |kind: &str| {
        let mut made = manifest(&[]);
        made["artifactType"] = json!(kind);
        made["subject"] = descriptor(MANIFEST, subject.to_string());
        made["annotations"] = json!({ "a": kind });
        made
    };
    // Also before its subject is there.
    for kind in ["x/signature", "x/sbom"] {
        let made = referrer(kind);
        let answered = put(&client, &digest(made.to_string()), &made).await;
        assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
        assert_eq!(answered.header("oci-subject"), digest(subject.to_string()));
    }
    put(&client, "v1", &subject).await;
    assert_eq!(
        parsed(&client.get(&path).await)["manifests"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let filtered = client.get(&format!("{path}?artifactType=x/sbom")).await;
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    let mut expected = descriptor(MANIFEST, referrer("x/sbom").to_string());
    expected["artifactType"] = json!("x/sbom");
    expected["annotations"] = json!({ "a": "x/sbom" });
    assert_eq!(parsed(&filtered)["manifests"], json!([expected]));
    let line = format!(
        "DELETE /v2/a/b/manifests/{}",
        digest(referrer("x/sbom").to_string())
    );
    client.check(&line, &[], "", 202, "").await;
    assert_eq!(
        parsed(&client.get(&path).await)["manifests"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_is_deleted_is_gone() {
    let client = Client::new();
    push(&client, "a/b", b"{}").await;
    push(&client, "a/b", b"layer").await;
    push(&client, "other", b"layer").await;
    let made = manifest(&[]);
    put(&client, "v1", &made).await;
    put(&client, "v2", &made).await;
    let by_digest = digest(made.to_string());
    for (line, status, code) in [
        ("DELETE /v2/a/b/manifests/v1", 202, ""),
        ("DELETE /v2/a/b/manifests/v1", 404, "MANIFEST_UNKNOWN"),
        ("GET /v2/a/b/manifests/v1", 404, "MANIFEST_UNKNOWN"),
        ("GET /v2/a/b/manifests/v2", 200, ""),
        (&format!("DELETE /v2/a/b/manifests/{by_digest}"), 202, ""),
        (
            &format!("GET /v2/a/b/manifests/{by_digest}"),
            404,
            "MANIFEST_UNKNOWN",
        ),
        ("GET /v2/a/b/manifests/v2", 404, "MANIFEST_UNKNOWN"),
        (
            &format!("DELETE /v2/a/b/blobs/{}", digest("layer")),
            202,
            "",
        ),
        (
            &format!("DELETE /v2/a/b/blobs/{}", digest("layer")),
            404,
            "BLOB_UNKNOWN",
        ),
        (
            &format!("GET /v2/a/b/blobs/{}", digest("layer")),
            404,
            "BLOB_UNKNOWN",
        ),
        (
            &format!("GET /v2/other/blobs/{}", digest("layer")),
            200,
            "layer",
        ),
    ] {
        client.check(line, &[], "", status, code).await;
    }
}
