//! CORS as a browser has it: a page of one origin that asks another one.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use strand_tests::{Browser, Server, TestApp};

/// Two nodes are two origins: their ports differ.
fn api(page: &Server) -> (TestApp, Server) {
    let origin = page.url("");
    let app = TestApp::new(&format!(
        "  resources: {{ blobs: {{ data: {{ dev: data }} }} }}
  functions:
    f: {{ source: {{ file: probe02.wasm }}, grants: {{ blobs: {{ data: [read, write] }} }} }}
  routes:
    - path: /echo
      function: f
      cors: {{ origins: [\"{origin}\"], headers: [x-token, content-type], expose: [x-request-id], credentials: true }}
    - {{ path: /echo/any, function: f, cors: {{ origins: [\"*\"] }} }}
    - {{ path: /echo/others, function: f, cors: {{ origins: [\"https://other.example\"] }} }}
    - {{ path: /echo/none, function: f }}
"
    ));
    let server = Server::start(app.path(), &[]);
    (app, server)
}

/// What a page gets of a request: the answer's status, or that it may not see one.
async fn asked(browser: &Browser, url: &str, options: &str) -> Value {
    let script = format!(
        "window.seen = undefined;
         fetch('{url}', {options}).then(
             async (answer) => {{
                 window.seen = [answer.status, await answer.text(), answer.headers.get('x-request-id') !== null];
             }},
             (error) => {{ window.seen = String(error); }},
         );"
    );
    browser.run(&script).await;
    browser.wait_until("window.seen !== undefined").await;
    browser.run("return window.seen").await
}

#[tokio::test]
async fn a_page_of_another_origin_may_what_the_route_says() {
    let page = TestApp::new("  routes: [{ path: /, static: index.html }]\n");
    page.write("index.html", "<!doctype html><title>page</title>");
    let page_server = Server::start(page.path(), &[]);
    let (_app, server) = api(&page_server);
    let Some(browser) = Browser::start().await else {
        return;
    };
    browser.open(&page_server.url("/")).await;
    let simple = "{ method: 'POST', body: 'hi' }";
    let with_preflight = "{ method: 'PUT', body: 'hi', headers: { 'x-token': '1', 'content-type': 'application/json' } }";
    let with_cookies = "{ method: 'POST', body: 'hi', credentials: 'include' }";
    let other_field = "{ method: 'PUT', body: 'hi', headers: { 'x-other': '1' } }";
    // A value that not every page may send, in a field that it may.
    let from_the_end = "{ method: 'POST', body: 'hi', headers: { range: 'bytes=-2' } }";
    let refused = || Value::from("TypeError: Failed to fetch");
    let answered = |id: bool| serde_json::json!([200, "hi", id]);
    for (path, options, expected) in [
        ("/echo", simple, answered(true)),
        ("/echo", with_preflight, answered(true)),
        ("/echo", with_cookies, answered(true)),
        ("/echo", other_field, refused()),
        ("/echo/any", simple, answered(false)),
        ("/echo/any", from_the_end, answered(false)),
        // Cookies are for origins that are named.
        ("/echo/any", with_cookies, refused()),
        ("/echo/any", with_preflight, refused()),
        ("/echo/others", simple, refused()),
        ("/echo/others", with_preflight, refused()),
        ("/echo/others", from_the_end, refused()),
        ("/echo/none", simple, refused()),
        ("/echo/none", with_preflight, refused()),
    ] {
        let seen = asked(&browser, &server.url(path), options).await;
        assert_eq!(seen, expected, "{path} {options}");
    }
    browser.close().await;
}
