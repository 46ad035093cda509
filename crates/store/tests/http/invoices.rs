//! `POST`, `GET`, `HEAD` and `DELETE` of `/v1/_i` and `/v1/_i/{id}`, and `/v1/_r/missing/{id}`.

use http::StatusCode;
use strand_bindle::wire::{Created, Missing};
use strand_bindle::{Invoice, Keyring, Role, SecretKey, Sha256, Strategy, sign};

use crate::client::{Client, creator, host, invoice, unsigned};

#[tokio::test]
async fn one_whose_parcels_are_missing_is_accepted_and_says_which() {
    let client = Client::new();
    let first = invoice("example.com/a/1.0.0", &[b"one", b"two"]);
    let answered = client.create(&first).await;
    assert_eq!(answered.status, StatusCode::ACCEPTED, "{}", answered.text());
    let created: Created = answered.toml();
    let digests: Vec<Sha256> = created.missing.iter().map(|label| label.sha256).collect();
    assert_eq!(digests, [Sha256::of("one"), Sha256::of("two")]);

    // What is signed by the host is what the creator has signed.
    let keyring = Keyring::new(vec![creator().to_entry(), host().to_entry()]);
    let both: Strategy = "MultipleAttestationGreedy[creator,host]".parse().unwrap();
    both.verify(&created.invoice, &keyring).unwrap();
    let mut without = created.invoice;
    assert_eq!(without.signature.pop().unwrap().by, "host.example.com");
    assert_eq!(without, first);
}

#[tokio::test]
async fn one_whose_parcels_are_there_is_created() {
    let client = Client::new();
    let answered = client.create(&invoice("a/1.0.0", &[])).await;
    assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
    assert!(!answered.text().contains("missing"), "{}", answered.text());

    client.create(&invoice("a/1.1.0", &[b"one"])).await;
    let path = format!("POST /v1/_i/a/1.1.0@{}", Sha256::of("one"));
    client.check(&path, &[], "one", 200, "parcel created").await;
    // Another bindle with the same parcel needs nothing more, nor does one that has it twice.
    for second in [
        invoice("b/1.0.0", &[b"one"]),
        invoice("b/1.0.1", &[b"one", b"one"]),
    ] {
        let answered = client.create(&second).await;
        assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.text());
    }
}

#[tokio::test]
async fn what_is_none_is_refused() {
    let client = Client::new();
    let good = invoice("a/1.0.0", &[b"one"]);
    let toml = good.to_toml().unwrap();
    let mut yanked = invoice("y/1.0.0", &[]);
    yanked.yanked = true;
    let mut by_another = unsigned("a/1.0.0", &[]);
    let key = SecretKey::from_seed(&[9; 32], "Somebody", vec![Role::Creator]);
    sign(&mut by_another, Role::Creator, &key, 1).unwrap();
    let mut as_another = unsigned("a/1.0.0", &[]);
    let key = SecretKey::from_seed(&[1; 32], "Creator <c@example.com>", vec![Role::Approver]);
    sign(&mut as_another, Role::Approver, &key, 1).unwrap();
    for (body, status, says) in [
        ("", 400, "bindleVersion"),
        ("bindleVersion = ", 400, "line 1"),
        ("{}", 400, "line 1"),
        (
            &*toml.replace("bindleVersion", "bindle_version"),
            400,
            "bindle_version",
        ),
        (&toml.replace("1.0.0", "1.0"), 400, "1.0"),
        (&toml.replace("\"a\"", "\"a b\""), 400, "space"),
        (&toml.replace("size = 3", "size = 4"), 202, ""),
        // Names, versions and digests are signed.
        (&toml.replace("\"a\"", "\"b\""), 400, "signature"),
        (
            &toml.replace(&Sha256::of("one").to_string(), &Sha256::of("x").to_string()),
            400,
            "signature",
        ),
        (
            &toml.replace("signature = \"", "signature = \"AAAA"),
            400,
            "signature",
        ),
        (&unsigned("a/1.0.0", &[]).to_toml().unwrap(), 400, "sign"),
        (&by_another.to_toml().unwrap(), 400, "Somebody"),
        (&as_another.to_toml().unwrap(), 400, "creator"),
        (&yanked.to_toml().unwrap(), 422, "yanked"),
    ] {
        client
            .check("POST /v1/_i", &[], body.to_owned(), status, says)
            .await;
    }
    let large = format!("# {}\n{toml}", "x".repeat(4 << 20));
    client
        .check("POST /v1/_i", &[], large, 413, "too large")
        .await;
    client
        .check("POST /v1/_i", &[], vec![0xff, 0xfe], 400, "UTF-8")
        .await;
}

