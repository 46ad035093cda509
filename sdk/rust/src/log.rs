//! Lines of the log, each with a level. The node adds the names of the app and the function and the
//! request's id; beyond its limits lines are dropped, and the log says how many.
//!
//! Standard output and standard error become lines of the log too, at the level `info`.

use crate::bindings::wasi::logging::logging;

pub use logging::Level;

/// Writes a line; `context` says what part of the function it is from, and may be empty.
pub fn line(level: Level, context: &str, message: impl AsRef<str>) {
    logging::log(level, context, message.as_ref());
}

/// Something that helps to find faults.
pub fn debug(message: impl AsRef<str>) {
    line(Level::Debug, "", message);
}

/// Something that whoever operates the node may want to know.
pub fn info(message: impl AsRef<str>) {
    line(Level::Info, "", message);
}

/// Something odd that the function copes with.
pub fn warn(message: impl AsRef<str>) {
    line(Level::Warn, "", message);
}

/// Something that failed.
pub fn error(message: impl AsRef<str>) {
    line(Level::Error, "", message);
}
