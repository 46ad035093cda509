//! TLS: whom it trusts, and HTTP/2 over it.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Version};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use wasmtime_wasi_http::Error;

use super::server::{Server, serve_tls};
use super::{client, full, get, rule, send, text};
use crate::{Config, Host, HttpClient, HttpClients, Scheme};

/// A server with a certificate of its own authority, and that authority.
async fn server(name: &str, versions: &[&[u8]]) -> (Server, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let der = made.cert.der().to_vec();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(der.clone())], key)
        .expect("a certificate and its key");
    config.alpn_protocols = versions.iter().map(|version| version.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = serve_tls(Some(acceptor), async |request: Request<_>| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let authority = match request.version() {
            Version::HTTP_2 => request.uri().authority().map(ToString::to_string),
            _ => Some(format!("{:?}", request.headers()["host"])),
        };
        Response::new(full(format!("{:?} {authority:?}", request.version())))
    })
    .await;
    (server, der)
}

fn trusting(authority: Vec<u8>, port: u16) -> HttpClient {
    let config = Config {
        authorities: vec![authority],
        ..Config::default()
    };
    let rules = vec![rule(Scheme::Https, Host::Name("localhost".into()), port)];
    client(config, rules)
}

#[tokio::test]
async fn http2_serves_many_requests_on_one_connection() {
    let (server, authority) = server("localhost", &[b"h2", b"http/1.1"]).await;
    let port = server.port();
    let client = trusting(authority, port);
    let url = format!("https://localhost:{port}/");
    let expected = format!("HTTP/2.0 Some(\"localhost:{port}\")");
    assert_eq!(text(&client, get(&url)).await.expect("an answer"), expected);
    let answers = (0..20).map(|_| text(&client, get(&url)));
    for answer in futures::future::join_all(answers).await {
        assert_eq!(answer.expect("an answer"), expected);
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn http1_where_a_server_speaks_nothing_else() {
    for versions in [&[b"http/1.1".as_slice()][..], &[]] {
        let (server, authority) = server("localhost", versions).await;
        let port = server.port();
        let client = trusting(authority, port);
        let answer = text(&client, get(&format!("https://localhost:{port}/"))).await;
        let expected = format!("HTTP/1.1 Some(\"\\\"localhost:{port}\\\"\")");
        assert_eq!(answer.expect("an answer"), expected);
    }
}

#[tokio::test]
async fn a_certificate_of_nobody_or_of_another_host_is_refused() {
    let (unknown, _) = server("localhost", &[b"h2"]).await;
    let (other, others_authority) = server("other.example", &[b"h2"]).await;
    let (_, unrelated) = server("localhost", &[b"h2"]).await;
    for (server, authority) in [(unknown, unrelated), (other, others_authority)] {
        let port = server.port();
        let client = trusting(authority, port);
        let error = send(&client, get(&format!("https://localhost:{port}/")))
            .await
            .expect_err("not trusted");
        assert!(matches!(error, Error::TlsCertificateError), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_no_tls_is_refused() {
    let plain = super::server::serve(async |_| Response::new(full("plain"))).await;
    let port = plain.port();
    let rules = vec![rule(Scheme::Https, Host::Name("localhost".into()), port)];
    let client = client(Config::default(), rules);
    let error = send(&client, get(&format!("https://localhost:{port}/")))
        .await
        .expect_err("no TLS");
    assert!(matches!(error, Error::TlsProtocolError), "{error:?}");
}

#[test]
fn an_authority_that_is_none_is_told_at_start() {
    let config = Config {
        authorities: vec![b"no certificate".to_vec()],
        ..Config::default()
    };
    let error = HttpClients::new(config).err().expect("refused");
    assert!(error.to_string().starts_with("TLS cannot be set up: "));
}
