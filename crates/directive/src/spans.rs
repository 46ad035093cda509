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

    /// Where the field's name is.
    pub(crate) fn key(&self, field: &str) -> Option<Span> {
        self.fields.get(field).and_then(|place| place.key)
    }

    pub(crate) fn insert(&mut self, field: String, key: Option<Span>, mark: Span) {
        self.fields.insert(field, Place { key, mark });
    }

    /// How the mapping at that path is written; `None` if the file does not have it.
    pub(crate) fn layout(&self, path: &str) -> Option<Layout> {
        let own = self.fields.get(path)?.key?;
        let prefix = format!("{path}.");
        let first = self
            .fields
            .range(prefix.clone()..)
            .take_while(|(field, _)| field.starts_with(&prefix))
            .filter_map(|(_, place)| place.key)
            .min_by_key(|key| key.start);
        Some(match first {
            None => Layout::Braces { empty: true },
            Some(first) if first.line == own.line => Layout::Braces { empty: false },
            Some(first) => Layout::Lines(first.column - 1),
        })
    }
}
