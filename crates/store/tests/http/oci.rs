//! `/v2/`, by OCI's distribution specification 1.1.

mod blobs;
mod manifests;

use http::StatusCode;
use serde_json::{Value, json};
use strand_bindle::Sha256;
use strand_store::auth::{Caller, Right};

use crate::client::{Answered, Client, grants, invoice};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest(content: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", Sha256::of(content))
}

/// A blob of several pieces.
fn content() -> Vec<u8> {
    (0..3500_u32).map(|n| (n * 37 % 251) as u8).collect()
}

fn parsed(answered: &Answered) -> Value {
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
    assert_eq!(parsed(&answered)["errors"][0]["code"], "UNAUTHORIZED");
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

#[tokio::test]
async fn a_name_is_escaped_where_it_would_mean_something_else() {
    let client = Client::new();
    let name = "ü/<a>";
    let in_path = "%C3%BC/%3Ca%3E";
    let location = begin(&client, in_path).await;
    assert!(
        location.starts_with(&format!("/v2/{in_path}/blobs/uploads/")),
        "{location}"
    );
    let put_blob = format!("PUT {location}?digest={}", digest("{}"));
    let answered = client.ask(&put_blob, &[], "{}").await;
    assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
    assert_eq!(
        answered.header("location"),
        format!("/v2/{in_path}/blobs/{}", digest("{}"))
    );
    for tag in ["a", "b"] {
        let line = format!("PUT /v2/{in_path}/manifests/{tag}");
        let field = format!("Content-Type: {MANIFEST}");
        client
            .check(&line, &[&field], manifest(&[]).to_string(), 201, "")
            .await;
    }
    let tags = client.get(&format!("/v2/{in_path}/tags/list?n=1")).await;
    assert_eq!(parsed(&tags)["name"], name);
    let link = format!("</v2/{in_path}/tags/list?n=1&last=a>; rel=\"next\"");
    assert_eq!(tags.header("link"), link);
}
