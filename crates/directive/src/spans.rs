//! Where each field of a Directive stands, beside the model instead of in it.

use std::collections::BTreeMap;

use crate::diagnostic::Span;

/// The places of a Directive's fields, by path: `spec.functions.simulate.limits.memory`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    fields: BTreeMap<String, Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Where the field's name is; `None` for an entry of a list.
    key: Option<Span>,
    /// What a message about the field points at.
    mark: Span,
    notation: Notation,
}

/// How a field's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notation {
    /// Between braces.
    Braces,
    /// As an alias of what stands before.
    Alias,
    /// On lines of its own, or as a scalar.
    Plain,
}

/// How the fields of a mapping are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// On a line each, indented by so many columns.
    Lines(usize),
    /// Between braces, with fields or without.
    Braces {
        /// Nothing is between the braces.
        empty: bool,
    },
}

impl Spans {
    /// Where a message about the field points; `None` if the file does not have the field.
    pub fn get(&self, field: &str) -> Option<Span> {
        self.fields.get(field).map(|place| place.mark)
    }

    /// Where the field is, or what it would stand in if the file had it.
    pub fn nearest(&self, field: &str) -> Option<Span> {
        let mut field = field;
        loop {
            if let Some(span) = self.get(field) {
                return Some(span);
            }
            field = field.rsplit_once('.')?.0;
        }
    }

    /// Where the field's name is.
    pub(crate) fn key(&self, field: &str) -> Option<Span> {
        self.fields.get(field).and_then(|place| place.key)
    }

    pub(crate) fn insert(
        &mut self,
        field: String,
        key: Option<Span>,
        mark: Span,
        notation: Notation,
    ) {
        let place = Place {
            key,
            mark,
            notation,
        };
        self.fields.insert(field, place);
    }

    /// How the mapping at that path is written; `None` if the file does not have it.
    pub(crate) fn layout(&self, path: &str) -> Option<Layout> {
        let own = self.fields.get(path)?;
        own.key?;
        let prefix = format!("{path}.");
        let first = self
            .fields
            .range(prefix.clone()..)
            .take_while(|(field, _)| field.starts_with(&prefix))
            // What is deeper may stand elsewhere, where an alias has it from.
            .filter(|(field, _)| !field[prefix.len()..].contains('.'))
            .filter_map(|(_, place)| place.key)
            .min_by_key(|key| key.start);
        Some(match (own.notation, first) {
            (Notation::Plain | Notation::Alias, Some(first)) => Layout::Lines(first.column - 1),
            (_, first) => Layout::Braces {
                empty: first.is_none(),
            },
        })
    }

    /// Whether the field's value is an alias of what stands before.
    pub(crate) fn is_alias(&self, path: &str) -> bool {
        let place = self.fields.get(path);
        place.is_some_and(|place| place.notation == Notation::Alias)
    }
}
