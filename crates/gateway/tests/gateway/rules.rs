//! What routes do beside what answers: redirects, CORS, fields, limits, codings.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};
use std::{fs, path::Path};

use flate2::read::GzDecoder;
use futures::StreamExt;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use strand_directive::{Route, RouteLimits, RouteTarget, Rules, Template, parse};
use strand_engine::{BodyError, Limit, MemoryBudget, Problem};
use strand_gateway::Config;

use crate::client::{Client, http2};
use crate::support::{Folder, Server, data, folder, function, get, reflect, steps, text};

/// Routes as a Directive has them.
fn routes(yaml: &str) -> Vec<Route> {
    let app = format!(
        "apiVersion: strand.dev/v1alpha1\nkind: App\nmetadata: {{ name: app }}\nspec:\n  version: 0.1.0\n  functions: {{ f: {{ source: {{ file: f.wasm }} }} }}\n  routes:\n{yaml}"
    );
    let outcome = parse(&app);
    let Some(directive) = outcome.directive else {
        panic!("{:#?}", outcome.problems);
    };
    directive.routes
}

#[tokio::test]
async fn clients_are_sent_elsewhere() {
    let routes = routes(
        "  - { path: '/old/{*rest}', redirect: { to: '/new/{path.rest}', status: 308 } }\n  - { path: '/away', methods: [GET], redirect: { to: 'https://example.org/' } }\n",
    );
    let server = Server::start(Config::default(), Path::new("."), &routes, reflect);
    let mut client = Client::connect(server.addr).await;
    for (method, path, status, location) in [
        ("GET", "/old/a%20b?x=1", 308, Some("/new/a%20b?x=1")),
        ("POST", "/old/a", 308, Some("/new/a")),
        ("GET", "/away", 307, Some("https://example.org/")),
        ("HEAD", "/away", 307, Some("https://example.org/")),
        ("POST", "/away", 405, None),
    ] {
        let answer = client.ask(method, path, "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("location"), location, "{method} {path}");
    }
    let lines = server.lines(5).await;
    assert_eq!(lines[0]["route"], "/old/{*rest}");
    assert_eq!(lines[0]["function"], Value::Null);
}

/// Says that it allows everybody, as functions do that know no better.
async fn careless(call: strand_engine::Call) -> crate::support::Answered {
    if call.request.method() == "DELETE" {
        return Err(Problem::limit(Limit::Cpu, "1s", "it took too long"));
    }
    let mut response = text(call.request.method().as_str().to_owned());
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "*"),
        ("server", "guest"),
        ("x-frame-options", "ALLOWALL"),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(response)
}

#[tokio::test]
async fn a_route_says_which_pages_may_use_it() {
    let routes = routes(
        "  - { path: /api, methods: [GET, PUT, DELETE], function: f, cors: { origins: ['https://a.example'], headers: [x-token], credentials: true } }\n  - { path: /api, methods: [POST], function: f }\n  - { path: /own, function: f }\n",
    );
    let server = Server::start(Config::default(), Path::new("."), &routes, careless);
    let mut client = Client::connect(server.addr).await;
    let preflight = |origin: &str, method: &str, fields: &str| {
        format!("origin: {origin}\r\naccess-control-request-method: {method}\r\n{fields}")
    };

    let asked = preflight(
        "https://a.example",
        "PUT",
        "access-control-request-headers: x-token\r\n",
    );
    let answer = client.ask("OPTIONS", "/api", &asked).await;
    assert_eq!(answer.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "PUT"),
        ("access-control-allow-headers", "x-token"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert_eq!(answer.header("content-length"), None);

    for (origin, method, fields, status) in [
        ("https://b.example", "PUT", "", 403),
        (
            "https://a.example",
            "PUT",
            "access-control-request-headers: x-other\r\n",
            403,
        ),
        // This route says nothing of other origins, and takes no `OPTIONS`.
        ("https://a.example", "POST", "", 405),
        // No route takes this.
        ("https://a.example", "PATCH", "", 405),
    ] {
        let answer = client
            .ask("OPTIONS", "/api", &preflight(origin, method, fields))
            .await;
        assert_eq!(answer.status, status, "{origin} {method} {fields}");
        let allowed = answer.header("access-control-allow-methods");
        assert_eq!(allowed, None, "{origin} {method} {fields}");
    }

    // A function of a route without rules gets the question itself.
    let answer = client
        .ask(
            "OPTIONS",
            "/own",
            &preflight("https://b.example", "PUT", ""),
        )
        .await;
    assert_eq!((answer.status, answer.text()), (200, "OPTIONS"));

    for (origin, allowed) in [("https://a.example", true), ("https://b.example", false)] {
        for (method, status) in [("GET", 200), ("DELETE", 500)] {
            let field = format!("origin: {origin}\r\n");
            let answer = client.ask(method, "/api", &field).await;
            assert_eq!(answer.status, status);
            let told = answer.header("access-control-allow-origin");
            assert_eq!(told, allowed.then_some(origin), "{method} {origin}");
            let told = answer.header("access-control-allow-credentials");
            assert_eq!(told, allowed.then_some("true"), "{method} {origin}");
            assert_eq!(answer.header("vary"), Some("origin"));
            assert_eq!(answer.header("access-control-allow-methods"), None);
        }
    }
}

#[tokio::test]
async fn a_route_sets_fields_of_all_its_answers() {
    let routes = routes(
        "  - { path: /, function: f, headers: { set: { X-Frame-Options: DENY }, remove: [server] } }\n",
    );
    let server = Server::start(Config::default(), Path::new("."), &routes, careless);
    let mut client = Client::connect(server.addr).await;
    for (method, status) in [("GET", 200), ("DELETE", 500)] {
        let answer = client.ask(method, "/", "").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("server"), None);
    }
}

