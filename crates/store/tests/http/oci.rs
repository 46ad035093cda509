//! `/v2/`, by OCI's distribution specification 1.1.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use strand_bindle::Sha256;
use strand_store::auth::{Caller, Right};

use crate::client::{ALL, Answered, Client, grants, invoice};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest(content: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", Sha256::of(content))
}

/// A blob of several pieces.
fn content() -> Vec<u8> {
    (0..3500_u32).map(|n| (n * 37 % 251) as u8).collect()
}

fn json(answered: &Answered) -> Value {
    serde_json::from_slice(&answered.body)
        .unwrap_or_else(|error| panic!("{error}: {}", answered.text()))
}

async fn push(client: &Client, repository: &str, content: &[u8]) {
    let digest = digest(content);
    let line = format!("POST /v2/{repository}/blobs/uploads/?digest={digest}");
    let answered = client.ask(&line, &[], content.to_vec()).await;
    assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
    assert_eq!(answered.header("docker-content-digest"), digest);
    assert_eq!(
        answered.header("location"),
        format!("/v2/{repository}/blobs/{digest}")
    );
}

async fn begin(client: &Client, repository: &str) -> String {
    let line = format!("POST /v2/{repository}/blobs/uploads/");
    let answered = client.ask(&line, &[], "").await;
    assert_eq!(answered.status, StatusCode::ACCEPTED, "{}", answered.text());
    assert_eq!(answered.header("content-length"), "0");
    answered.header("location").to_owned()
}

fn descriptor(media_type: &str, content: impl AsRef<[u8]>) -> Value {
    let size = content.as_ref().len();
    json!({ "mediaType": media_type, "digest": digest(content), "size": size })
}

fn manifest(layers: &[&[u8]]) -> Value {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| descriptor("application/wasm", layer))
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.wasm.config.v0+json", "{}"),
        "layers": layers,
    })
}

async fn put(client: &Client, reference: &str, manifest: &Value) -> Answered {
    let media_type = manifest["mediaType"].as_str().unwrap_or(MANIFEST);
    let field = format!("Content-Type: {media_type}");
    let line = format!("PUT /v2/a/b/manifests/{reference}");
    client.ask(&line, &[&field], manifest.to_string()).await
}

#[tokio::test]
async fn it_says_what_it_is() {
    let client = Client::new();
    for line in ["GET /v2/", "HEAD /v2/"] {
        let answered = client.ask(line, &[], "").await;
        assert_eq!(answered.status, StatusCode::OK);
        assert_eq!(
            answered.header("docker-distribution-api-version"),
            "registry/2.0"
        );
    }
    let nobody = client.of(Caller::default());
    let answered = nobody.get("/v2/").await;
    assert_eq!(answered.status, StatusCode::UNAUTHORIZED);
    assert!(
        answered
            .header("www-authenticate")
            .starts_with("Basic realm=")
    );
    assert_eq!(json(&answered)["errors"][0]["code"], "UNAUTHORIZED");
}

#[tokio::test]
async fn a_blob_in_one_request() {
    let client = Client::new();
    push(&client, "a/b", &content()).await;
    push(&client, "a/b", b"").await;
    let path = format!("/v2/a/b/blobs/{}", digest(content()));
    for line in [format!("GET {path}"), format!("HEAD {path}")] {
        let answered = client.ask(&line, &[], "").await;
        assert_eq!(answered.status, StatusCode::OK);
        assert_eq!(answered.header("content-length"), "3500");
        assert_eq!(answered.header("docker-content-digest"), digest(content()));
        assert!(answered.body == content() || line.starts_with("HEAD"));
    }
    let part = client
        .ask(&format!("GET {path}"), &["Range: bytes=990-1009"], "")
        .await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.header("content-range"), "bytes 990-1009/3500");
    assert!(part.body == content()[990..1010]);
    client
        .check(
            &format!("GET {path}"),
            &["Range: bytes=3500-"],
            "",
            416,
            "RANGE_INVALID",
        )
        .await;

    let wrong = format!("POST /v2/a/b/blobs/uploads/?digest={}", digest("x"));
    client.check(&wrong, &[], "y", 400, "DIGEST_INVALID").await;
    for (digest, status, code) in [
        (digest("nothing"), 404, "BLOB_UNKNOWN"),
        ("sha256:abc".to_owned(), 400, "DIGEST_INVALID"),
        (digest("x").to_uppercase(), 400, "DIGEST_INVALID"),
        (format!("sha512:{}", "0".repeat(128)), 400, "DIGEST_INVALID"),
        ("latest".to_owned(), 400, "DIGEST_INVALID"),
    ] {
        client
            .check(
                &format!("GET /v2/a/b/blobs/{digest}"),
                &[],
                "",
                status,
                code,
            )
            .await;
        client
            .check(&format!("HEAD /v2/a/b/blobs/{digest}"), &[], "", status, "")
            .await;
    }
    // It is in one repository only.
    let other = format!("GET /v2/a/blobs/{}", digest(content()));
    client.check(&other, &[], "", 404, "BLOB_UNKNOWN").await;
}

