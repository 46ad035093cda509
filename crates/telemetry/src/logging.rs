//! Sets up the process's log.

use std::io::{self, IsTerminal, stderr};

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt;

use crate::access::AccessLog;
use crate::writer::{LogGuard, LogWriter};

/// Bytes of lines that wait for a slow reader of the log.
const CAPACITY: usize = 4 << 20;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// [`Format::Pretty`] on a terminal, else [`Format::Json`].
    #[default]
    Auto,
    /// An object a line.
    Json,
    /// For people.
    Pretty,
}

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter cannot be read.
    #[error(
        "{variable} is `{value}`, which is not a log filter: {reason}; write for example `info,strand_gateway=debug`"
    )]
    Filter {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: ParseError,
    },
    /// The writer's thread cannot be started.
    #[error("the thread that writes the log cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// Somebody else has set up a log in this process.
    #[error("logs are set up already")]
    Twice,
}

/// The process's log. Keep it until the process ends: dropping it writes what is
/// left.
#[derive(Debug)]
pub struct Telemetry {
    /// Where lines go, and how many were dropped.
    pub writer: LogWriter,
    /// Takes the access lines.
    pub access: AccessLog,
    _guard: LogGuard,
}

/// Sends `tracing`'s events, guests' lines (target `guest`) among them, and access
/// lines (target `access`) to standard error. The filter is that of `STRAND_LOG`,
/// else of `RUST_LOG`, else `default_filter`, for example `info`.
///
/// # Errors
/// When the filter cannot be read, the writer cannot be started, or a log is set
/// up already.
pub fn init(format: Format, default_filter: &str) -> Result<Telemetry, InitError> {
    let json = match format {
        Format::Json => true,
        Format::Pretty => false,
        Format::Auto => !stderr().is_terminal(),
    };
    let filter = match chosen_filter(|name| std::env::var(name).ok()) {
        Some((variable, value)) => {
            EnvFilter::try_new(&value).map_err(|reason| InitError::Filter {
                variable,
                value,
                reason,
            })?
        }
        None => EnvFilter::new(default_filter),
    };
    let notice = if json { json_notice } else { plain_notice };
    let (writer, guard) = LogWriter::start(stderr(), CAPACITY, notice)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(!json && stderr().is_terminal())
        .with_writer(writer.clone());
    let set = if json {
        lines.json().flatten_event(true).finish().try_init()
    } else {
        lines.compact().finish().try_init()
    };
    set.map_err(|_| InitError::Twice)?;
    let access = if tracing::enabled!(target: "access", Level::INFO) {
        AccessLog::new(writer.clone(), json)
    } else {
        AccessLog::off()
    };
    Ok(Telemetry {
        writer,
        access,
        _guard: guard,
    })
}

fn chosen_filter(variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    ["STRAND_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| variable(name).map(|value| (name, value)))
        .filter(|(_, value)| !value.trim().is_empty())
}

fn plain_notice(dropped: u64) -> String {
    format!(" WARN strand_telemetry: {dropped} log lines were dropped: their reader is too slow\n")
}

fn json_notice(dropped: u64) -> String {
    format!(
        "{{\"level\":\"WARN\",\"target\":\"strand_telemetry\",\"message\":\"log lines were dropped: their reader is too slow\",\"dropped\":{dropped}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_variable_comes_first() {
        let both = |name: &str| Some(format!("of {name}"));
        assert_eq!(
            chosen_filter(both),
            Some(("STRAND_LOG", "of STRAND_LOG".to_owned()))
        );
        let one = |name: &str| (name == "RUST_LOG").then(|| "debug".to_owned());
        assert_eq!(chosen_filter(one), Some(("RUST_LOG", "debug".to_owned())));
        assert_eq!(chosen_filter(|_| Some(" ".to_owned())), None);
        assert_eq!(chosen_filter(|_| None), None);
    }

    #[test]
    fn notices_are_lines_of_their_format() {
        let json: serde_json::Value = serde_json::from_str(json_notice(3).trim()).unwrap();
        assert_eq!(json["dropped"], 3);
        assert!(plain_notice(3).ends_with('\n'));
    }
}
