//! YAML into a bounded tree that knows where everything stands.
//!
//! The tree is built from the parser's events because it must keep what a general loader has to
//! refuse or drop: keys that appear twice (all are reported, not the first only) and the place
//! of keys.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use crate::diagnostic::{Diagnostic, Severity, quote};
use crate::text::Text;

/// Longest text of a Directive that is read, in bytes. An app file has some kilobytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// Deepest nesting of lists and mappings. A Directive needs eight.
pub(crate) const MAX_DEPTH: usize = 32;
/// Most values, keys included, aliases counted as often as they are used: a few nested aliases
/// could otherwise stand for billions.
pub(crate) const MAX_NODES: usize = 20_000;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    /// Bytes of the value; of a list or mapping only what is on its first line.
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
    /// Values in it, itself included.
    size: usize,
    /// Levels of lists and mappings, itself included.
    height: usize,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar {
        text: String,
        /// Written without quotes, so that it may be a number, a boolean or nothing.
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

/// What a scalar is by YAML 1.2's core schema.
#[derive(Debug, PartialEq)]
pub(crate) enum Scalar<'n> {
    Null,
    Bool(bool),
    /// An integer, unless it is too large for any field.
    Integer(Option<i128>),
    Float,
    Text(&'n str),
}

impl Node {
    /// The scalar's meaning; `None` for lists and mappings.
    pub(crate) fn scalar(&self) -> Option<Scalar<'_>> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => Some(core_schema(text)),
            Kind::Scalar { text, plain: false } => Some(Scalar::Text(text)),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }
}

/// Section 10.3.2 of the YAML 1.2.2 specification.
fn core_schema(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float,
        _ => {}
    }
    let all =
        |digits: &str, radix: u32| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && all(digits, radix)
        {
            return Scalar::Integer(i128::from_str_radix(digits, radix).ok());
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if all(unsigned, 10) {
        return Scalar::Integer(text.parse().ok());
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Scalar::Float;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let mantissa_is_number =
        !(whole.is_empty() && fraction.is_empty()) && digits(whole) && digits(fraction);
    let exponent_is_number = exponent
        .is_none_or(|exponent| all(exponent.strip_prefix(['-', '+']).unwrap_or(exponent), 10));
    if mantissa_is_number && exponent_is_number {
        return Scalar::Float;
    }
    Scalar::Text(text)
}

/// Reads the one document of a text. What keeps the rest from being read is an error in
/// `problems`, and then there is no tree; `None` without a problem is an empty file.
pub(crate) fn read(
    text: &str,
    positions: &Text<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Rc<Node>> {
    match Builder::new(positions, problems).read(text) {
        Ok(root) => root,
        Err(fatal) => {
            problems.push(*fatal);
            None
        }
    }
}

/// A list or mapping whose end has not been seen yet.
struct Open {
    start: usize,
    anchor: usize,
    /// The values of a list, or keys and values of a mapping by turns.
    values: Vec<Rc<Node>>,
    is_map: bool,
}

struct Builder<'b, 't> {
    positions: &'b Text<'t>,
    problems: &'b mut Vec<Diagnostic>,
    open: Vec<Open>,
    root: Option<Rc<Node>>,
    anchors: BTreeMap<NonZeroUsize, Rc<Node>>,
    nodes: usize,
}

type Fatal = Box<Diagnostic>;

impl<'b, 't> Builder<'b, 't> {
    fn new(positions: &'b Text<'t>, problems: &'b mut Vec<Diagnostic>) -> Self {
        Self {
            positions,
            problems,
            open: Vec::new(),
            root: None,
            anchors: BTreeMap::new(),
            nodes: 0,
        }
    }

    fn read(mut self, text: &str) -> Result<Option<Rc<Node>>, Fatal> {
        if text.len() > MAX_BYTES {
            return Err(Box::new(Diagnostic {
                severity: Severity::Error,
                message: format!(
                    "the file has {} bytes, which is more than the {MAX_BYTES} that are read",
                    text.len()
                ),
                field: String::new(),
                span: None,
                help: Some("split the app into several apps".to_owned()),
            }));
        }
        let mut parser = Parser::new_from_str(text);
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, mark) = event.map_err(|error| self.not_yaml(&error))?;
            let range =
                self.positions.byte(mark.start.index())..self.positions.byte(mark.end.index());
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(self.error(
                            range,
                            "a second document starts here".to_owned(),
                            Some("a file holds one app: put the other one into a file of its own"),
                        ));
                    }
                }
                Event::Scalar(value, style, anchor, tag) => {
                    self.refuse_tag(&range, tag.as_deref());
                    // A tag is refused already: what it would make of the text is no second problem.
                    let plain = style == ScalarStyle::Plain && tag.is_none();
                    let kind = Kind::Scalar {
                        text: value.into_owned(),
                        plain,
                    };
                    let range = self.positions.first_line(range);
                    self.complete(
                        Node {
                            span: range,
                            kind,
                            size: 1,
                            height: 0,
                        },
                        anchor,
                    )?;
                }
                Event::Alias(anchor) => {
                    let anchored = NonZeroUsize::new(anchor).and_then(|key| self.anchors.get(&key));
                    let Some(node) = anchored.cloned() else {
                        return Err(self.error(
                            range,
                            "this alias stands inside the value that it repeats".to_owned(),
                            Some("write the value out, or move the anchor"),
                        ));
                    };
                    self.count(node.size, &range)?;
                    self.attach(node, &range)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.refuse_tag(&range, tag.as_deref());
                    self.start(range.start, anchor, false)?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.refuse_tag(&range, tag.as_deref());
                    self.start(range.start, anchor, true)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(range.end)?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        Ok(self.root)
    }

    fn start(&mut self, start: usize, anchor: usize, is_map: bool) -> Result<(), Fatal> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(start..start));
        }
        self.open.push(Open {
            start,
            anchor,
            values: Vec::new(),
            is_map,
        });
        Ok(())
    }

    fn end(&mut self, end: usize) -> Result<(), Fatal> {
        // The parser sends an end only for what it has started.
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let size = open.values.iter().map(|node| node.size).sum::<usize>() + 1;
        let height = open
            .values
            .iter()
            .map(|node| node.height)
            .max()
            .unwrap_or(0)
            + 1;
        let kind = if open.is_map {
            let mut values = open.values.into_iter();
            let mut entries = Vec::new();
            while let (Some(key), Some(value)) = (values.next(), values.next()) {
                entries.push((key, value));
            }
            Kind::Map(entries)
        } else {
            Kind::List(open.values)
        };
        let span = self.positions.first_line(open.start..end.max(open.start));
        self.complete(
            Node {
                span,
                kind,
                size,
                height,
            },
            open.anchor,
        )
    }

    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Fatal> {
        let span = node.span.clone();
        self.count(1, &span)?;
        let node = Rc::new(node);
        // The parser numbers anchors from 1; 0 says that there is none.
        if let Some(anchor) = NonZeroUsize::new(anchor) {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node, &span)
    }

    fn attach(&mut self, node: Rc<Node>, span: &Range<usize>) -> Result<(), Fatal> {
        // Aliases could stack to a height that the open levels do not show.
        if self.open.len() + node.height > MAX_DEPTH {
            return Err(self.too_deep(span.clone()));
        }
        match self.open.last_mut() {
            Some(open) => open.values.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, span: &Range<usize>) -> Result<(), Fatal> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(self.error(
                span.clone(),
                format!("more than {MAX_NODES} values, aliases counted as often as they are used"),
                Some("split the app into several apps"),
            ));
        }
        Ok(())
    }

    fn refuse_tag(&mut self, range: &Range<usize>, tag: Option<&saphyr_parser::Tag>) {
        if let Some(tag) = tag {
            // The parser writes the short form out.
            let handle = tag.handle.replace("tag:yaml.org,2002:", "!!");
            let problem = self.error(
                self.positions.first_line(range.clone()),
                format!(
                    "the tag {} has no meaning here",
                    quote(&format!("{handle}{}", tag.suffix))
                ),
                Some("remove the tag; text that looks like a number goes in quotes"),
            );
            self.problems.push(*problem);
        }
    }

    fn not_yaml(&self, error: &ScanError) -> Fatal {
        let at = self.positions.byte(error.marker().index());
        match error.info() {
            // It reads ahead of the lists and mappings that it has told us of, and may come to its
            // own limit before we are at ours.
            "recursion limit exceeded" => self.too_deep(at..at),
            info => self.error(at..at, format!("not valid YAML: {info}"), yaml_help(info)),
        }
    }

    fn too_deep(&self, range: Range<usize>) -> Fatal {
        self.error(
            range,
            format!("lists and mappings are nested deeper than {MAX_DEPTH} levels"),
            None,
        )
    }

    fn error(&self, range: Range<usize>, message: String, help: Option<&str>) -> Fatal {
        Box::new(Diagnostic {
            severity: Severity::Error,
            message,
            field: String::new(),
            span: Some(self.positions.span(range)),
            help: help.map(str::to_owned),
        })
    }
}

