//! The tree of a file into the model, with everything that is wrong on the way.
//!
//! Nothing stops at the first problem: a function that cannot be decoded gives `None`, has said
//! why, and the next one is decoded. So a Directive comes out exactly if no error has been said.

mod app;
mod fields;
mod function;
mod grants;
mod quantity;
mod redirect;
mod route;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

pub(crate) use self::app::app;
#[cfg(test)]
pub(crate) use self::fields::ALL as ALL_FIELDS;
use crate::diagnostic::{Diagnostic, Invalid, Severity, all_of, quote};
use crate::names::near;
use crate::spans::{Notation, Spans};
use crate::text::Text;
use crate::yaml::{Kind, Node, Scalar};

/// Collects problems and places while the model is built.
pub(crate) struct Decoder<'t> {
    text: &'t Text<'t>,
    pub(crate) problems: Vec<Diagnostic>,
    pub(crate) spans: Spans,
    /// Names in `spec.functions`, those of broken functions included.
    functions: BTreeSet<String>,
    /// Names in `spec.resources.blobs`.
    blobs: BTreeSet<String>,
    used_functions: BTreeSet<String>,
    used_blobs: BTreeSet<String>,
}

/// A value with its path and, in a mapping, its key's place.
struct At<'n> {
    path: String,
    /// The field as messages name it, in backticks.
    name: String,
    key: Option<Range<usize>>,
    node: &'n Node,
}

impl At<'_> {
    /// Where a message points: at a scalar itself, at a list's or mapping's name.
    fn mark(&self) -> Range<usize> {
        match (&self.node.kind, &self.key) {
            (Kind::Scalar { .. }, _) if !self.node.span.is_empty() => self.node.span.clone(),
            (_, Some(key)) => key.clone(),
            (_, None) => self.node.span.clone(),
        }
    }
}

/// The fields of a mapping whose field names are fixed.
struct Fields<'n> {
    path: String,
    /// Where a message about a missing field points.
    mark: Range<usize>,
    found: BTreeMap<&'n str, At<'n>>,
}

impl<'n> Fields<'n> {
    fn has(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }

    fn take(&mut self, name: &str) -> Option<At<'n>> {
        self.found.remove(name)
    }

    fn need(&mut self, decoder: &mut Decoder<'_>, name: &str) -> Option<At<'n>> {
        let found = self.take(name);
        if found.is_none() {
            let place = if self.path.is_empty() {
                "the file".to_owned()
            } else {
                format!("`{}`", self.path)
            };
            decoder.error(
                join(&self.path, name),
                self.mark.clone(),
                format!("{place} lacks the field `{name}`"),
                None,
            );
        }
        found
    }
}

