//! The way in over TLS: with OpenSSL, with a client that checks everything, and while the
//! certificate changes.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use strand_tests::{Server, TestApp, run};
use tempfile::TempDir;

const SPEC: &str = "  resources: { blobs: { data: { dev: data } } }
  functions:
    hello: { source: { file: hello-http02.wasm } }
    probe:
      source: { file: probe02.wasm }
      grants: { blobs: { data: [read, write] }, functions: [hello] }
  routes:
    - { path: /, function: hello }
    - { path: \"/{*rest}\", function: probe }
";

/// Somebody whom the clients trust, and the files of a site.
struct Site {
    folder: TempDir,
    root: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Site {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "The Issuer");
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("root.pem"), root.pem()).unwrap();
        Self {
            root,
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a new certificate for these names where the node looks for it, as careful
    /// administrators do: each file is there whole or not at all.
    fn issue(&self, stem: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, stem);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let put = |name: &str, text: String| {
            let draft = self.path("draft");
            fs::write(&draft, text).unwrap();
            fs::rename(draft, self.path(name)).unwrap();
        };
        put(&format!("{stem}.pem"), certificate.pem());
        put(&format!("{stem}.key"), key.serialize_pem());
    }

    fn up(&self, app: &TestApp, more: &[&str]) -> Server {
        let (certificate, key) = (self.path("site.pem"), self.path("site.key"));
        let mut args = vec![
            "--tls-cert",
            certificate.to_str().unwrap(),
            "--tls-key",
            key.to_str().unwrap(),
        ];
        args.extend(more);
        Server::start(app.path(), &args)
    }

    /// A client that trusts this issuer and nobody else.
    fn client(&self, server: &Server, name: &str) -> reqwest::ClientBuilder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = reqwest::Certificate::from_pem(self.root.pem().as_bytes()).unwrap();
        let address: SocketAddr = server.address().parse().unwrap();
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([root])
            .resolve(name, address)
    }
}

fn url(server: &Server, name: &str, path: &str) -> String {
    let port = server.address().rsplit(':').next().unwrap();
    format!("https://{name}:{port}{path}")
}

/// What OpenSSL says of a handshake.
fn s_client(site: &Site, server: &Server, args: &[&str]) -> String {
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            server.address(),
            "-verify_return_error",
            "-CAfile",
        ])
        .arg(site.path("root.pem"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("openssl, which Debian has installed");
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[tokio::test]
async fn openssl_shakes_hands() {
    let site = Site::new();
    site.issue("site", &["site.example"]);
    let app = TestApp::new(SPEC);
    let server = site.up(&app, &[]);
    for (args, expected) in [
        (
            &[
                "-servername",
                "site.example",
                "-verify_hostname",
                "site.example",
            ][..],
            "Verify return code: 0 (ok)",
        ),
        (&["-tls1_3", "-alpn", "h2,http/1.1"], "ALPN protocol: h2"),
        (&["-tls1_2", "-alpn", "http/1.1"], "ALPN protocol: http/1.1"),
        (&["-tls1_3"], "TLSv1.3, Cipher is TLS_"),
        (&["-tls1_2"], "TLSv1.2, Cipher is ECDHE-"),
        (
            &[
                "-servername",
                "site.example",
                "-verify_hostname",
                "other.example",
            ],
            "ostname mismatch",
        ),
        (&["-alpn", "gopher"], "no application protocol"),
        // Older versions are not spoken.
        (
            &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            "Cipher is (NONE)",
        ),
    ] {
        let said = s_client(&site, &server, args);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    server
        .wait_for_metric("strand_tls_handshakes_failed_total", |failed| failed >= 2.0)
        .await;
}

#[tokio::test]
async fn a_strict_client_gets_answers_over_both_protocols() {
    let site = Site::new();
    site.issue("site", &["site.example"]);
    let app = TestApp::new(SPEC);
    let server = site.up(&app, &[]);
    let http1 = site
        .client(&server, "site.example")
        .http1_only()
        .build()
        .unwrap();
    let http2 = site.client(&server, "site.example").build().unwrap();
    for (client, version) in [
        (http1, http::Version::HTTP_11),
        (http2, http::Version::HTTP_2),
    ] {
        let response = client
            .get(url(&server, "site.example", "/"))
            .send()
            .await
            .unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, version)
        );
        // What is larger than any buffer on the way, both ways.
        let body = vec![b'x'; 3 << 20];
        let echoed = client
            .post(url(&server, "site.example", "/echo"))
            .body(body.clone());
        let echoed = echoed.send().await.unwrap().bytes().await.unwrap();
        assert!(echoed == body, "{} bytes", echoed.len());
    }
    // Whoever is not named by the certificate is not believed.
    let stranger = site.client(&server, "other.example").build().unwrap();
    let refused = stranger
        .get(url(&server, "other.example", "/"))
        .send()
        .await;
    assert!(refused.unwrap_err().is_connect());
}

#[tokio::test]
async fn http_in_cleartext_is_told_so() {
    let site = Site::new();
    site.issue("site", &["site.example"]);
    let app = TestApp::new(SPEC);
    let server = site.up(&app, &[]);
    let cleartext = format!("http://{}/", server.address());
    let reply = server.send(strand_tests::client().get(cleartext)).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["field"], "scheme");
    server
        .wait_for_metric("strand_problems_total", |problems| problems == 1.0)
        .await;
}

