//! Where requests go, and where they do not.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use wasmtime_wasi_http::Error;

use super::server::serve;
use super::{client, client_with_resolver, empty, full, get, loopback, rule, send, text};
use crate::{Config, Host, Scheme};

fn addresses(text: &str) -> Vec<IpAddr> {
    text.split(' ')
        .map(|address| address.parse().expect("an address"))
        .collect()
}

#[tokio::test]
async fn without_a_rule_nothing_is_sent() {
    let server = serve(async |_| Response::new(empty())).await;
    let client = client(Config::default(), vec![loopback(Scheme::Http, 1)]);
    let error = send(&client, get(&server.url("/")))
        .await
        .expect_err("denied");
    assert!(matches!(error, Error::HttpRequestDenied), "{error:?}");
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_redirect_is_the_guests_to_follow() {
    let server = serve(
        async |request: http::Request<_>| match request.uri().path() {
            "/" => Response::builder()
                .status(302)
                .header("location", "/next")
                .body(empty())
                .expect("a response"),
            _ => Response::new(full("followed")),
        },
    )
    .await;
    let client = client(
        Config::default(),
        vec![loopback(Scheme::Http, server.port())],
    );
    let response = send(&client, get(&server.url("/")))
        .await
        .expect("an answer");
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], "/next");
}

#[tokio::test]
async fn the_server_sees_the_host_that_was_checked() {
    let server = serve(async |request: http::Request<_>| {
        let hosts: Vec<_> = request.headers().get_all("host").iter().collect();
        Response::new(full(format!("{} {hosts:?}", request.uri())))
    })
    .await;
    let client = client(
        Config::default(),
        vec![loopback(Scheme::Http, server.port())],
    );
    let mut request = get(&server.url("/a?b"));
    request
        .headers_mut()
        .insert("host", "internal.example".parse().expect("a value"));
    let seen = text(&client, request).await.expect("an answer");
    assert_eq!(seen, format!("/a?b [\"{}\"]", server.address));
}

#[tokio::test]
async fn a_name_with_a_private_address_is_refused() {
    let server = serve(async |_| Response::new(empty())).await;
    let port = server.port();
    for found in ["127.0.0.1", "::ffff:127.0.0.1", "10.1.2.3 169.254.169.254"] {
        let rules = vec![rule(Scheme::Http, Host::Name("a.example".into()), port)];
        let client = client_with_resolver(rules, move |_| addresses(found));
        let request = get(&format!("http://a.example:{port}/"));
        let error = send(&client, request).await.expect_err("refused");
        assert!(matches!(error, Error::DestinationIpProhibited), "{error:?}");
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn localhost_by_name_is_this_machine_and_nothing_else_private() {
    let server = serve(async |_| Response::new(full("here"))).await;
    let port = server.port();
    let rules = || vec![rule(Scheme::Http, Host::Name("localhost".into()), port)];
    let url = format!("http://localhost:{port}/");

    // Of several addresses only those that may be reached are tried.
    let mixed = client_with_resolver(rules(), |_| addresses("10.0.0.1 127.0.0.1"));
    assert_eq!(text(&mixed, get(&url)).await.expect("an answer"), "here");

    let lies = client_with_resolver(rules(), |_| addresses("10.0.0.1"));
    let error = send(&lies, get(&url)).await.expect_err("refused");
    assert!(matches!(error, Error::DestinationIpProhibited), "{error:?}");

    // The same with the system's resolver.
    let real = client(Config::default(), rules());
    assert_eq!(text(&real, get(&url)).await.expect("an answer"), "here");
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_a_connection_and_checked_each_time() {
    let server = serve(async |request: http::Request<_>| {
        let mut response = Response::new(full("here"));
        if request.uri().path() == "/close" {
            let close = http::HeaderValue::from_static("close");
            response.headers_mut().insert("connection", close);
        }
        response
    })
    .await;
    let port = server.port();
    let lookups = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lookups);
    let rules = vec![rule(Scheme::Http, Host::Name("localhost".into()), port)];
    // The second answer is another one: what a rebinding attack does.
    let client = client_with_resolver(rules, move |_| {
        addresses(match count.fetch_add(1, Ordering::SeqCst) {
            0 => "127.0.0.1",
            _ => "192.168.0.1",
        })
    });
    let url = |path: &str| format!("http://localhost:{port}{path}");
    assert_eq!(
        text(&client, get(&url("/"))).await.expect("an answer"),
        "here"
    );
    assert_eq!(
        text(&client, get(&url("/close"))).await.expect("an answer"),
        "here"
    );
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    assert_eq!(server.accepted(), 1);
    let error = send(&client, get(&url("/"))).await.expect_err("refused");
    assert!(matches!(error, Error::DestinationIpProhibited), "{error:?}");
    assert_eq!(lookups.load(Ordering::SeqCst), 2);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_name_without_an_address_is_an_error_of_dns() {
    let rules = vec![rule(Scheme::Http, Host::Below("invalid".into()), 80)];
    let client = client(Config::default(), rules);
    let error = send(&client, get("http://x.invalid/"))
        .await
        .expect_err("no such name");
    assert!(matches!(error, Error::DnsError { .. }), "{error:?}");
}