/// The path of a field in a mapping. Keys that could be mistaken for a path stand in quotes.
fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key.len() <= 64
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let key = if plain {
        key.to_owned()
    } else {
        format!("\"{}\"", quote(key).trim_matches('`'))
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

impl<'t> Decoder<'t> {
    pub(crate) fn new(text: &'t Text<'t>, problems: Vec<Diagnostic>) -> Self {
        Self {
            text,
            problems,
            spans: Spans::default(),
            functions: BTreeSet::new(),
            blobs: BTreeSet::new(),
            used_functions: BTreeSet::new(),
            used_blobs: BTreeSet::new(),
        }
    }

    fn error(&mut self, field: String, range: Range<usize>, message: String, help: Option<String>) {
        self.say(Severity::Error, field, range, message, help);
    }

    fn say(
        &mut self,
        severity: Severity,
        field: String,
        range: Range<usize>,
        message: String,
        help: Option<String>,
    ) {
        let span = Some(self.text.span(range));
        self.problems.push(Diagnostic {
            severity,
            message,
            field,
            span,
            help,
        });
    }

    fn invalid(&mut self, at: &At<'_>, invalid: Invalid) {
        self.error(at.path.clone(), at.mark(), invalid.message, invalid.help);
    }

    fn remember(&mut self, at: &At<'_>) {
        let notation = match &at.key {
            // An anchor stands before its aliases.
            Some(key) if at.node.span.start < key.start => Notation::Alias,
            _ if self.text.value_starts_with(at.node.span.start, '{') => Notation::Braces,
            _ => Notation::Plain,
        };
        let key = at.key.clone().map(|key| self.text.span(key));
        let mark = self.text.span(at.mark());
        self.spans.insert(at.path.clone(), key, mark, notation);
    }

    fn wrong_type(&mut self, at: &At<'_>, wanted: &str, help: Option<String>) {
        let found = match (&at.node.kind, at.node.scalar()) {
            (Kind::Scalar { text, .. }, Some(scalar)) => match scalar {
                Scalar::Null => "nothing".to_owned(),
                Scalar::Bool(_) => format!("the boolean {}", quote(text)),
                Scalar::Integer(_) | Scalar::Float => format!("the number {}", quote(text)),
                Scalar::Text(_) => format!("the text {}", quote(text)),
            },
            (Kind::List(_), _) => "a list".to_owned(),
            _ => "a mapping".to_owned(),
        };
        let message = format!("{} must be {wanted}, found {found}", at.name);
        self.error(at.path.clone(), at.mark(), message, help);
    }

    /// The entries of a mapping with text as keys, each key once.
    fn entries<'n>(&mut self, at: &At<'n>) -> Option<Vec<(&'n str, At<'n>)>> {
        let Kind::Map(entries) = &at.node.kind else {
            self.wrong_type(at, "a mapping", None);
            return None;
        };
        let mut found: Vec<(&str, At<'_>)> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, value) in entries {
            let Some(Scalar::Text(name)) = key.scalar() else {
                self.error(
                    at.path.clone(),
                    key.span.clone(),
                    "a key must be text".to_owned(),
                    Some("put the key in quotes".to_owned()),
                );
                continue;
            };
            let entry = At {
                path: join(&at.path, name),
                name: quote(name),
                key: Some(key.span.clone()),
                node: value,
            };
            let line = self.text.span(key.span.clone()).line;
            if let Some(first) = places.get(name) {
                self.error(
                    entry.path,
                    key.span.clone(),
                    format!("the key {} appears twice", quote(name)),
                    Some(format!(
                        "its first value is on line {first}; keep one of them"
                    )),
                );
                continue;
            }
            places.insert(name, line);
            self.remember(&entry);
            found.push((name, entry));
        }
        Some(found)
    }

    /// The fields of a mapping whose field names are fixed.
    fn fields<'n>(&mut self, at: &At<'n>, known: &[&str]) -> Option<Fields<'n>> {
        let mut found = BTreeMap::new();
        for (name, entry) in self.entries(at)? {
            if known.contains(&name) {
                found.insert(name, entry);
                continue;
            }
            let place = if at.path.is_empty() {
                String::new()
            } else {
                format!(" in `{}`", at.path)
            };
            let help = match near(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if name == "<<" => "YAML 1.2 has no merge keys: write the fields out, or let an alias stand for the whole value".to_owned(),
                None if known.len() == 1 => format!("the only field here is {}", all_of(known)),
                None => format!("the fields here are {}", all_of(known)),
            };
            let message = format!("unknown field {}{place}", quote(name));
            let key = entry.key.clone().unwrap_or_else(|| entry.mark());
            self.error(entry.path, key, message, Some(help));
        }
        // A list's entry has no name to point at.
        let mark = at.key.clone().unwrap_or_else(|| at.node.span.clone());
        Some(Fields {
            path: at.path.clone(),
            mark,
            found,
        })
    }

    fn items<'n>(&mut self, at: &At<'n>) -> Option<Vec<At<'n>>> {
        let Kind::List(items) = &at.node.kind else {
            self.wrong_type(at, "a list", None);
            return None;
        };
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let item = At {
                path: format!("{}[{index}]", at.path),
                name: format!("{}[{index}]`", at.name.trim_end_matches('`')),
                key: None,
                node: Rc::as_ref(item),
            };
            self.remember(&item);
            found.push(item);
        }
        Some(found)
    }

    /// A text. Numbers and booleans are refused, as the JSON Schema refuses them: `1.10` would
    /// be the number 1.1 to other readers of the file.
    fn text<'n>(&mut self, at: &At<'n>) -> Option<&'n str> {
        match (&at.node.kind, at.node.scalar()) {
            (_, Some(Scalar::Text(text))) => Some(text),
            (Kind::Scalar { text, .. }, Some(scalar)) if scalar != Scalar::Null => {
                self.wrong_type(
                    at,
                    "text",
                    Some(format!(
                        "put it in quotes: {}",
                        quote(&format!("\"{text}\""))
                    )),
                );
                None
            }
            _ => {
                self.wrong_type(at, "text", None);
                None
            }
        }
    }

    /// A text that some function reads.
    fn parsed<T>(
        &mut self,
        at: &At<'_>,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let text = self.text(at)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.invalid(at, invalid);
                None
            }
        }
    }

    /// The name of something that the file declares elsewhere.
    fn reference(&mut self, at: &At<'_>, what: What, name: &str) -> bool {
        let (declared, used, noun, place) = match what {
            What::Function => (
                &self.functions,
                &mut self.used_functions,
                "function",
                "spec.functions",
            ),
            What::Blobs => (
                &self.blobs,
                &mut self.used_blobs,
                "blobs resource",
                "spec.resources.blobs",
            ),
        };
        if declared.contains(name) {
            used.insert(name.to_owned());
            return true;
        }
        // Of a file with so many problems that not all are told, a guess would not be read.
        let guess = self.problems.len() < crate::MAX_PROBLEMS;
        let meant = guess.then(|| near(name, declared.iter().map(String::as_str)));
        let help = match meant.flatten() {
            Some(meant) => {
                // It would be noise to say as well that nothing uses what was meant.
                used.insert(meant.to_owned());
                format!("did you mean {}?", quote(meant))
            }
            None if declared.is_empty() => format!("declare it in `{place}`"),
            None => {
                // Not all of them, if there are many.
                let names: Vec<&String> = declared.iter().take(12).collect();
                format!("declare it in `{place}`, which has {}", all_of(&names))
            }
        };
        let message = format!("there is no {noun} {}", quote(name));
        let range = at
            .key
            .clone()
            .filter(|_| what == What::Blobs)
            .unwrap_or_else(|| at.mark());
        self.error(at.path.clone(), range, message, Some(help));
        false
    }
}

/// What a [`Decoder::reference`] refers to.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Function,
    Blobs,
}