#[tokio::test]
async fn a_blob_in_chunks() {
    let client = Client::new();
    let location = begin(&client, "a/b").await;
    let (one, rest) = (&content()[..1200], &content()[1200..]);
    let stands = async |expected: &str| {
        let answered = client.get(&location).await;
        assert_eq!(answered.status, StatusCode::NO_CONTENT);
        assert_eq!(answered.header("range"), expected);
        assert_eq!(answered.header("location"), location);
    };
    stands("0-0").await;
    let patch = format!("PATCH {location}");
    let answered = client
        .ask(
            &patch,
            &["Content-Range: 0-1199", "Content-Length: 1200"],
            one.to_vec(),
        )
        .await;
    assert_eq!(answered.status, StatusCode::ACCEPTED, "{}", answered.text());
    assert_eq!(answered.header("range"), "0-1199");
    stands("0-1199").await;
    // Neither again nor with a gap.
    for range in ["0-1199", "1201-3499", "1199-3499"] {
        let field = format!("Content-Range: {range}");
        let answered = client.ask(&patch, &[&field], rest.to_vec()).await;
        assert_eq!(
            answered.status,
            StatusCode::RANGE_NOT_SATISFIABLE,
            "{range}"
        );
        assert_eq!(answered.header("range"), "0-1199");
    }
    for field in [
        "Content-Range: 1200-",
        "Content-Range: x",
        "Content-Range: 5-1",
    ] {
        client
            .check(&patch, &[field], "x", 400, "BLOB_UPLOAD_INVALID")
            .await;
    }
    let differ = ["Content-Range: 1200-1209", "Content-Length: 11"];
    client
        .check(&patch, &differ, "x", 400, "SIZE_INVALID")
        .await;

    client
        .check(&format!("PUT {location}"), &[], "", 400, "DIGEST_INVALID")
        .await;
    let put = format!("PUT {location}?digest={}", digest(content()));
    let answered = client
        .ask(&put, &["Content-Range: 1200-3499"], rest.to_vec())
        .await;
    assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
    let got = client
        .get(&format!("/v2/a/b/blobs/{}", digest(content())))
        .await;
    assert!(got.body == content());
    client
        .check(
            &format!("GET {location}"),
            &[],
            "",
            404,
            "BLOB_UPLOAD_UNKNOWN",
        )
        .await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_gone_on_with() {
    let client = Client::new();
    let location = begin(&client, "a/b").await;
    let first = Ok(Frame::data(Bytes::from(content()[..2300].to_vec())));
    let breaks = futures::stream::iter([first, Err(std::io::Error::other("gone"))]);
    let request = Request::patch(&location)
        .body(StreamBody::new(breaks))
        .unwrap();
    assert_eq!(client.send(request).await.status, StatusCode::BAD_REQUEST);
    // All that came is there.
    let answered = client.get(&location).await;
    assert_eq!(answered.header("range"), "0-2299");
    let answered = client
        .ask(
            &format!("PATCH {location}"),
            &[],
            content()[2300..].to_vec(),
        )
        .await;
    assert_eq!(answered.header("range"), "0-3499");
    let put = format!("PUT {location}?digest={}", digest(content()));
    let answered = client.ask(&put, &[], "").await;
    assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
}

#[tokio::test]
async fn uploads_end() {
    let client = Client::new();
    let location = begin(&client, "a/b").await;
    let put = format!("PUT {location}?digest={}", digest("x"));
    client.check(&put, &[], "y", 400, "DIGEST_INVALID").await;
    client
        .check(&put, &[], "x", 404, "BLOB_UPLOAD_UNKNOWN")
        .await;

    let location = begin(&client, "a/b").await;
    // It is that repository's.
    let elsewhere = location.replace("a/b", "a");
    client
        .check(
            &format!("PATCH {elsewhere}"),
            &[],
            "x",
            404,
            "BLOB_UPLOAD_UNKNOWN",
        )
        .await;
    client
        .check(&format!("DELETE {location}"), &[], "", 204, "")
        .await;
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let line = format!("{method} {location}?digest={}", digest("x"));
        client
            .check(&line, &[], "x", 404, "BLOB_UPLOAD_UNKNOWN")
            .await;
    }
    client
        .check(
            "GET /v2/a/b/blobs/uploads/nothing",
            &[],
            "",
            404,
            "BLOB_UPLOAD_UNKNOWN",
        )
        .await;
}

#[tokio::test]
async fn a_blob_is_let_in_from_where_one_may_see_it() {
    let client = Client::new();
    push(&client, "theirs", &content()).await;
    push(&client, "shown", b"shown").await;
    let mut rights = grants("ours", &ALL);
    rights.extend(grants("shown", &[Right::Pull]));
    let ours = client.of(Caller::known("ann", rights));
    for (content, from, status) in [
        (b"shown".to_vec(), "&from=shown", 201),
        (b"shown".to_vec(), "&from=nothing", 201),
        (content(), "&from=theirs", 202),
        (content(), "", 202),
        (b"nothing".to_vec(), "&from=shown", 202),
    ] {
        let mount = digest(&content);
        let line = format!("POST /v2/ours/x/blobs/uploads/?mount={mount}{from}");
        let answered = ours.ask(&line, &[], "").await;
        assert_eq!(
            answered.status.as_u16(),
            status,
            "{from}: {}",
            answered.text()
        );
        let has = ours
            .get(&format!("/v2/ours/x/blobs/{mount}"))
            .await
            .status
            .as_u16();
        assert_eq!(has, if status == 201 { 200 } else { 404 }, "{from}");
        let expected = match status {
            201 => format!("/v2/ours/x/blobs/{mount}"),
            _ => "/v2/ours/x/blobs/uploads/".to_owned(),
        };
        assert!(answered.header("location").starts_with(&expected));
    }
}

