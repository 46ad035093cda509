//! What is said about a Directive: errors and warnings with their place.

use std::ops::Range;

use serde::Serialize;

use crate::MAX_PROBLEMS;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The app cannot run as it is written.
    Error,
    /// The app runs, but something in it is probably not meant.
    Warning,
}

/// A place in the text of a Directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters (not bytes), counted from 1.
    pub column: usize,
    /// First byte.
    pub start: usize,
    /// The byte after the last one; the same as `start` for a place without extent.
    pub end: usize,
}

impl Span {
    /// The bytes as a range, to slice the text with.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// One thing to tell the author of a Directive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The field, for example `spec.functions.simulate.limits.memory`; empty for the whole file.
    pub field: String,
    /// Where it is, unless it is about the file as a whole.
    pub span: Option<Span>,
    /// What to do next; may have several lines, of which all but the first are to be copied.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Whether the app cannot run because of this.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Puts diagnostics in the file's order, errors before warnings of the same place; those of
    /// the file as a whole come first.
    pub fn sort(diagnostics: &mut [Self]) {
        diagnostics.sort_by_key(|diagnostic| {
            (diagnostic.span.map(|span| span.start), diagnostic.severity)
        });
    }

    /// Keeps the first [`MAX_PROBLEMS`] and says how many more there are, so that a broken file
    /// does not fill the screen.
    pub fn shorten(diagnostics: &mut Vec<Self>) {
        if diagnostics.len() <= MAX_PROBLEMS {
            return;
        }
        let rest = diagnostics.split_off(MAX_PROBLEMS);
        diagnostics.push(Self {
            severity: rest
                .iter()
                .map(|diagnostic| diagnostic.severity)
                .min()
                .unwrap_or(Severity::Warning),
            message: match rest.len() {
                1 => "and one more problem".to_owned(),
                more => format!("and {more} more problems"),
            },
            field: String::new(),
            span: None,
            help: Some("mend the first ones and check again".to_owned()),
        });
    }
}

/// A value that is not what its field takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What would be right, where that can be told.
    pub help: Option<String>,
}

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// How many characters of a value a message shows.
const SHOWN: usize = 64;

/// Text from the file as it appears in a message: in backticks, on one line, without control
/// characters (a terminal would obey them), not longer than is useful.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("`");
    for (i, c) in text.chars().enumerate() {
        if i == SHOWN {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}

/// `a`, `b` or `c`.
pub(crate) fn any_of<S: AsRef<str>>(items: &[S]) -> String {
    listed(items, "or")
}

/// `a`, `b` and `c`.
pub(crate) fn all_of<S: AsRef<str>>(items: &[S]) -> String {
    listed(items, "and")
}

fn listed<S: AsRef<str>>(items: &[S], word: &str) -> String {
    let quoted: Vec<String> = items.iter().map(|item| quote(item.as_ref())).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_short_and_harmless() {
        assert_eq!(quote("genömes"), "`genömes`");
        assert_eq!(quote("a\u{1b}[31m\nb"), "`a\\u{1b}[31m\\nb`");
        assert_eq!(quote(&"é".repeat(64)), format!("`{}`", "é".repeat(64)));
        assert_eq!(quote(&"é".repeat(65)), format!("`{}…`", "é".repeat(64)));
    }

    #[test]
    fn lists_of_choices() {
        assert_eq!(any_of::<&str>(&[]), "");
        assert_eq!(any_of(&["a"]), "`a`");
        assert_eq!(any_of(&["a", "b"]), "`a` or `b`");
        assert_eq!(any_of(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(all_of(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
