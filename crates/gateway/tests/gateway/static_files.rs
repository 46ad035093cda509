//! Files, and what is none of the client's business.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use http::Method;
use http_body_util::BodyExt;
use serde_json::json;
use strand_gateway::Config;
use tokio::time::sleep;

use crate::client::{Client, PATIENCE, http2};
use crate::support::{Folder, Server, folder, function, get, text};

const PAGE: &str = "<!doctype html><title>page</title>";

/// An app's folder with files in it and around it.
fn app() -> Folder {
    let app = Folder::new();
    let at = |path: &str| app.0.join(path);
    for path in [
        "public/sub/deep",
        "public/empty",
        "public/.git",
        "functions",
        "about",
    ] {
        fs::create_dir_all(at(path)).unwrap();
    }
    for (path, content) in [
        ("public/index.html", PAGE),
        ("public/sub/index.html", "sub"),
        ("public/sub/a b+ä.txt", "unusual"),
        ("public/data.bin", "0123456789"),
        ("public/style.css", "a{}"),
        ("public/app.js", "1"),
        ("public/none", ""),
        ("public/.env", "secret"),
        ("public/.git/config", "secret"),
        ("functions/code.txt", "secret"),
        ("about/index.html", "about"),
        ("robots.txt", "robots"),
        ("directive.yaml", "secret"),
    ] {
        fs::write(at(path), content).unwrap();
    }
    symlink("sub", at("public/link-in")).unwrap();
    symlink("data.bin", at("public/link-file")).unwrap();
    symlink("../directive.yaml", at("public/link-up")).unwrap();
    symlink("../functions", at("public/link-out")).unwrap();
    symlink("/etc", at("public/link-etc")).unwrap();
    symlink("/etc/passwd", at("public/link-passwd")).unwrap();
    symlink(at("functions/code.txt"), at("public/link-absolute")).unwrap();
    symlink("link-loop", at("public/link-loop")).unwrap();
    symlink("/etc", at("linked")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("public/pipe"), 0o600.into()).unwrap();
    // Old, so that tags are strong.
    for path in ["public/data.bin", "public/index.html"] {
        let file = File::options().write(true).open(at(path)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
            .unwrap();
    }
    app
}

fn serve(app: &Folder) -> Server {
    let routes = [
        folder("/{*rest}", "public"),
        folder("/about", "about"),
        folder("/robots.txt", "robots.txt"),
        folder("/linked/{*rest}", "linked"),
        folder("/missing/{*rest}", "missing"),
        folder("/assets/{*rest}", "public/sub"),
        function("/api", "*", "api"),
    ];
    Server::start(Config::default(), &app.0, &routes, |_| async {
        Ok(text("api"))
    })
}

#[tokio::test]
async fn paths_lead_to_files_and_nowhere_else() {
    let app = app();
    let server = serve(&app);
    let mut client = Client::connect(server.addr).await;
    // Longer than the system takes, but no fault of the node's.
    let long = format!("/{}", "a".repeat(256));
    for (path, expected) in [
        ("/", Ok((PAGE, "text/html; charset=utf-8"))),
        ("/index.html", Ok((PAGE, "text/html; charset=utf-8"))),
        ("/?query=../../x", Ok((PAGE, "text/html; charset=utf-8"))),
        ("/sub/", Ok(("sub", "text/html; charset=utf-8"))),
        (
            "/sub/a%20b+%C3%A4.txt",
            Ok(("unusual", "text/plain; charset=utf-8")),
        ),
        ("/%73ub/", Ok(("sub", "text/html; charset=utf-8"))),
        ("/data.bin", Ok(("0123456789", "application/octet-stream"))),
        ("/style.css", Ok(("a{}", "text/css; charset=utf-8"))),
        ("/app.js", Ok(("1", "text/javascript; charset=utf-8"))),
        ("/none", Ok(("", "application/octet-stream"))),
        ("/about", Ok(("about", "text/html; charset=utf-8"))),
        ("/robots.txt", Ok(("robots", "text/plain; charset=utf-8"))),
        ("/assets/", Ok(("sub", "text/html; charset=utf-8"))),
        ("/link-in/", Ok(("sub", "text/html; charset=utf-8"))),
        ("/link-file", Ok(("0123456789", "application/octet-stream"))),
        ("/sub", Err((301, "/sub/"))),
        ("/sub?a=b", Err((301, "/sub/?a=b"))),
        ("/assets", Err((301, "/assets/"))),
        ("/link-in", Err((301, "/link-in/"))),
        ("/nothing", Err((404, ""))),
        ("/empty/", Err((404, ""))),
        ("/sub/deep/", Err((404, ""))),
        ("/data.bin/", Err((404, ""))),
        ("/data.bin/x", Err((404, ""))),
        ("//", Err((404, ""))),
        ("//sub", Err((404, ""))),
        ("/sub//index.html", Err((404, ""))),
        ("/.env", Err((404, ""))),
        ("/%2Eenv", Err((404, ""))),
        ("/.git/config", Err((404, ""))),
        ("/sub/.", Err((400, ""))),
        ("/../directive.yaml", Err((400, ""))),
        ("/sub/../../directive.yaml", Err((400, ""))),
        ("/%2e%2e/directive.yaml", Err((400, ""))),
        ("/..%2Fdirective.yaml", Err((404, ""))),
        ("/sub%2Findex.html", Err((404, ""))),
        ("/%2Fetc%2Fpasswd", Err((404, ""))),
        ("/..%5Cdirective.yaml", Err((404, ""))),
        ("/data.bin%00.txt", Err((404, ""))),
        ("/%FF", Err((400, ""))),
        ("/%zz", Err((400, ""))),
        ("/link-up", Err((404, ""))),
        ("/link-out", Err((404, ""))),
        ("/link-out/code.txt", Err((404, ""))),
        ("/link-etc/passwd", Err((404, ""))),
        ("/link-passwd", Err((404, ""))),
        ("/link-absolute", Err((404, ""))),
        ("/link-loop", Err((404, ""))),
        ("/linked/passwd", Err((404, ""))),
        ("/missing/x", Err((404, ""))),
        ("/pipe", Err((404, ""))),
        (long.as_str(), Err((404, ""))),
    ] {
        let answer = client.get(path).await;
        assert_eq!(
            answer.header("x-content-type-options").is_some(),
            answer.status == 200,
            "{path}"
        );
        match expected {
            Ok((content, kind)) => {
                assert_eq!((answer.status, answer.text()), (200, content), "{path}");
                assert_eq!(answer.header("content-type"), Some(kind), "{path}");
                assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
                assert_eq!(answer.header("accept-ranges"), Some("bytes"));
                let length = content.len().to_string();
                assert_eq!(
                    answer.header("content-length"),
                    Some(length.as_str()),
                    "{path}"
                );
            }
            Err((status, location)) => {
                assert_eq!(answer.status, status, "{path}");
                assert_eq!(
                    answer.header("location").unwrap_or_default(),
                    location,
                    "{path}"
                );
            }
        }
    }
    assert_eq!(client.get("/api").await.text(), "api");
    let answer = client
        .ask("POST", "/data.bin", "content-length: 0\r\n")
        .await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let answer = client.ask("HEAD", "/data.bin", "").await;
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, Some("10"))
    );
}

