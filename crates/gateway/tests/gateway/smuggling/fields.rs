//! Fields that are about the connection: none moves a request's bounds.

use super::{Case, accepted, case, get, given, last, post, refused, request};

const NAMED: &str = "RFC 9110, 7.6.1: what `Connection` names goes, but framing and routing stay";
const EXPECT: &str = "RFC 9110, 10.1.1";
const UPGRADE: &str = "RFC 9110, 7.8: a server may ignore it, and goes on with HTTP/1.1";

const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

pub(super) fn cases() -> Vec<Case> {
    let hello = || accepted(given("POST", "/", "hello"));
    let nothing = || accepted(given("GET", "/", ""));
    vec![
        case(
            "a connection that names its length",
            NAMED,
            post(
                "connection: content-length\r\ncontent-length: 5\r\n",
                "hello",
            ),
            hello(),
        ),
        case(
            "a connection that names its coding",
            NAMED,
            post(
                "connection: transfer-encoding\r\ntransfer-encoding: chunked\r\n",
                CHUNKS,
            ),
            hello(),
        ),
        case(
            "a connection that names the host",
            NAMED,
            get("connection: host\r\n"),
            nothing(),
        ),
        case(
            "a connection that ends",
            "RFC 9112, 9.6: nothing after a request with `close` is read",
            get("connection: close\r\n"),
            last(given("GET", "/", "")),
        ),
        case(
            "a connection that ends, among others",
            "RFC 9112, 9.6: nothing after a request with `close` is read",
            get("connection: keep-alive, Close\r\nconnection: keep-alive\r\n"),
            last(given("GET", "/", "")),
        ),
        case(
            "HTTP/1.0",
            "RFC 9112, 9.3: without `keep-alive` the connection ends",
            request("GET / HTTP/1.0", "", ""),
            last(given("GET", "/", "")),
        ),
        case(
            "HTTP/1.0 that lives on",
            "RFC 9112, 9.3: with `keep-alive` the connection may go on",
            request("GET / HTTP/1.0", "connection: keep-alive\r\n", ""),
            nothing(),
        ),
        case(
            "HTTP/1.0 that lives on, with a body",
            "RFC 9112, 9.3: with `keep-alive` the connection may go on",
            request(
                "POST / HTTP/1.0",
                "connection: keep-alive\r\ncontent-length: 5\r\n",
                "hello",
            ),
            hello(),
        ),
        case(
            "a body that waits for 100, and does not",
            EXPECT,
            post("expect: 100-continue\r\ncontent-length: 5\r\n", "hello"),
            hello(),
        ),
        case(
            "chunks that wait for 100, and do not",
            EXPECT,
            post(
                "expect: 100-Continue\r\ntransfer-encoding: chunked\r\n",
                CHUNKS,
            ),
            hello(),
        ),
        case(
            "waiting for 100 without a body",
            "RFC 9110, 10.1.1: a server may leave it out when there is no content",
            get("expect: 100-continue\r\n"),
            nothing(),
        ),
        case(
            "HTTP/1.0 that waits for 100",
            "RFC 9110, 10.1.1: ignored in HTTP/1.0",
            request(
                "POST / HTTP/1.0",
                "expect: 100-continue\r\ncontent-length: 5\r\n",
                "hello",
            ),
            last(given("POST", "/", "hello")),
        ),
        case(
            "waiting for something else",
            "RFC 9110, 10.1.1: a server may answer 417, or go on",
            post("expect: 200-ok\r\ncontent-length: 5\r\n", "hello"),
            hello(),
        ),
        case(
            "waiting for 100 twice",
            EXPECT,
            post(
                "expect: 100-continue\r\nexpect: 100-continue\r\ncontent-length: 5\r\n",
                "hello",
            ),
            hello(),
        ),
        case(
            "an upgrade to HTTP/2",
            UPGRADE,
            get(
                "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
            ),
            nothing(),
        ),
        case(
            "an upgrade with a body",
            UPGRADE,
            post(
                "connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 5\r\n",
                "hello",
            ),
            hello(),
        ),
        case(
            "an upgrade to WebSocket",
            UPGRADE,
            get("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"),
            nothing(),
        ),
        case(
            "an upgrade of HTTP/1.0",
            "RFC 9110, 7.8: ignored in HTTP/1.0",
            request(
                "GET / HTTP/1.0",
                "connection: upgrade, keep-alive\r\nupgrade: h2c\r\n",
                "",
            ),
            nothing(),
        ),
        case(
            "a tunnel",
            "RFC 9110, 9.3.6: this is no proxy; what follows may be meant for the other end, and \
             is not read",
            request("CONNECT t:80 HTTP/1.1", "", ""),
            refused(400),
        ),
        case(
            "a tunnel with a length",
            "RFC 9110, 9.3.6: a CONNECT has no content",
            request("CONNECT t:80 HTTP/1.1", "content-length: 5\r\n", "hello"),
            refused(400),
        ),
        case(
            "a tunnel to a path",
            "RFC 9112, 3.2.3: a CONNECT names an authority",
            request("CONNECT /x HTTP/1.1", "", ""),
            refused(400),
        ),
    ]
}