#[tokio::test]
async fn a_manifest_needs_what_it_refers_to() {
    let client = Client::new();
    let made = manifest(&[b"layer"]);
    let answered = put(&client, "v1", &made).await;
    assert_eq!(answered.status, StatusCode::NOT_FOUND);
    assert_eq!(
        json(&answered)["errors"][0]["code"],
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
            json(&answered),
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
    assert_eq!(json(&none)["manifests"], json!([]));
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
        json(&client.get(&path).await)["manifests"]
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
    assert_eq!(json(&filtered)["manifests"], json!([expected]));
    let line = format!(
        "DELETE /v2/a/b/manifests/{}",
        digest(referrer("x/sbom").to_string())
    );
    client.check(&line, &[], "", 202, "").await;
    assert_eq!(
        json(&client.get(&path).await)["manifests"]
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

#[tokio::test]
async fn a_parcel_is_a_blob_and_an_invoice_too() {
    let client = Client::new();
    let made = invoice("a/b/1.0.0", &[&content(), b"two"]);
    client.create(&made).await;
    let line = format!("POST /v1/_i/a/b/1.0.0@{}", Sha256::of(content()));
    client.check(&line, &[], content(), 200, "").await;
    let got = client
        .get(&format!("/v2/a/b/blobs/{}", digest(content())))
        .await;
    assert!(got.body == content());
    let text = made.to_toml().unwrap();
    let got = client
        .get(&format!("/v2/a/b/blobs/{}", digest(&text)))
        .await;
    assert_eq!(got.text(), text);
    // And the other way round.
    push(&client, "a/b", b"two").await;
    client
        .check("GET /v1/_r/missing/a/b/1.0.0", &[], "", 200, "missing = []")
        .await;
    let line = format!("GET /v1/_i/a/b/1.0.0@{}", Sha256::of("two"));
    client.check(&line, &[], "", 200, "two").await;
}

#[tokio::test]
async fn rights_are_of_namespaces_here_too() {
    let client = Client::new();
    push(&client, "a/b", b"{}").await;
    put(&client, "v1", &manifest(&[])).await;
    let mut signature = manifest(&[]);
    signature["subject"] = descriptor(MANIFEST, manifest(&[]).to_string());
    let blob = format!("/v2/a/b/blobs/{}", digest("{}"));
    let upload = begin(&client, "a/b").await;
    for (rights, allowed) in [
        (&[][..], [false; 7]),
        (
            &[Right::Pull],
            [true, true, false, false, false, false, false],
        ),
        (
            &[Right::Push],
            [false, false, true, true, true, false, false],
        ),
        (
            &[Right::Sign],
            [false, false, true, false, true, false, false],
        ),
        (
            &[Right::Delete],
            [false, false, false, false, false, true, true],
        ),
    ] {
        let limited = client.of(Caller::known("ann", grants("a", rights)));
        let signed = format!("PUT /v2/a/b/manifests/{}", digest(signature.to_string()));
        for ((line, body), allowed) in [
            (format!("GET {blob}"), String::new()),
            ("GET /v2/a/b/manifests/v1".to_owned(), String::new()),
            (format!("GET {upload}"), String::new()),
            (
                "PUT /v2/a/b/manifests/v1".to_owned(),
                manifest(&[]).to_string(),
            ),
            (signed, signature.to_string()),
            ("DELETE /v2/a/b/manifests/none".to_owned(), String::new()),
            (
                format!("DELETE /v2/a/b/blobs/{}", digest("none")),
                String::new(),
            ),
        ]
        .into_iter()
        .zip(allowed)
        {
            let answered = limited.ask(&line, &[], body).await;
            let refused = answered.status == StatusCode::FORBIDDEN;
            assert_eq!(!refused, allowed, "{rights:?} {line}: {}", answered.text());
        }
    }
}

#[tokio::test]
async fn what_there_is_not_is_told() {
    let client = Client::new();
    for (line, status, code) in [
        ("GET /v2/a", 404, "NAME_INVALID"),
        ("GET /v2/_catalog", 404, "NAME_INVALID"),
        ("GET /v2/a/b/c/d", 404, "NAME_INVALID"),
        ("POST /v2/", 405, "UNSUPPORTED"),
        ("GET /v2/a/blobs/uploads/", 405, "UNSUPPORTED"),
        ("PUT /v2/a/tags/list", 405, "UNSUPPORTED"),
        ("POST /v2/a/manifests/v1", 405, "UNSUPPORTED"),
    ] {
        client.check(line, &[], "", status, code).await;
    }
}
