use http::Request;

use super::*;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

#[test]
fn a_clients_identifier_is_taken_if_it_can_be() {
    let long = "a".repeat(128);
    for id in ["a", "!~", long.as_str()] {
        assert_eq!(request_id(&headers(&[("x-request-id", id)])).as_str(), id);
    }
    let longer = "a".repeat(129);
    for id in ["", "a b", "ä", "a\tb", longer.as_str()] {
        let own = request_id(&headers(&[("x-request-id", id)]));
        let uuid = uuid::Uuid::parse_str(own.as_str()).unwrap();
        assert_eq!(uuid.get_version_num(), 7, "{id}");
    }
    assert_ne!(new_request_id(), new_request_id());
}

#[test]
fn fields_of_the_connection_are_taken_out() {
    let mut fields = headers(&[
        ("connection", "Keep-Alive, X-Own"),
        ("connection", "content-length,host,, bad name"),
        ("connection", "X-Forwarded-For, x-forwarded-port"),
        ("connection", "forwarded, x-real-ip"),
        ("keep-alive", "timeout=5"),
        ("x-own", "1"),
        ("te", "gzip;q=1, trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAA"),
        ("proxy-authorization", "x"),
        ("proxy-connection", "x"),
        ("expect", "100-continue"),
        ("host", "h"),
        ("content-length", "1"),
        ("trailer", "x-t"),
        ("traceparent", "00-1-2-3"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4"),
    ]);
    strip_connection(&mut fields);
    let mut left: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(
        left,
        [
            "content-length",
            "forwarded",
            "host",
            "te",
            "traceparent",
            "trailer",
            "x-forwarded-for",
            "x-forwarded-port",
            "x-real-ip"
        ]
    );
    assert_eq!(fields["te"], "trailers");
    let mut fields = headers(&[("te", "gzip")]);
    strip_connection(&mut fields);
    assert!(fields.is_empty());
}

#[test]
fn there_is_one_authority() {
    let local: SocketAddr = "127.0.0.1:8080".parse().unwrap();
    for (version, uri, fields, expected) in [
        (
            Version::HTTP_11,
            "/",
            vec![("host", "a.example")],
            Some("a.example"),
        ),
        (
            Version::HTTP_11,
            "/",
            vec![("host", "[::1]:80")],
            Some("[::1]:80"),
        ),
        (Version::HTTP_11, "/", vec![("host", "a:")], Some("a:")),
        (
            Version::HTTP_11,
            "http://b:1/",
            vec![("host", "a")],
            Some("b:1"),
        ),
        (Version::HTTP_11, "http://b/", vec![], None),
        (Version::HTTP_11, "http://b/", vec![("host", "")], None),
        (Version::HTTP_11, "http://b/", vec![("host", "a b")], None),
        (Version::HTTP_11, "http://b/", vec![("host", "u@b")], None),
        (Version::HTTP_11, "http://b,c/", vec![("host", "b")], None),
        (Version::HTTP_11, "/", vec![], None),
        (Version::HTTP_11, "/", vec![("host", "")], None),
        (
            Version::HTTP_11,
            "/",
            vec![("host", "a"), ("host", "a")],
            None,
        ),
        (Version::HTTP_11, "/", vec![("host", "user@a")], None),
        (Version::HTTP_11, "/", vec![("host", "a:99999")], None),
        (Version::HTTP_11, "/", vec![("host", "a:+80")], None),
        (Version::HTTP_11, "/", vec![("host", "a,b")], None),
        (Version::HTTP_11, "/", vec![("host", "[]")], None),
        (Version::HTTP_11, "/", vec![("host", "[::1%25a]")], None),
        (
            Version::HTTP_11,
            "/",
            vec![("host", "a_-.~1")],
            Some("a_-.~1"),
        ),
        (Version::HTTP_11, "/", vec![("host", "a/b")], None),
        (
            Version::HTTP_11,
            "http://user@a/",
            vec![("host", "a")],
            None,
        ),
        (Version::HTTP_10, "/", vec![], Some("127.0.0.1:8080")),
        (Version::HTTP_10, "/", vec![("host", "a")], Some("a")),
        (Version::HTTP_2, "http://a/", vec![], Some("a")),
        (Version::HTTP_2, "http://a/", vec![("host", "A")], Some("a")),
        (Version::HTTP_2, "http://a/", vec![("host", "b")], None),
        (Version::HTTP_2, "http://a/", vec![("host", "a b")], None),
        (Version::HTTP_2, "/", vec![("host", "b")], Some("b")),
        (Version::HTTP_2, "/", vec![], None),
    ] {
        let mut request = Request::builder()
            .version(version)
            .uri(uri)
            .body(())
            .unwrap();
        *request.headers_mut() = headers(&fields);
        let found = authority(&request.into_parts().0, local);
        assert_eq!(
            found.as_ref().ok().map(Authority::as_str),
            expected,
            "{version:?} {uri} {fields:?}"
        );
    }
}

/// Whatever frames, routes or authorises a request, tells what its body is, or for whom a
/// proxy asks.
#[test]
fn trailers_say_nothing_of_what_came_before() {
    let forbidden = [
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-real-ip",
    ];
    let mut trailers = headers(&forbidden.map(|name| (name, "1")));
    trailers.append("x-end", HeaderValue::from_static("bye"));
    strip_trailers(&mut trailers);
    let left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["x-end"]);
}

