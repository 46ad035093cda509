//! The picture of the page of `examples/reads` that README.md shows: `cargo xtask picture`.

#![allow(clippy::unwrap_used)] // A failure's report is its panic.

use std::{env, fs};

use strand_tests::{Browser, Server, reads_app, reads_example};

/// All of the answer fits into the window, which has more pixels than the page is laid out for.
const WINDOW: [&str; 2] = ["--window-size=1000,2400", "--force-device-scale-factor=1.5"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let file = env::args_os().nth(1).expect("the file for the picture");
    let app = reads_app();
    let genome = fs::read(reads_example().join("genomes/ecoli.fa")).unwrap();
    app.write("genomes/ecoli.fa", genome);
    let server = Server::start(app.path(), &[]);
    let browser = Browser::start_with(&WINDOW).await.expect("a browser");
    browser.open(&server.url("/")).await;
    browser
        .wait_until("document.querySelector('[name=reference]').value !== ''")
        .await;
    browser.choose("[name=reference]", "ecoli").await;
    browser.choose("[name=mode]", "windowed").await;
    browser.fill("[name=n]", "1000000").await;
    browser.fill("[name=seed]", "7").await;
    browser.click("#run").await;
    // README.md has records as text.
    browser
        .run("for (const id of ['first', 'first-title']) document.getElementById(id).hidden = true")
        .await;
    // While reads arrive, since that is what the page is for.
    browser
        .wait_until("document.getElementById('progress').value > 0.6")
        .await;
    fs::write(file, browser.picture("#answer").await).unwrap();
    browser.close().await;
}
