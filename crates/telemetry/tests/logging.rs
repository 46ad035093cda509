//! What the log of a process looks like: the test runs itself as that process.

// A test that unwraps the wrong thing fails, which is what it is for.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use strand_telemetry::{AccessLine, Format, init};

/// Tells the test that it is the process, and in which format it is to log.
const FORMAT: &str = "STRAND_TEST_LOG_FORMAT";

fn process(format: &str) {
    let format = match format {
        "json" => Format::Json,
        "pretty" => Format::Pretty,
        _ => Format::Auto,
    };
    let telemetry = match init(format, "info") {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("{error}");
            return;
        }
    };
    assert!(init(format, "info").is_err(), "a second log");
    tracing::info!(
        target: "guest", app = "reads", function = "simulate", request = "an-id",
        stream = "stdout", "a guest's line"
    );
    tracing::debug!("not at this level");
    telemetry.access.write(&AccessLine {
        id: "an-id",
        client: IpAddr::from([127, 0, 0, 1]),
        method: "GET",
        path: "/",
        protocol: "HTTP/1.1",
        route: "/",
        app: "reads",
        function: "simulate",
        status: Some(200),
        bytes_in: 0,
        bytes_out: 0,
        duration: Duration::ZERO,
        first_byte: None,
        problem: None,
        limit: None,
        detail: None,
        aborted: false,
    });
}

/// What the process writes to standard error.
fn log(format: &str, filter: Option<&str>) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "lines_are_of_their_format", "--nocapture"])
        .env(FORMAT, format)
        .env_remove("RUST_LOG")
        .env_remove("STRAND_LOG");
    if let Some(filter) = filter {
        command.env("STRAND_LOG", filter);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn lines_are_of_their_format() {
    if let Ok(format) = std::env::var(FORMAT) {
        return process(&format);
    }
    // Not a terminal: `auto` is JSON.
    for format in ["json", "auto"] {
        let lines = log(format, None);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let guest: Value = serde_json::from_str(&lines[0]).unwrap();
        for (name, value) in [
            ("target", "guest"),
            ("level", "INFO"),
            ("message", "a guest's line"),
            ("app", "reads"),
            ("function", "simulate"),
            ("request", "an-id"),
            ("stream", "stdout"),
        ] {
            assert_eq!(guest[name], value, "{guest}");
        }
        let access: Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!(access["target"], "access");
        assert_eq!(access["status"], 200);
    }
    let lines = log("pretty", None);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].ends_with(
            "INFO guest: a guest's line app=\"reads\" function=\"simulate\" request=\"an-id\" stream=\"stdout\""
        ),
        "{lines:?}"
    );
    assert!(lines[1].contains("INFO access: GET / 200 "), "{lines:?}");

    let lines = log("json", Some("info,guest=off"));
    assert!(
        lines.len() == 1 && lines[0].contains("\"access\""),
        "{lines:?}"
    );
    let lines = log("json", Some("info,access=off"));
    assert!(
        lines.len() == 1 && lines[0].contains("\"guest\""),
        "{lines:?}"
    );
    assert_eq!(log("json", Some("debug")).len(), 3);
    let lines = log("json", Some("a=b=c"));
    assert!(
        lines[0].starts_with("STRAND_LOG is `a=b=c`, which is not a log filter: "),
        "{lines:?}"
    );
}
