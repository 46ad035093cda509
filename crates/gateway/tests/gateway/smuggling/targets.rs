//! What a request is for: its target and its host.

use super::{Case, accepted, case, denied, get, given, refused, request};

const HOST: &str = "RFC 9112, 3.2 and RFC 3986, 3.2: no Host, several, or an invalid one: 400";
const ABSOLUTE: &str = "RFC 9112, 3.2.2: the target's host counts, and Host is ignored";
const ABSOLUTE_HOST: &str =
    "RFC 9112, 3.2: no Host, several, or an invalid one are a 400 also beside an absolute target";
const AUTHORITY: &str = "RFC 9110, 4.2.1 and 4.2.4: no empty host, no user information";
const SCHEME: &str = "RFC 9110, 7.4: what this node does not serve is refused";
const FORM: &str = "RFC 9112, 3.2: a target is a path, an absolute URI, for CONNECT an authority, \
     or for OPTIONS `*`";
const CHARACTERS: &str = "RFC 9112, 3 and RFC 3986, 2: no such character stands in a target";
const FRAGMENT: &str = "RFC 9112, 3.2: a target has no fragment";
const BEYOND_HYPER: &str = "the library cuts it off before anybody can see it";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = targets();
    cases.extend(absolute());
    cases.extend(hosts());
    cases
}

/// A request with this target.
fn to(target: &str) -> Vec<u8> {
    request(&format!("GET {target} HTTP/1.1"), "", "")
}

/// A request with these lines for its host.
fn hosted(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\n{fields}\r\n").into_bytes()
}

fn targets() -> Vec<Case> {
    let mut cases = vec![
        case(
            "a path and a query",
            "RFC 9112, 3.2.1",
            to("/a/b%20c?d=e&f"),
            accepted(given("GET", "/a/b%20c?d=e&f", "")),
        ),
        case(
            "a path that begins with two slashes",
            "RFC 9112, 3.2.1: a path, and no host",
            to("//hidden/x"),
            accepted(given("GET", "//hidden/x", "")),
        ),
        case(
            "a URI in a query",
            "RFC 9112, 3.2.1: a query, and no host",
            to("/?http://hidden/"),
            accepted(given("GET", "/?http://hidden/", "")),
        ),
        case(
            "the server as a whole",
            "RFC 9110, 9.3.7: OPTIONS may be answered in any way",
            request("OPTIONS * HTTP/1.1", "", ""),
            denied(404),
        ),
        case(
            "the server as a whole, with a GET",
            FORM,
            to("*"),
            refused(400),
        ),
        case(
            "segments that clients resolve",
            "RFC 3986, 5.2.4: readers that resolve them, and that do not, would differ; refused",
            to("/a/../b"),
            denied(400),
        ),
        case("a fragment", FRAGMENT, to("/a#b"), refused(400))
            .leftover(accepted(given("GET", "/a", "")), BEYOND_HYPER),
        case(
            "a fragment after a query",
            FRAGMENT,
            to("/a?b#/c"),
            refused(400),
        )
        .leftover(accepted(given("GET", "/a?b", "")), BEYOND_HYPER),
        case(
            "a fragment of a URI",
            FRAGMENT,
            to("http://t/a#b"),
            refused(400),
        )
        .leftover(accepted(given("GET", "/a", "")), BEYOND_HYPER),
        case(
            "letters beyond ASCII",
            CHARACTERS,
            to("/\u{e4}"),
            refused(400),
        ),
        case(
            "letters beyond ASCII in a query",
            CHARACTERS,
            to("/?\u{e4}"),
            refused(400),
        ),
        case(
            "bytes that are no letters",
            CHARACTERS,
            b"GET /\xff HTTP/1.1\r\nhost: t\r\n\r\n",
            refused(400),
        ),
    ];
    for target in [
        "a", "a/b", "?a", "t:80", "t:80/a", "../a", "a:", ":80", "#a", "%2f",
    ] {
        cases.push(case(
            "neither a path nor a URI",
            FORM,
            to(target),
            refused(400),
        ));
    }
    for target in ["/\0", "/\u{1}", "/\u{7f}", "/a\tb", "/<a>", "/?<a>"] {
        cases.push(case(
            "no character of a URI",
            CHARACTERS,
            to(target),
            refused(400),
        ));
    }
    cases
}

