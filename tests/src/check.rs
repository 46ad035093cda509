//! What `strand check --json` says.

use std::path::Path;

use serde_json::Value;

use crate::run;

/// What `check --json` says, and whether it found no error.
pub fn check_json(app: &Path) -> (Value, bool) {
    let output = run(["check".as_ref(), "--json".as_ref(), app.as_os_str()]);
    let said = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (said, output.status.success())
}

/// The field and the severity of each problem.
pub fn fields(said: &Value) -> Vec<(&str, &str)> {
    let problems = said["problems"].as_array().unwrap().iter();
    problems
        .map(|problem| (&problem["field"], &problem["severity"]))
        .map(|(field, severity)| (field.as_str().unwrap(), severity.as_str().unwrap()))
        .collect()
}
