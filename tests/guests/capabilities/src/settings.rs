//! Configuration and log.

use serde_json::Value;

use crate::bindings::wasi::config::store;
use crate::bindings::wasi::logging::logging::{self, Level};

/// All of the configuration, or what there is for one key (`null` for none), as JSON.
///
/// # Errors
/// What the host said.
pub fn config(key: Option<&str>) -> Result<Value, String> {
    let value = match key {
        Some(key) => store::get(key).map(Value::from),
        None => store::get_all().map(|all| all.into_iter().collect()),
    };
    value.map_err(|error| error.to_string())
}

/// Writes a line to the log; line 0 is of the lowest level, and so on in turn.
pub fn log(line: u64, context: &str, message: &str) {
    let level = match line % 6 {
        0 => Level::Trace,
        1 => Level::Debug,
        2 => Level::Info,
        3 => Level::Warn,
        4 => Level::Error,
        _ => Level::Critical,
    };
    logging::log(level, context, message);
}