/// What to do about the parser's commonest complaints.
fn yaml_help(info: &str) -> Option<&'static str> {
    let has = |word: &str| {
        let mut words = info.split(|c: char| !c.is_ascii_alphabetic());
        words.any(|found| found == word)
    };
    if has("tab") || has("tabs") {
        Some("indent with spaces: YAML does not allow tabs there")
    } else if has("unprintable") {
        Some("remove that character; if no editor shows one, save the file as UTF-8")
    } else if has("anchor") {
        Some("a value that starts with `*` or `&` goes in quotes")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_meaning_of_the_core_schema() {
        use Scalar::{Bool, Float, Integer, Null};
        for (text, scalar) in [
            ("", Null),
            ("~", Null),
            ("null", Null),
            ("Null", Null),
            ("NULL", Null),
            ("true", Bool(true)),
            ("True", Bool(true)),
            ("TRUE", Bool(true)),
            ("false", Bool(false)),
            ("False", Bool(false)),
            ("FALSE", Bool(false)),
            ("0", Integer(Some(0))),
            ("007", Integer(Some(7))),
            ("-5", Integer(Some(-5))),
            ("+5", Integer(Some(5))),
            ("0o17", Integer(Some(15))),
            ("0xfF", Integer(Some(255))),
            ("99999999999999999999999999999999999999999", Integer(None)),
            ("0xfffffffffffffffffffffffffffffffff", Integer(None)),
            (".inf", Float),
            ("-.Inf", Float),
            ("+.INF", Float),
            (".nan", Float),
            (".NaN", Float),
            (".NAN", Float),
            ("1.", Float),
            (".5", Float),
            ("-1.5", Float),
            ("1e3", Float),
            ("1.5E+3", Float),
            ("1.e-3", Float),
        ] {
            assert_eq!(core_schema(text), scalar, "{text}");
        }
        for text in [
            "nULL", "tRUE", "yes", "-", "+", "--1", "0o", "0o8", "0x", "0xg", "-0x1", "-.nan", ".",
            "-.", "1.2.3", "1e", "e3", ".e3", "1e3e4", "1e+", "1e--3", "1_000", "1a", "a1", "1.a",
            "a.1", "1 2",
        ] {
            assert_eq!(core_schema(text), Scalar::Text(text), "{text}");
        }
    }
}