#[test]
fn no_value_has_whitespace_around_it() {
    let check = |value: &str| check_values(&headers(&[("a", "b"), ("x", value)])).is_ok();
    for good in ["", "a", "a b", "a\tb"] {
        assert!(check(good), "{good:?}");
    }
    for bad in [" ", "\t", " a", "a ", "\ta", "a\t"] {
        assert!(!check(bad), "{bad:?}");
    }
}

#[test]
fn a_body_is_chunked_once_or_not_at_all() {
    let check = |values: &[&str]| {
        let fields: Vec<(&str, &str)> = values
            .iter()
            .map(|value| ("transfer-encoding", *value))
            .collect();
        check_coding(&headers(&fields)).is_ok()
    };
    for good in [&["chunked"][..], &["Chunked"], &[" \tCHUNKED\t "], &[]] {
        assert!(check(good), "{good:?}");
    }
    for bad in [
        &["gzip, chunked"][..],
        &["chunked, chunked"],
        &["gzip", "chunked"],
        &["chunked", "chunked"],
        &["chunked", ""],
        &[", chunked"],
        &["chunked;q=1"],
        &["identity"],
        &["xchunked"],
        &["ä"],
        &[""],
    ] {
        assert!(!check(bad), "{bad:?}");
    }
}

#[test]
fn crumbs_of_a_cookie_are_one() {
    for (given, expected) in [
        (&[][..], &[][..]),
        (&["a=1"], &["a=1"]),
        (&["a=1", "b=2; c=3", "d=4"], &["a=1; b=2; c=3; d=4"]),
    ] {
        let given: Vec<(&str, &str)> = given.iter().map(|it| ("cookie", *it)).collect();
        let mut given = headers(&given);
        join_cookies(&mut given);
        let found: Vec<&HeaderValue> = given.get_all("cookie").iter().collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_header_at_its_bounds() {
    let config = Config {
        header_bytes: 100,
        header_fields: 2,
        ..Config::default()
    };
    let check = |fields: &[(&str, &str)]| {
        let mut request = Request::builder().uri("http://a/bcd").body(()).unwrap();
        *request.headers_mut() = headers(fields);
        check_size(&request.into_parts().0, &config).map_err(|problem| problem.detail().to_owned())
    };
    // 5 of the URI, 33 of a field without its value.
    assert_eq!(check(&[("x", &"1".repeat(62))]), Ok(()));
    assert_eq!(
        check(&[("x", &"1".repeat(63))]),
        Err("a request may have a header of 100".to_owned())
    );
    assert_eq!(check(&[("x", ""), ("y", "")]), Ok(()));
    assert_eq!(
        check(&[("x", ""), ("y", ""), ("z", "")]),
        Err("a request may have 2 header fields".to_owned())
    );
}

#[test]
fn an_answers_length_is_one_number() {
    let length = |values: &[&str]| {
        let fields: Vec<(&str, &str)> = values
            .iter()
            .map(|value| ("content-length", *value))
            .collect();
        content_length(&headers(&fields)).ok()
    };
    assert_eq!(length(&[]), Some(None));
    assert_eq!(length(&["12"]), Some(Some(12)));
    assert_eq!(length(&["12", "12"]), Some(Some(12)));
    for bad in [
        &["12", "13"][..],
        &["+1"],
        &["-1"],
        &["x"],
        &[""],
        &["99999999999999999999"],
    ] {
        assert_eq!(length(bad), None, "{bad:?}");
    }
}
