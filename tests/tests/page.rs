//! The page of `examples/reads` in a browser, as a person uses it.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use strand_tests::{Browser, Server, reads_app};

/// A page that has its references.
async fn opened(server: &Server) -> Option<Browser> {
    let browser = Browser::start().await?;
    browser.open(&server.url("/")).await;
    browser
        .wait_until("document.querySelector('[name=reference]').value === 'lambda'")
        .await;
    Some(browser)
}

async fn text(browser: &Browser, selector: &str) -> String {
    // Also of what is not shown.
    let script = format!("return document.querySelector('{selector}').textContent");
    browser.run(&script).await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_form_s_request_gives_what_curl_gets() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    let state = text(&browser, "#references-state").await;
    assert_eq!(state, "48,502 bases in 1 sequence");
    browser.fill("[name=n]", "2000").await;
    browser.fill("[name=seed]", "42").await;
    browser.choose("[name=output]", "1").await;
    let command = text(&browser, "#curl").await;
    let url = server.url("/reads?reference=lambda&n=2000&seed=42&mate=1");
    assert_eq!(command, format!("curl '{url}'"));

    browser.click("#run").await;
    browser
        .wait_until("document.getElementById('state').textContent.startsWith('Done')")
        .await;
    let expected = server
        .get("/reads?reference=lambda&n=2000&seed=42&mate=1")
        .await;
    let first: Vec<&str> = expected.text().lines().take(24).collect();
    let shown = text(&browser, "#first").await;
    assert_eq!(shown.lines().collect::<Vec<_>>(), first);
    assert_eq!(text(&browser, "#records").await, "2,000");
    assert_eq!(text(&browser, "#seed").await, "42");
    assert_eq!(
        browser
            .run("return document.getElementById('progress').value")
            .await,
        1
    );
    browser.close().await;
}

#[tokio::test]
async fn a_problem_is_shown_at_its_field() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    browser.click("summary").await;
    // Longer than the genome, which only the function can know.
    browser.fill("[name=length1]", "60000").await;
    browser.click("#run").await;
    browser
        .wait_until("!document.getElementById('problem').hidden")
        .await;
    let detail = text(&browser, "#problem-detail").await;
    assert!(detail.contains("length1"), "{detail}");
    let marked = "return document.querySelector('[aria-invalid=true]').name";
    assert_eq!(browser.run(marked).await, "length1");
    browser.close().await;
}

#[tokio::test]
async fn cancel_ends_the_function() {
    let app = reads_app();
    let server = Server::start(app.path(), &[]);
    let Some(browser) = opened(&server).await else {
        return;
    };
    browser.fill("[name=n]", "100000000").await;
    browser.click("#run").await;
    browser
        .wait_until("document.getElementById('records').textContent.length > 3")
        .await;
    let progress = browser
        .run("return document.getElementById('progress').value")
        .await;
    let progress = progress.as_f64().unwrap();
    assert!(progress > 0.0 && progress < 1.0, "{progress}");
    assert_eq!(server.metric("strand_instances").await, 1.0);
    browser.click("#cancel").await;
    browser
        .wait_until("document.getElementById('state').textContent === 'Cancelled.'")
        .await;
    let end = Instant::now() + Duration::from_secs(20);
    while server.metric("strand_instances").await > 0.0 {
        assert!(Instant::now() < end, "the function runs on");
    }
    browser.close().await;
}
