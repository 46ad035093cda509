//! `/v1/_q`, `/v1/bindle-keys`, `/v1/login`, `/healthz`, and what there is not.

use strand_bindle::wire::Matches;
use strand_bindle::{Keyring, Role};

use crate::client::{Client, host, invoice};

#[tokio::test]
async fn a_query_has_the_parameters_of_both_spellings() {
    let client = Client::new();
    for id in [
        "example.com/hello/1.0.0",
        "example.com/hello/1.2.3",
        "example.com/hello/2.0.0",
        "example.com/hello/2.1.0-rc.1",
        "other/world/1.0.0",
    ] {
        client.create(&invoice(id, &[])).await;
    }
    client
        .check("DELETE /v1/_i/example.com/hello/2.0.0", &[], "", 200, "")
        .await;
    for (query, expected) in [
        ("", "1.0.0 1.2.3 2.1.0-rc.1 1.0.0"),
        ("?q=hello", "1.0.0 1.2.3 2.1.0-rc.1"),
        ("?query=hello", "1.0.0 1.2.3 2.1.0-rc.1"),
        ("?q=HELLO", "1.0.0 1.2.3 2.1.0-rc.1"),
        ("?q=HELLO&strict=true", ""),
        ("?q=com/hel%20exa&strict=true", "1.0.0 1.2.3 2.1.0-rc.1"),
        ("?q=com/hel+exa&strict=true", "1.0.0 1.2.3 2.1.0-rc.1"),
        ("?q=hello&v=1.0.0", "1.0.0"),
        ("?q=hello&version=1.0.0", "1.0.0"),
        ("?q=hello&v=%3D1.2.3", "1.2.3"),
        ("?q=hello&v=^1.0.0", "1.0.0 1.2.3"),
        ("?q=hello&v=~1.2", "1.2.3"),
        ("?q=hello&v=%3E%3D1.2.0", "1.2.3"),
        ("?q=hello&yanked=true", "1.0.0 1.2.3 2.0.0 2.1.0-rc.1"),
        ("?q=hello&yanked=true&v=2.x", "2.0.0"),
        ("?q=hello&l=1", "1.0.0"),
        ("?q=hello&limit=1&offset=1", "1.2.3"),
        ("?q=hello&o=2&l=5", "2.1.0-rc.1"),
        ("?q=hello&o=3", ""),
        ("?q=nothing", ""),
    ] {
        let found: Matches = client.get(&format!("/v1/_q{query}")).await.toml();
        let versions: Vec<String> = found
            .invoices
            .iter()
            .map(|invoice| invoice.id().version().to_string())
            .collect();
        assert_eq!(versions.join(" "), expected, "{query}");
    }
    let answered = client
        .get("/v1/_q?q=hello&l=2&o=1&strict=true&yanked=true")
        .await;
    let found: Matches = answered.toml();
    assert_eq!(
        (&*found.query, found.strict, found.yanked),
        ("hello", true, true)
    );
    assert_eq!(
        (found.offset, found.limit, found.total, found.more),
        (1, 2, 4, true)
    );
    assert!(found.timestamp > 1_700_000_000);
    assert!(found.invoices[1].yanked);
    let found: Matches = client.get("/v1/_q").await.toml();
    assert_eq!(
        (found.limit, found.offset, found.total, found.more),
        (50, 0, 4, false)
    );

    for (query, says) in [
        ("?x=1", "parameter"),
        ("?q=a&query=b", "twice"),
        ("?v=nonsense", "nonsense"),
        ("?o=-1", "number"),
        ("?l=256", "255"),
        ("?strict=maybe", "true or false"),
        ("?yanked=1", "true or false"),
    ] {
        client
            .check(&format!("GET /v1/_q{query}"), &[], "", 400, says)
            .await;
    }
}

#[tokio::test]
async fn a_server_tells_its_key() {
    let client = Client::new();
    for path in [
        "/v1/bindle-keys",
        "/v1/bindle-keys?roles=host",
        "/v1/bindle-keys?roles=",
    ] {
        let answered = client.get(path).await;
        let keyring: Keyring = Keyring::from_toml(&answered.text()).unwrap();
        assert_eq!(keyring.key.len(), 1, "{path}");
        assert_eq!(keyring.key[0].public().unwrap(), host().public());
        assert_eq!(keyring.key[0].roles, [Role::Host]);
    }
    for (query, says) in [
        ("roles=creator", "host"),
        ("roles=host,creator", "host"),
        ("roles=owner", "owner"),
        ("role=host", "roles"),
    ] {
        client
            .check(&format!("GET /v1/bindle-keys?{query}"), &[], "", 400, says)
            .await;
    }
}

#[tokio::test]
async fn what_there_is_not_is_told() {
    let client = Client::new();
    client.check("GET /healthz", &[], "", 200, "OK").await;
    client.check("HEAD /healthz", &[], "", 200, "").await;
    client
        .check("GET /v1/login?provider=github", &[], "", 400, "no provider")
        .await;
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/_x",
        "/v1/_i_",
        "/v1/_r/a/1.0.0",
        "/v2",
        "/V1/_q",
    ] {
        client
            .check(&format!("GET {path}"), &[], "", 404, "there is nothing")
            .await;
    }
    for (line, allow) in [
        ("GET /v1/_i", "POST"),
        ("PUT /v1/_i", "POST"),
        ("POST /v1/_i/a/1.0.0", "GET, HEAD, DELETE"),
        ("PUT /v1/_i/a/1.0.0", "GET, HEAD, DELETE"),
        ("POST /v1/_q", "GET, HEAD"),
        ("DELETE /v1/_r/missing/a/1.0.0", "GET, HEAD"),
        ("DELETE /v1/bindle-keys", "GET, HEAD"),
    ] {
        let answered = client.ask(line, &[], "").await;
        assert_eq!(answered.status.as_u16(), 405, "{line}");
        assert_eq!(answered.header("allow"), allow, "{line}");
    }
}