#[tokio::test]
async fn each_name_has_its_certificate() {
    let site = Site::new();
    site.issue("site", &["a.example"]);
    site.issue("b", &["b.example", "*.c.example"]);
    let config = site.path("node.toml");
    // Beside the one of the command line.
    fs::write(
        &config,
        "[tls]\ncertificates = [{ certificate = \"b.pem\", key = \"b.key\" }]\n",
    )
    .unwrap();
    let app = TestApp::new(SPEC);
    let server = site.up(&app, &["--config", config.to_str().unwrap()]);
    for name in ["a.example", "b.example", "x.c.example"] {
        let client = site.client(&server, name).build().unwrap();
        let response = client.get(url(&server, name, "/")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
    }
    // Both end with the year 4095.
    let name = "strand_tls_certificate_expiry_timestamp_seconds";
    assert_eq!(server.metric(name).await, 2.0 * 67_090_118_400.0);
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_at_the_start() {
    let app = TestApp::new(SPEC);
    let refused = |certificate: &Path, key: &Path| {
        let output = run([
            "up".as_ref(),
            "--no-build".as_ref(),
            "--listen=127.0.0.1:0".as_ref(),
            "--admin=127.0.0.1:0".as_ref(),
            "--tls-cert".as_ref(),
            certificate.as_os_str(),
            "--tls-key".as_ref(),
            key.as_os_str(),
            app.path().as_os_str(),
        ]);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let site = Site::new();
    site.issue("site", &["a.example"]);
    site.issue("other", &["a.example"]);
    let said = refused(&site.path("none.pem"), &site.path("site.key"));
    assert!(
        said.contains("none.pem: No such file or directory"),
        "{said}"
    );
    let said = refused(&site.path("site.pem"), &site.path("other.key"));
    assert!(
        said.contains("other.key: it is not the key of the certificate in"),
        "{said}"
    );
}

#[test]
fn what_an_operator_should_look_after_is_in_the_log() {
    let site = Site::new();
    site.issue("site", &["a.example"]);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["b.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2024, 3, 1);
    let ended = params.signed_by(&key, &site.issuer).unwrap();
    fs::write(site.path("ended.pem"), ended.pem()).unwrap();
    fs::write(site.path("ended.key"), key.serialize_pem()).unwrap();
    let config = site.path("node.toml");
    fs::write(
        &config,
        "[tls]\ncertificates = [{ certificate = \"ended.pem\", key = \"ended.key\" }]\n",
    )
    .unwrap();
    // A group is not every user.
    for (name, mode) in [("site.key", 0o640), ("ended.key", 0o604)] {
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let app = TestApp::new("  routes: [{ path: /, redirect: { to: \"https://a.example/\" } }]\n");
    let mut server = site.up(&app, &["--config", config.to_str().unwrap()]);
    // The other one comes before it.
    let line = server.wait_for_line(|line| line.contains("every user of this machine may read"));
    assert!(line.contains("ended.key"), "{line}");
    let line = server.wait_for_line(|line| line.contains("the certificate ended on 2024-03-01"));
    assert!(line.contains("ended.pem"), "{line}");
}

/// Asks over and over, over new connections and over one that is kept, until it is told to stop.
async fn load(
    fresh: reqwest::Client,
    kept: reqwest::Client,
    url: String,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) {
    while !stop.load(Ordering::Relaxed) {
        for client in [&fresh, &kept] {
            let response = client.get(&url).send().await.unwrap();
            assert_eq!(response.status(), 200);
            response.bytes().await.unwrap();
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_swapped_loses_no_request() {
    let site = Site::new();
    site.issue("site", &["old.example", "both.example"]);
    let app = TestApp::new(SPEC);
    let server = site.up(&app, &[]);
    let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let loads: Vec<_> = (0..4)
        .map(|_| {
            let builder = || site.client(&server, "both.example").http1_only();
            let fresh = builder().pool_max_idle_per_host(0).build().unwrap();
            let kept = builder().build().unwrap();
            let url = url(&server, "both.example", "/");
            tokio::spawn(load(fresh, kept, url, Arc::clone(&stop), Arc::clone(&done)))
        })
        .collect();
    let serves = |name: &'static str| {
        let client = site
            .client(&server, name)
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        let url = url(&server, name, "/");
        async move { client.get(url).send().await.is_ok() }
    };
    assert!(serves("old.example").await);
    for (name, gone) in [
        ("new.example", "old.example"),
        ("old.example", "new.example"),
    ] {
        site.issue("site", &[name, "both.example"]);
        let swapped = async {
            while !serves(name).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), swapped)
            .await
            .expect("the certificate was read again");
        assert!(!serves(gone).await);
    }
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        load.await.unwrap();
    }
    assert!(done.load(Ordering::Relaxed) > 8);
}

/// What docs/tls.md has for port 80: everything is sent on, but for what an authority asks for.
#[tokio::test]
async fn a_node_for_port_80_sends_on_and_answers_an_authority() {
    let app = TestApp::new(
        "  routes:
    - { path: /, redirect: { to: \"https://www.example.org/\", status: 308 } }
    - { path: \"/{*rest}\", redirect: { to: \"https://www.example.org/{path.rest}\", status: 308 } }
    - { path: \"/.well-known/acme-challenge/{*rest}\", static: ./acme/.well-known/acme-challenge }
",
    );
    let folder = "acme/.well-known/acme-challenge";
    fs::create_dir_all(app.path().join(folder)).unwrap();
    let server = Server::start(app.path(), &[]);
    // While the node serves, as ACME clients do.
    app.write(&format!("{folder}/-Token_1"), "-Token_1.thumbprint");
    let reply = server.get("/.well-known/acme-challenge/-Token_1").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text(), "-Token_1.thumbprint");
    let missing = server.get("/.well-known/acme-challenge/-Token_2").await;
    assert_eq!(missing.status, 404);

    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    for path in ["/", "/a/b%20c?d=e", "/.well-known/security.txt"] {
        let reply = server.send(client.get(server.url(path))).await;
        assert_eq!(reply.status, 308, "{path}");
        let expected = format!("https://www.example.org{path}");
        assert_eq!(reply.headers["location"], expected, "{path}");
    }
}