#[tokio::test]
async fn what_there_is_does_not_change() {
    let client = Client::new();
    let first = invoice("a/1.0.0", &[]);
    client.create(&first).await;
    for again in [&first, &invoice("a/1.0.0", &[b"one"])] {
        let body = again.to_toml().unwrap();
        client
            .check("POST /v1/_i", &[], body, 409, "exists already")
            .await;
    }
    // A build is another version here.
    for other in [
        "a/1.0.0+b1",
        "a/1.0.0-rc.1",
        "a/1.0.1",
        "a/b/1.0.0",
        "A/1.0.0",
    ] {
        let answered = client.create(&invoice(other, &[])).await;
        assert_eq!(
            answered.status,
            StatusCode::CREATED,
            "{other}: {}",
            answered.text()
        );
    }
}

#[tokio::test]
async fn toml_and_json_are_read_and_written() {
    let client = Client::new();
    let json = invoice("a/1.0.0", &[]).to_json().unwrap();
    for (fields, version, status) in [
        (&["Content-Type: application/json"][..], "1.0.0", 400),
        (&["Content-Type: application/json"], "1.0.0", 201),
        (
            &["Content-Type: application/json; charset=utf-8"],
            "1.0.1",
            201,
        ),
        (&["Content-Type: text/json"], "1.0.2", 201),
        (&["Content-Type: application/toml"], "1.0.3", 400),
        (&[], "1.0.4", 400),
    ] {
        let made = invoice(&format!("a/{version}"), &[]).to_json().unwrap();
        // The first one is cut.
        let body = if status == 400 && version == "1.0.0" {
            &json[1..]
        } else {
            &made
        };
        client
            .check("POST /v1/_i", fields, body.to_owned(), status, "")
            .await;
    }
    let toml = invoice("t/1.0.0", &[]).to_toml().unwrap();
    let fields = ["Content-Type: application/toml; charset=utf-8"];
    client
        .check("POST /v1/_i", &fields, toml, 201, "bindleVersion")
        .await;

    for (accept, expected) in [
        (&[][..], "application/toml"),
        (&["Accept: */*"], "application/toml"),
        (&["Accept: application/toml"], "application/toml"),
        (&["Accept: application/json"], "application/json"),
        (&["Accept: text/json"], "application/json"),
        (
            &["Accept: text/html, application/json;q=0.9"],
            "application/json",
        ),
        (
            &["Accept: application/toml, application/json"],
            "application/toml",
        ),
        (
            &["Accept: text/html", "Accept: application/json"],
            "application/json",
        ),
        (&["Accept: nonsense"], "application/toml"),
    ] {
        for path in [
            "/v1/_i/a/1.0.0",
            "/v1/_i/a/9.9.9",
            "/v1/_q",
            "/v1/bindle-keys",
        ] {
            let answered = client.ask(&format!("GET {path}"), accept, "").await;
            assert_eq!(
                answered.header("content-type"),
                expected,
                "{path} {accept:?}"
            );
            match expected {
                "application/json" => {
                    serde_json::from_slice::<serde_json::Value>(&answered.body).unwrap();
                }
                _ => drop(toml::from_str::<toml::Table>(&answered.text()).unwrap()),
            }
        }
    }
}

#[tokio::test]
async fn it_is_found_by_its_name_and_version() {
    let client = Client::new();
    client
        .create(&invoice("example.com/a/b/1.0.0+b.1", &[]))
        .await;
    for (path, status, says) in [
        ("example.com/a/b/1.0.0+b.1", 200, "1.0.0+b.1"),
        ("example.com/a/b/1.0.0%2Bb.1", 200, "1.0.0+b.1"),
        ("example.com%2Fa%2Fb/1.0.0+b.1", 200, "1.0.0+b.1"),
        ("example.com/a/b/1.0.0+b.1?yanked=false", 200, ""),
        ("example.com/a/b/1.0.0+b.1?yanked=true", 200, ""),
        (
            "example.com/a/b/1.0.0+b.1?yanked=maybe",
            400,
            "true or false",
        ),
        ("example.com/a/b/1.0.0", 404, "there is no bindle"),
        ("example.com/a/b/1.0.0%20b.1", 400, ""),
        ("example.com/a/b", 400, "is not a version"),
        ("example.com/a/b/1.0", 400, "version"),
        ("1.0.0", 400, "NAME/VERSION"),
        ("/1.0.0", 400, ""),
        ("a//b/1.0.0", 400, "empty"),
        ("a/../b/1.0.0", 400, ".."),
        ("%2e%2e/1.0.0", 400, ".."),
        ("a%00/1.0.0", 400, "not seen"),
        ("%ff/1.0.0", 400, ""),
        ("a/1.0.0@b@c", 400, ""),
        ("a/1.0.0@", 400, "SHA-256"),
        ("a/1.0.0@abc", 400, "SHA-256"),
    ] {
        client
            .check(&format!("GET /v1/_i/{path}"), &[], "", status, says)
            .await;
        let answered = client.ask(&format!("HEAD /v1/_i/{path}"), &[], "").await;
        assert_eq!(answered.status.as_u16(), status, "{path}");
        assert_eq!(answered.text(), "");
        let length: usize = answered.header("content-length").parse().unwrap();
        let got = client.get(&format!("/v1/_i/{path}")).await;
        assert_eq!(length, got.body.len());
    }
}

