//! Chromium without a window, driven through its driver.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::allowed_to_miss;

/// How long a page may take for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with a profile of its own; gone with its processes when dropped.
pub struct Browser {
    client: Client,
    driver: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts one, or `None` where there is none and it may be missing.
    pub async fn start() -> Option<Self> {
        Self::start_with(&["--window-size=1280,1000"]).await
    }

    /// The same, with arguments of Chromium's.
    pub async fn start_with(arguments: &[&str]) -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let mut driver = match driver() {
            Ok(driver) => driver,
            Err(_) if allowed_to_miss("chromium") => {
                eprintln!("skipped: there is no chromedriver");
                return None;
            }
            Err(error) => panic!("chromedriver: {error}; run `apt-get install chromium-driver`"),
        };
        let port = port(&mut driver);
        let mut all = vec![
            "--headless".to_owned(),
            // Root has no other way, and the pages are ours.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let mut wanted = serde_json::Map::new();
        wanted.insert("goog:chromeOptions".to_owned(), json!({ "args": all }));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self {
            client,
            driver,
            _profile: profile,
        })
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The element that a selector finds, once it is there.
    pub async fn element(&self, selector: &str) -> Element {
        self.client
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(selector))
            .await
            .unwrap_or_else(|error| panic!("no {selector}: {error}"))
    }

    /// Clicks on it.
    pub async fn click(&self, selector: &str) {
        self.element(selector).await.click().await.unwrap();
    }

    /// Types into a field, in place of what it holds.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.element(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses an entry of a list by its value.
    pub async fn choose(&self, selector: &str, value: &str) {
        let list = self.element(selector).await;
        list.select_by_value(value).await.unwrap();
    }

    /// What a script returns.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression is true in the page.
    pub async fn wait_until(&self, expression: &str) {
        // The page itself waits, so that nothing is asked in vain: it looks whenever it
        // has painted.
        let script = format!(
            "const end = performance.now() + {};
             while (!({expression})) {{
                 if (performance.now() > end) return document.body.innerText;
                 await new Promise(requestAnimationFrame);
             }}
             return true;",
            PATIENCE.as_millis()
        );
        let seen = self.run_async(&script).await;
        assert_eq!(seen, Value::Bool(true), "`{expression}` did not come true");
    }

    /// What the body of an async function returns, or what it threw as a text.
    pub async fn run_async(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => {{
                 {body}
             }})().then(done, (error) => done(`thrown: ${{error}}`));"
        );
        self.client
            .update_timeouts(fantoccini::wd::TimeoutConfiguration::new(
                Some(PATIENCE * 2),
                None,
                None,
            ))
            .await
            .unwrap();
        self.client
            .execute_async(&script, Vec::new())
            .await
            .unwrap()
    }

    /// A PNG of an element, as far as the window is large enough for it.
    pub async fn picture(&self, selector: &str) -> Vec<u8> {
        self.element(selector).await.screenshot().await.unwrap()
    }

    /// Ends the browser in good order.
    pub async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver leads a group, and Chromium ends with the driver.
        if let Some(group) = Pid::from_raw(self.driver.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}

fn driver() -> io::Result<Child> {
    Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// The port that the system gave the driver, as it says itself.
fn port(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, rest) = line.split_once("successfully on port ")?;
            rest.trim_end_matches('.').parse().ok()
        })
        .expect("chromedriver says its port");
    // Keeps reading: a full pipe would block the driver.
    std::thread::spawn(move || lines.for_each(drop));
    port
}