/// Browsers take a path that begins with two slashes for a host.
#[tokio::test]
async fn no_folder_leads_to_another_host() {
    let app = app();
    let routes = [folder("//evil.example/{*rest}", "public")];
    let server = Server::start(Config::default(), &app.0, &routes, |_| async {
        Ok(text("api"))
    });
    let mut client = Client::connect(server.addr).await;
    assert_eq!(client.get("//evil.example/").await.text(), PAGE);
    let answer = client.get("//evil.example").await;
    assert_eq!((answer.status, answer.header("location")), (404, None));
}

#[tokio::test]
async fn parts_and_conditions() {
    let app = app();
    // Until no file can still change within the same tick of the clock.
    sleep(Duration::from_millis(3100)).await;
    let server = serve(&app);
    let mut client = Client::connect(server.addr).await;
    let tag = client
        .get("/data.bin")
        .await
        .header("etag")
        .unwrap()
        .to_owned();
    assert!(tag.starts_with('"') && !tag.contains('/'), "{tag}");
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    for (fields, status, body, range) in [
        ("range: bytes=0-0", 206, "0", "bytes 0-0/10"),
        ("range: bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("range: bytes=7-", 206, "789", "bytes 7-9/10"),
        ("range: bytes=-2", 206, "89", "bytes 8-9/10"),
        ("range: bytes=0-99", 206, "0123456789", "bytes 0-9/10"),
        ("range: bytes=-99", 206, "0123456789", "bytes 0-9/10"),
        ("range: bytes=10-", 416, "", "bytes */10"),
        ("range: bytes=-0", 416, "", "bytes */10"),
        ("range: bytes=0-1,4-5", 200, "0123456789", ""),
        ("range: bytes=4-2", 200, "0123456789", ""),
        ("range: lines=0-1", 200, "0123456789", ""),
        ("if-none-match: TAG", 304, "", ""),
        ("if-none-match: W/TAG", 304, "", ""),
        ("if-none-match: \"x\", TAG", 304, "", ""),
        ("if-none-match: *", 304, "", ""),
        ("if-none-match: \"x\"", 200, "0123456789", ""),
        ("if-none-match: TAG\r\nrange: bytes=0-0", 304, "", ""),
        ("if-modified-since: DATE", 304, "", ""),
        ("if-modified-since: BEFORE", 200, "0123456789", ""),
        ("if-match: TAG", 200, "0123456789", ""),
        ("if-match: *\r\nrange: bytes=1-1", 206, "1", "bytes 1-1/10"),
        ("if-match: \"x\"", 412, "", ""),
        ("if-match: W/TAG", 412, "", ""),
        ("if-unmodified-since: DATE", 200, "0123456789", ""),
        ("if-unmodified-since: BEFORE", 412, "", ""),
        (
            "if-range: TAG\r\nrange: bytes=1-2",
            206,
            "12",
            "bytes 1-2/10",
        ),
        ("if-range: \"x\"\r\nrange: bytes=1-2", 200, "0123456789", ""),
        (
            "if-range: DATE\r\nrange: bytes=1-2",
            206,
            "12",
            "bytes 1-2/10",
        ),
        (
            "if-range: BEFORE\r\nrange: bytes=1-2",
            200,
            "0123456789",
            "",
        ),
        ("if-range: \"x\"\r\nrange: bytes=99-", 200, "0123456789", ""),
    ] {
        let fields = fields
            .replace("TAG", &tag)
            .replace("DATE", date)
            .replace("BEFORE", before);
        for method in [Method::GET, Method::HEAD] {
            let answer = client
                .ask(method.as_str(), "/data.bin", &format!("{fields}\r\n"))
                .await;
            // `HEAD` has no body, and knows no ranges.
            let (status, body, range) = match (&method, status) {
                (&Method::HEAD, 206 | 416) => (200, "", ""),
                (&Method::HEAD, status) => (status, "", range),
                _ => (status, body, range),
            };
            assert_eq!(
                (answer.status, answer.text()),
                (status, body),
                "{method} {fields}"
            );
            assert_eq!(
                answer.header("content-range").unwrap_or_default(),
                range,
                "{method} {fields}"
            );
            if method == Method::HEAD && status == 200 {
                assert_eq!(answer.header("content-length"), Some("10"), "{fields}");
            }
            assert_eq!(answer.header("etag"), Some(tag.as_str()), "{fields}");
            assert_eq!(answer.header("last-modified"), Some(date), "{fields}");
        }
    }
    // A change is a new tag, and a weak one at first.
    fs::write(app.0.join("public/data.bin"), "9876543210").unwrap();
    let answer = client
        .ask("GET", "/data.bin", &format!("if-none-match: {tag}\r\n"))
        .await;
    assert_eq!((answer.status, answer.text()), (200, "9876543210"));
    assert!(answer.header("etag").unwrap().starts_with("W/\""));
}

#[tokio::test]
async fn a_time_that_was_set_back_is_still_a_change() {
    let app = app();
    let server = serve(&app);
    let mut client = Client::connect(server.addr).await;
    let before = client.get("/data.bin").await;
    let path = app.0.join("public/data.bin");
    sleep(Duration::from_millis(20)).await;
    fs::write(&path, "9876543210").unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
        .unwrap();
    let after = client.get("/data.bin").await;
    assert_eq!(
        before.header("last-modified"),
        after.header("last-modified")
    );
    assert_ne!(
        before.header("etag").unwrap().trim_start_matches("W/"),
        after.header("etag").unwrap().trim_start_matches("W/")
    );
}

#[tokio::test]
async fn large_files_stream() {
    let app = app();
    let content: Vec<u8> = (0..10_000_000_u32).map(|n| (n % 251) as u8).collect();
    fs::write(app.0.join("public/large"), &content).unwrap();
    let server = serve(&app);
    let mut client = Client::connect(server.addr).await;
    let answer = client.get("/large").await;
    assert!(answer.complete && answer.body == content);
    let answer = client
        .ask("GET", "/large", "range: bytes=1000000-9000000\r\n")
        .await;
    assert!(answer.body == content[1_000_000..=9_000_000]);
    let mut sender = http2(server.addr).await;
    let response = sender.send_request(get("http://t/large")).await.unwrap();
    assert!(response.into_body().collect().await.unwrap().to_bytes() == content);
}

/// A client that takes nothing keeps its files open: others need descriptors, too.
#[tokio::test]
async fn files_that_are_open_are_bounded() {
    let app = app();
    let large = File::create(app.0.join("public/large")).unwrap();
    // Sparse: only its length counts.
    large.set_len(100 << 20).unwrap();
    let server = serve(&app);
    let (mut senders, mut held) = (Vec::new(), Vec::new());
    let refused = loop {
        assert!(held.len() < 600, "there is no bound");
        if held.len().is_multiple_of(100) {
            senders.push(http2(server.addr).await);
        }
        let sender = senders.last_mut().unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(get("http://t/large")).await.unwrap();
        if response.status() != 200 {
            break response;
        }
        held.push(response);
    };
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    // Its body has to wait for room on that connection; that of another one has not.
    let mut client = Client::connect(server.addr).await;
    let answer = client.get("/").await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    let problem = answer.json();
    assert_eq!(
        (&problem["limit"], &problem["value"]),
        (&json!("concurrency"), &json!(held.len().to_string()))
    );
    assert_eq!(client.get("/api").await.text(), "api");

    // One that ends makes room, and a small file needs it only while it is read.
    drop(held.pop());
    let start = Instant::now();
    while client.get("/").await.status != 200 {
        assert!(start.elapsed() < PATIENCE, "the place did not come free");
    }
    for _ in 0..3 {
        assert_eq!(client.get("/").await.text(), PAGE);
    }
}

#[tokio::test]
async fn a_file_that_shrinks_breaks_the_answer_off() {
    let app = app();
    let path = app.0.join("public/large");
    // Sparse: only its length counts.
    File::create(&path).unwrap().set_len(100 << 20).unwrap();
    let server = serve(&app);
    let mut client = Client::connect_small(server.addr).await;
    client.send("GET /large HTTP/1.1\r\nhost: t\r\n\r\n").await;
    sleep(Duration::from_millis(200)).await;
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1 << 10)
        .unwrap();
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.complete), (200, false));
    let line = &server.lines(1).await[0];
    assert_eq!(
        (&line["aborted"], &line["problem"]),
        (&json!(true), &json!("host-fault")),
        "{line}"
    );
    assert_eq!(
        (&line["route"], &line["function"]),
        (&json!("/{*rest}"), &json!(null))
    );
}

/// Puts a link out in the place of a folder, over and over, while files beneath it are
/// asked for.
#[tokio::test]
async fn a_link_that_is_put_there_in_between_does_not_win() {
    let app = app();
    let public = app.0.join("public");
    fs::create_dir(public.join("swap")).unwrap();
    fs::write(public.join("swap/code.txt"), "fine").unwrap();
    let server = serve(&app);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let (stop, public) = (std::sync::Arc::clone(&stop), public.clone());
        move || swap(&public, &stop)
    });
    let mut client = Client::connect(server.addr).await;
    let mut fine = 0;
    for _ in 0..2000 {
        let answer = client.get("/swap/code.txt").await;
        assert_ne!(answer.text(), "secret");
        fine += usize::from(answer.text() == "fine");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    swapping.join().unwrap();
    assert!(fine > 0, "the folder was never seen");
}

fn swap(public: &Path, stop: &std::sync::atomic::AtomicBool) {
    let (real, aside) = (public.join("swap"), public.join("aside"));
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        fs::rename(&real, &aside).unwrap();
        symlink("../functions", &real).unwrap();
        fs::remove_file(&real).unwrap();
        fs::rename(&aside, &real).unwrap();
    }
}