#[tokio::test]
async fn a_yanked_one_is_there_for_who_asks_for_it() {
    let client = Client::new();
    client.create(&invoice("a/1.0.0", &[b"one", b"two"])).await;
    let parcel = format!("/v1/_i/a/1.0.0@{}", Sha256::of("one"));
    client
        .check(&format!("POST {parcel}"), &[], "one", 200, "")
        .await;
    client
        .check("DELETE /v1/_i/a/2.0.0", &[], "", 404, "there is no bindle")
        .await;
    for _ in 0..2 {
        client
            .check("DELETE /v1/_i/a/1.0.0", &[], "", 200, "invoice yanked")
            .await;
    }
    let other = format!("POST /v1/_i/a/1.0.0@{}", Sha256::of("two"));
    for (line, body, status, says) in [
        ("GET /v1/_i/a/1.0.0", "", 403, "yanked"),
        ("HEAD /v1/_i/a/1.0.0", "", 403, ""),
        ("GET /v1/_i/a/1.0.0?yanked=false", "", 403, "yanked"),
        ("GET /v1/_i/a/1.0.0?yanked=true", "", 200, "yanked = true"),
        ("HEAD /v1/_i/a/1.0.0?yanked=true", "", 200, ""),
        ("GET /v1/_r/missing/a/1.0.0", "", 403, "yanked"),
        (&format!("GET {parcel}"), "", 403, "yanked"),
        (&format!("GET {parcel}?yanked=true"), "", 200, "one"),
        (&other, "two", 403, "yanked"),
    ] {
        client.check(line, &[], body, status, says).await;
    }
    let again = invoice("a/1.0.0", &[]).to_toml().unwrap();
    client.check("POST /v1/_i", &[], again, 409, "exists").await;
    let shown: Invoice = client.get("/v1/_i/a/1.0.0?yanked=true").await.toml();
    assert!(shown.yanked);
}

#[tokio::test]
async fn what_is_missing_is_told() {
    let client = Client::new();
    client
        .create(&invoice("a/1.0.0", &[b"one", b"two", b"one"]))
        .await;
    let missing = async || {
        let missing: Missing = client.get("/v1/_r/missing/a/1.0.0").await.toml();
        let digests = missing.missing.iter().map(|label| label.sha256);
        digests.collect::<Vec<_>>()
    };
    assert_eq!(missing().await, [Sha256::of("one"), Sha256::of("two")]);
    let path = format!("POST /v1/_i/a/1.0.0@{}", Sha256::of("one"));
    client.check(&path, &[], "one", 200, "").await;
    assert_eq!(missing().await, [Sha256::of("two")]);
    let path = format!("POST /v1/_i/a/1.0.0@{}", Sha256::of("two"));
    client.check(&path, &[], "two", 200, "").await;
    let answered = client.get("/v1/_r/missing/a/1.0.0").await;
    assert_eq!(answered.text().trim(), "missing = []");
    for (path, status) in [("a/2.0.0", 404), ("a", 400), ("", 400), ("a/1.0.0@x", 400)] {
        client
            .check(&format!("GET /v1/_r/missing/{path}"), &[], "", status, "")
            .await;
    }
}

#[tokio::test]
async fn strategies_say_what_is_taken() {
    for (strategy, takes_unknown) in [
        ("CreativeIntegrity", false),
        ("AuthoritativeIntegrity", true),
        ("GreedyVerification", false),
        ("ExhaustiveVerification", false),
        ("MultipleAttestation[creator]", false),
        ("MultipleAttestationGreedy[creator]", false),
    ] {
        let client = Client::with(strategy.parse().unwrap());
        let mut both = unsigned("a/1.0.0", &[]);
        let unknown = SecretKey::from_seed(&[9; 32], "Unknown", vec![Role::Creator]);
        sign(&mut both, Role::Creator, &unknown, 1).unwrap();
        let none_known = client.create(&both).await;
        assert_eq!(none_known.status, StatusCode::BAD_REQUEST, "{strategy}");
        sign(&mut both, Role::Creator, &creator(), 1).unwrap();
        let answered = client.create(&both).await;
        let expected = if takes_unknown { 201 } else { 400 };
        assert_eq!(
            answered.status.as_u16(),
            expected,
            "{strategy}: {}",
            answered.text()
        );
        let answered = client.create(&invoice("b/1.0.0", &[])).await;
        assert_eq!(
            answered.status,
            StatusCode::CREATED,
            "{strategy}: {}",
            answered.text()
        );
        let answered = client.create(&unsigned("c/1.0.0", &[])).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{strategy}");
    }
}
