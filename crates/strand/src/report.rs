//! What is said on standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use strand_directive::{Diagnostic, render};
use strand_node::{AppDir, AppError};

/// Whether standard error takes colour.
pub(crate) fn color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A line as cargo has them: a verb, right-aligned and green, and what it is
/// about.
pub(crate) fn status(verb: &str, about: impl Display) {
    let line = if color() {
        format!("\x1b[1;32m{verb:>12}\x1b[0m {about}")
    } else {
        format!("{verb:>12} {about}")
    };
    say(&line);
}

/// An error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    if let Some(error) = error.downcast_ref::<AppError>()
        && let AppError::Invalid {
            path,
            text,
            diagnostics,
        } = error
    {
        problems(path, text, diagnostics);
        return;
    }
    let label = if color() {
        "\x1b[1;31merror\x1b[0m:"
    } else {
        "error:"
    };
    for line in with_causes(error).lines() {
        say(&format!("{label} {line}"));
    }
}

/// An error and those of its causes that it does not tell itself.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Warnings about an app.
pub(crate) fn warnings(app: &AppDir, warnings: &[Diagnostic]) {
    problems(&app.path(), app.text(), warnings);
}

/// What is wrong or odd about a Directive, of which this is the text.
pub(crate) fn problems(path: &Path, text: &str, problems: &[Diagnostic]) {
    if !problems.is_empty() {
        let file = path.display().to_string();
        say(render(problems, &file, text, color()).trim_end());
    }
}

fn say(text: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