fn absolute() -> Vec<Case> {
    let absolute =
        |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\n{host}\r\n").into_bytes();
    let mut cases = vec![
        case(
            "a URI",
            ABSOLUTE,
            to("http://t/a?b"),
            accepted(given("GET", "/a?b", "")),
        ),
        case(
            "a URI without a path",
            ABSOLUTE,
            to("http://t"),
            accepted(given("GET", "/", "")),
        ),
        case(
            "a URI in capitals",
            ABSOLUTE,
            to("HTTP://t/a"),
            accepted(given("GET", "/a", "")),
        ),
        case(
            "a URI of https",
            "RFC 9110, 7.4: refused, unless it came over TLS or from a gateway that is trusted",
            to("https://t/a"),
            refused(400),
        ),
        case(
            "a URI with another host",
            ABSOLUTE,
            to("http://other/a"),
            accepted(given("GET", "http://other/a", "")),
        ),
        case(
            "a URI with another port",
            ABSOLUTE,
            to("http://t:81/a"),
            accepted(given("GET", "http://t:81/a", "")),
        ),
    ];
    for host in [
        "",
        "host: t\r\nhost: t\r\n",
        "host: t\r\nhost: other\r\n",
        "host: t u\r\n",
        "host: u@t\r\n",
        "host: t/x\r\n",
        "host: t:x\r\n",
        "host: t:99999\r\n",
    ] {
        let bytes = absolute("http://t/", host);
        cases.push(case(
            "a URI and a bad host",
            ABSOLUTE_HOST,
            bytes,
            refused(400),
        ));
    }
    for target in [
        "http://",
        "http:///a",
        "http://:80/a",
        "http://u@t/",
        "http://u:p@t/",
        "http://@t/",
        "http://t:x/",
        "http://t:99999/",
        "http://t:+80/",
        "http://t:80:80/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[x]/",
        "http://t u/",
        "http://t,u/",
        "http://%74/",
        "http://t\\u/",
    ] {
        cases.push(case(
            "a URI with a bad host",
            AUTHORITY,
            to(target),
            refused(400),
        ));
    }
    for target in [
        "ftp://t/",
        "ws://t/",
        "file://t/etc",
        "x://t/",
        "1http://t/",
        "http:/a",
        "http:a",
    ] {
        cases.push(case(
            "a URI of another scheme",
            SCHEME,
            to(target),
            refused(400),
        ));
    }
    cases
}

fn hosts() -> Vec<Case> {
    let mut cases = vec![
        case(
            "a host in capitals",
            "RFC 9110, 4.2.3: the same host",
            hosted("host: T\r\n"),
            accepted(given("GET", "http://T/", "")),
        ),
        case(
            "a host with an address",
            "RFC 3986, 3.2.2",
            hosted("host: [::1]:8080\r\n"),
            accepted(given("GET", "http://[::1]:8080/", "")),
        ),
        case(
            "a host with an empty port",
            "RFC 3986, 3.2.3: a port may be empty",
            hosted("host: t:\r\n"),
            accepted(given("GET", "http://t:/", "")),
        ),
        case(
            "fields that only claim a host",
            "RFC 9110, 7.2: Host is the one that counts",
            get("x-forwarded-host: hidden\r\nforwarded: host=hidden\r\nx-host: hidden\r\n"),
            accepted(given("GET", "/", "")),
        ),
    ];
    for fields in [
        "",
        "host: t\r\nhost: t\r\n",
        "host: t\r\nHost: u\r\n",
        "host: t\r\nhost:\r\n",
        "host: t\r\nx: y\r\nhost: u\r\n",
    ] {
        cases.push(case("not one host", HOST, hosted(fields), refused(400)));
    }
    for host in [
        "",
        "t, t",
        "t,u",
        "t u",
        "t\tu",
        "t/x",
        "/t",
        "t?x",
        "t#x",
        "u@t",
        "u:p@t",
        "@t",
        "http://t",
        ":80",
        "t:x",
        "t:-1",
        "t:+80",
        "t:0x50",
        "t:80:80",
        "t:65536",
        "t:99999999999",
        "t:80x",
        "[",
        "[]",
        "[::1",
        "::1]",
        "[::1]80",
        "[::1]x",
        "[x]",
        "[::1%25lo]",
        "::1",
        "t%00",
        "%74",
        "t\\u",
        "<t>",
        "t\u{e4}",
        "t;u",
        "t=u",
        "t\"",
    ] {
        let bytes = hosted(&format!("host: {host}\r\n"));
        cases.push(case("a bad host", HOST, bytes, refused(400)));
    }
    cases
}