#[tokio::test]
async fn no_cache_is_told_to_keep_an_error_of_the_node() {
    let app = Folder::new();
    fs::write(app.0.join("a.txt"), "text").unwrap();
    let rules = "headers: { set: { cache-control: max-age=60, expires: '0', x-a: a } }";
    let routes = routes(&format!(
        "  - {{ path: /f, function: f, {rules} }}\n  - {{ path: /a.txt, static: a.txt, {rules} }}\n  - {{ path: /none, static: none, {rules} }}\n"
    ));
    let server = Server::start(Config::default(), &app.0, &routes, careless);
    let mut client = Client::connect(server.addr).await;
    for (method, path, field, status) in [
        ("GET", "/f", "", 200),
        ("GET", "/a.txt", "", 200),
        ("DELETE", "/f", "", 500),
        ("GET", "/none", "", 404),
        ("GET", "/a.txt", "range: bytes=9-\r\n", 416),
        ("GET", "/a.txt", "if-match: \"x\"\r\n", 412),
    ] {
        let answer = client.ask(method, path, field).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let kept = status == 200;
        for (name, value) in [("cache-control", "max-age=60"), ("expires", "0")] {
            let expected = kept.then_some(value);
            assert_eq!(answer.header(name), expected, "{method} {path} {name}");
        }
        assert_eq!(answer.header("x-a"), Some("a"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_route_says_how_long_what_a_function_answers_may_be_kept() {
    let routes = routes("  - { path: '/{what}', function: f, cacheControl: max-age=60 }\n");
    let server = Server::start(
        Config::default(),
        Path::new("."),
        &routes,
        |call| async move {
            let mut response = text("");
            match call.request.uri().path() {
                "/own" => {
                    let value = "no-store".parse().unwrap();
                    response.headers_mut().insert("cache-control", value);
                }
                "/problem" => return Err(Problem::limit(Limit::Cpu, "1s", "it took too long")),
                path => *response.status_mut() = path[1..].parse().unwrap(),
            }
            Ok(response)
        },
    );
    let mut client = Client::connect(server.addr).await;
    for (path, status, expected) in [
        ("/200", 200, Some("max-age=60")),
        ("/204", 204, Some("max-age=60")),
        ("/304", 304, Some("max-age=60")),
        ("/own", 200, Some("no-store")),
        ("/302", 302, None),
        ("/404", 404, None),
        ("/500", 500, None),
        ("/problem", 500, None),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("cache-control"), expected, "{path}");
    }
}

#[tokio::test]
async fn a_route_has_limits_of_its_own() {
    let mut route = function("/", "*", "f");
    route.rules.limits = RouteLimits {
        body: Some(5),
        wall: Some(Duration::from_secs(9)),
    };
    let server = Server::start(
        Config::default(),
        Path::new("."),
        &[route, function("/free", "*", "f")],
        |call| async move {
            let wall = call.limits.wall.map(|wall| wall.as_secs());
            Ok(text(json!([call.limits.body, wall]).to_string()))
        },
    );
    let mut client = Client::connect(server.addr).await;
    assert_eq!(client.get("/").await.json(), json!([5, 9]));
    assert_eq!(client.get("/free").await.json(), json!([null, null]));
}

fn plain(gzip: &[u8]) -> String {
    let mut plain = String::new();
    GzDecoder::new(gzip).read_to_string(&mut plain).unwrap();
    plain
}

#[tokio::test]
async fn a_route_compresses_what_its_function_answers() {
    let mut compressed = function("/text", "*", "f");
    compressed.rules.compress = true;
    let routes = [compressed, function("/plain", "*", "f")];
    let budget = MemoryBudget::new(1 << 30);
    let long = "all work and no play\n".repeat(10_000);
    let body = long.clone();
    let server = Server::launch(
        Config::default(),
        Some(&budget),
        Path::new("."),
        &routes,
        move |_| {
            let mut response = text(body.clone());
            let length = body.len().to_string().parse().unwrap();
            let headers = response.headers_mut();
            headers.insert("content-type", "text/plain".parse().unwrap());
            headers.insert("content-length", length);
            async { Ok(response) }
        },
    );
    let mut client = Client::connect(server.addr).await;
    let answer = client
        .ask("GET", "/text", "accept-encoding: gzip\r\n")
        .await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("vary"), Some("accept-encoding"));
    assert!(answer.complete && answer.body.len() < long.len() / 10);
    assert_eq!(plain(&answer.body), long);
    let head = client
        .ask("HEAD", "/text", "accept-encoding: gzip\r\n")
        .await;
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    assert_eq!(head.header("content-length"), None);
    for (path, accept) in [("/text", "identity"), ("/text", "br"), ("/plain", "gzip")] {
        let answer = client
            .ask("GET", path, &format!("accept-encoding: {accept}\r\n"))
            .await;
        assert_eq!(answer.header("content-encoding"), None, "{path} {accept}");
        assert_eq!(answer.text(), long);
    }
    crate::support::eventually("all memory is given back", || budget.used() == 0).await;
}

#[tokio::test]
async fn what_a_route_sets_comes_before_compression() {
    let routes = routes(
        "  - { path: /kept, function: f, compress: true, headers: { set: { cache-control: no-transform } } }\n  - { path: /tag, function: f, compress: true, headers: { set: { etag: '\"1\"' }, remove: [x-own] } }\n  - { path: /text, function: f, compress: true, headers: { set: { content-type: text/html } } }\n  - { path: /other, function: f, compress: true, headers: { set: { content-type: image/png } } }\n",
    );
    let server = Server::start(Config::default(), Path::new("."), &routes, |_| async {
        let mut response = text("all work and no play\n".repeat(100));
        for (name, value) in [
            ("content-type", "text/plain"),
            ("x-own", "1"),
            ("connection", "etag, cache-control"),
        ] {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        Ok(response)
    });
    let mut client = Client::connect(server.addr).await;
    for (path, coding, name, value) in [
        ("/kept", None, "cache-control", Some("no-transform")),
        // The bytes are not those that the tag was set for.
        ("/tag", Some("gzip"), "etag", Some("W/\"1\"")),
        ("/tag", Some("gzip"), "x-own", None),
        ("/text", Some("gzip"), "content-type", Some("text/html")),
        ("/other", None, "content-type", Some("image/png")),
    ] {
        let answer = client.ask("GET", path, "accept-encoding: gzip\r\n").await;
        assert_eq!(answer.header("content-encoding"), coding, "{path}");
        assert_eq!(answer.header(name), value, "{path}");
    }
}

#[tokio::test]
async fn a_connection_compresses_no_more_than_its_thread_may() {
    let mut route = function("/", "*", "f");
    route.rules.compress = true;
    let server = Server::start(Config::default(), Path::new("."), &[route], |_| async {
        let begun = futures::stream::iter([data("begun")]);
        let body = StreamBody::new(begun.chain(futures::stream::pending()));
        let mut response = Response::new(body.boxed_unsync());
        response
            .headers_mut()
            .insert("content-type", "text/plain".parse().unwrap());
        Ok(response)
    });
    let mut open = Vec::new();
    // The second connection is on the other thread, which has places of its own.
    for connection in 0..2 {
        let mut sender = http2(server.addr).await;
        let mut answers = Vec::new();
        for _ in 0..17 {
            let mut request = get("http://t/");
            request
                .headers_mut()
                .insert("accept-encoding", "gzip".parse().unwrap());
            answers.push(sender.send_request(request).await.unwrap());
        }
        let compressed = answers
            .iter()
            .filter(|answer| answer.headers().contains_key("content-encoding"))
            .count();
        assert_eq!(compressed, 8, "connection {connection}");
        open.push((sender, answers));
    }
}

#[tokio::test]
async fn a_compressed_answer_that_breaks_off_is_seen_to() {
    let mut route = function("/", "*", "f");
    route.rules.compress = true;
    let server = Server::start(Config::default(), Path::new("."), &[route], |_| async {
        let error = BodyError::from(Problem::guest_fault("it trapped"));
        let mut response = text("").map(|_| steps(vec![data("begun"), Err(error)]));
        response
            .headers_mut()
            .insert("content-type", "text/plain".parse().unwrap());
        Ok(response)
    });
    let mut client = Client::connect(server.addr).await;
    let answer = client.ask("GET", "/", "accept-encoding: gzip\r\n").await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert!(!answer.complete);
}

#[tokio::test]
async fn files_go_out_as_their_compressed_neighbours() {
    let app = Folder::new();
    let long = "body { color: black }\n".repeat(1000);
    for (name, content) in [
        ("a.css", long.as_str()),
        ("a.css.br", "brotli of a"),
        ("a.css.gz", "gzip of a"),
        ("b.css", long.as_str()),
        ("pic.png", "pixels"),
        ("pic.png.br", "brotli of pixels"),
        ("old.bin", "original"),
        ("old.bin.gz", "stale"),
        ("index.html", "page"),
        ("index.html.zst", "zstd of index"),
    ] {
        fs::write(app.0.join(name), content).unwrap();
    }
    let stale = fs::File::options()
        .write(true)
        .open(app.0.join("old.bin.gz"))
        .unwrap();
    stale.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    // No neighbour is one that stands elsewhere.
    symlink("/etc/passwd", app.0.join("b.css.br")).unwrap();
    let mut public = folder("/{*rest}", ".");
    public.rules.compress = true;
    public.rules.cache_control = Some("public, max-age=60".to_owned());
    let server = Server::start(
        Config::default(),
        &app.0,
        &[public, folder("/as-is/{*rest}", ".")],
        reflect,
    );
    let mut client = Client::connect(server.addr).await;
    for (path, accept, coding, body) in [
        ("/a.css", "gzip, br", Some("br"), Some("brotli of a")),
        ("/a.css", "gzip, br;q=0.1", Some("gzip"), Some("gzip of a")),
        ("/a.css", "identity", None, Some(&*long)),
        ("/b.css", "br", None, Some(&*long)),
        ("/b.css", "gzip, br", Some("gzip"), None),
        // What others get of a file that is no text is another one.
        ("/pic.png", "br", Some("br"), Some("brotli of pixels")),
        ("/pic.png", "identity", None, Some("pixels")),
        ("/old.bin", "gzip", None, Some("original")),
        ("/", "zstd", Some("zstd"), Some("zstd of index")),
        ("/as-is/a.css", "gzip, br", None, Some(&*long)),
    ] {
        let answer = client
            .ask("GET", path, &format!("accept-encoding: {accept}\r\n"))
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-encoding"), coding, "{path} {accept}");
        match body {
            Some(body) => assert_eq!(answer.text(), body, "{path} {accept}"),
            None => assert_eq!(plain(&answer.body), long),
        }
        let as_is = path.starts_with("/as-is");
        let expected = if as_is {
            "no-cache"
        } else {
            "public, max-age=60"
        };
        assert_eq!(answer.header("cache-control"), Some(expected), "{path}");
        let varies = (!as_is).then_some("accept-encoding");
        assert_eq!(answer.header("vary"), varies, "{path} {accept}");
    }

    // Each has a tag of its own, with which it is asked for again, and ranges of its own.
    let mut tags = BTreeSet::new();
    for accept in ["br", "gzip", "identity"] {
        let field = format!("accept-encoding: {accept}\r\n");
        let answer = client.ask("GET", "/a.css", &field).await;
        let tag = answer.header("etag").unwrap().to_owned();
        let again = format!("{field}if-none-match: {tag}\r\n");
        let again = client.ask("GET", "/a.css", &again).await;
        assert_eq!(
            (again.status, again.header("vary")),
            (304, Some("accept-encoding"))
        );
        tags.insert(tag);
    }
    assert_eq!(tags.len(), 3, "{tags:?}");
    let part = "accept-encoding: br\r\nrange: bytes=0-5\r\n";
    let part = client.ask("GET", "/a.css", part).await;
    assert_eq!((part.status, part.text()), (206, "brotli"));
    let part = client
        .ask(
            "GET",
            "/b.css",
            "accept-encoding: gzip\r\nrange: bytes=0-3\r\n",
        )
        .await;
    assert_eq!((part.status, part.text()), (206, "body"));

    // What is not there is not to be kept.
    let missing = client.get("/none").await;
    assert_eq!(
        (missing.status, missing.header("cache-control")),
        (404, None)
    );
}

#[tokio::test]
async fn a_304_has_the_tag_of_its_200() {
    let app = Folder::new();
    let long = "body { color: black }\n".repeat(1000);
    for (name, content) in [
        ("a.css", &*long),
        ("short.css", "a {}"),
        ("a.png", &*long),
        ("b.css", &*long),
        ("b.css.gz", "gzip of b"),
    ] {
        fs::write(app.0.join(name), content).unwrap();
    }
    // Until no file can still change within the same tick of the clock: the tags are strong then.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let (mut all, mut kept) = (folder("/{*rest}", "."), folder("/kept/{*rest}", "."));
    all.rules.compress = true;
    kept.rules.compress = true;
    let no_transform = ("cache-control".to_owned(), "no-transform".to_owned());
    kept.rules.headers.set = [no_transform].into();
    let server = Server::start(Config::default(), &app.0, &[all, kept], reflect);
    let mut client = Client::connect(server.addr).await;
    for (path, accept, weak) in [
        ("/a.css", "gzip", true),
        ("/a.css", "identity", false),
        ("/a.css", "br", false),
        ("/short.css", "gzip", false),
        ("/a.png", "gzip", false),
        ("/b.css", "gzip", false),
        ("/kept/a.css", "gzip", false),
    ] {
        let field = format!("accept-encoding: {accept}\r\n");
        let answer = client.ask("GET", path, &field).await;
        let tag = answer.header("etag").unwrap();
        assert_eq!(tag.starts_with("W/"), weak, "{path} {accept}: {tag}");
        for method in ["GET", "HEAD"] {
            let again = format!("{field}if-none-match: {tag}\r\n");
            let again = client.ask(method, path, &again).await;
            assert_eq!(again.status, 304, "{method} {path} {accept}");
            for name in ["etag", "vary", "cache-control", "accept-ranges"] {
                let (found, expected) = (again.header(name), answer.header(name));
                assert_eq!(found, expected, "{method} {path} {accept} {name}");
            }
            assert_eq!(again.header("content-type"), None);
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_who_asks() {
    let proxies = |networks: &[&str]| Config {
        trusted_proxies: networks.iter().map(|text| text.parse().unwrap()).collect(),
        ..Config::default()
    };
    // What the proxy says stays, whatever its client calls a field of the connection.
    let fields = "x-forwarded-for: 203.0.113.9, 198.51.100.7\r\nx-forwarded-proto: https\r\nx-forwarded-host: a.example\r\nconnection: x-forwarded-for, x-forwarded-host\r\n";
    for (networks, client_seen, way, uri, host) in [
        (
            &["127.0.0.0/8"][..],
            "198.51.100.7",
            "198.51.100.7, 127.0.0.1",
            "https://test/",
            json!("a.example"),
        ),
        (
            &["10.0.0.0/8"],
            "127.0.0.1",
            "127.0.0.1",
            "http://test/",
            Value::Null,
        ),
    ] {
        let server = Server::of(proxies(networks), reflect);
        let mut client = Client::connect(server.addr).await;
        let said = client.ask("GET", "/", fields).await.json();
        assert_eq!(said["headers"]["x-forwarded-for"], way);
        assert_eq!(said["headers"]["x-forwarded-host"], host);
        assert_eq!(said["uri"], uri);
        assert_eq!(server.lines(1).await[0]["client"], client_seen);
        if client_seen != "127.0.0.1" {
            let said = client.get("https://test/").await.json();
            assert_eq!(said["uri"], "https://test/");
            assert_eq!(said["headers"]["x-forwarded-proto"], "https");
        }
    }
}

/// A redirect that no Directive would have.
#[tokio::test]
async fn a_path_is_no_host() {
    let route = Route {
        path: "/{*rest}".to_owned(),
        methods: None,
        target: RouteTarget::Redirect(strand_directive::Redirect {
            to: Template::parse("/{path.rest}").unwrap(),
            status: 307,
        }),
        rules: Rules::default(),
    };
    let server = Server::start(Config::default(), Path::new("."), &[route], reflect);
    let mut client = Client::connect(server.addr).await;
    let answer = client.get("//evil.example").await;
    assert_eq!((answer.status, answer.header("location")), (404, None));
    let answer = client.get("/x").await;
    assert_eq!(answer.header("location"), Some("/x"));
}
