//! What a Directive's author reads, word by word.

#![allow(clippy::unwrap_used)]

mod additions;
mod app;
mod components;
mod files;
mod functions;
mod grants;
mod limits;
mod mutated;
mod rendered;
mod routes;
mod rules;
mod schema;
mod whole;
mod yaml;

use expect_test::Expect;
use strand_directive::{Diagnostic, parse};

/// The example that the Directive's documentation starts with.
pub(crate) const EXAMPLE: &str = include_str!("example.yaml");

/// Compares what is said about a file with what is expected: position, field, message, the text
/// that is pointed at, help. What holds of every file is checked as well.
#[track_caller]
pub(crate) fn check(text: &str, expected: Expect) {
    let outcome = parse(text);
    let failed = outcome.problems.iter().any(Diagnostic::is_error);
    assert_eq!(
        outcome.directive.is_none(),
        failed,
        "{:#?}",
        outcome.problems
    );
    expected.assert_eq(&listed(&outcome.problems, text));
    schema::agrees(text, &outcome);
}

/// Diagnostics in short.
pub(crate) fn listed(problems: &[Diagnostic], text: &str) -> String {
    let mut out = String::new();
    for problem in problems {
        let severity = if problem.is_error() {
            "error"
        } else {
            "warning"
        };
        match problem.span {
            Some(span) => {
                let shown = &text[span.range()];
                out += &format!("{severity} {}:{} |{shown}|", span.line, span.column);
            }
            None => out += severity,
        }
        if !problem.field.is_empty() {
            out += &format!(" {}", problem.field);
        }
        out += &format!("\n  {}\n", problem.message);
        if let Some(help) = &problem.help {
            for line in help.lines() {
                out += &format!("    {line}\n");
            }
        }
    }
    out
}

/// A file with this below `spec`.
pub(crate) fn app(spec: &str) -> String {
    format!(
        "apiVersion: strand.dev/v1alpha1\nkind: App\nmetadata: {{ name: app }}\nspec:\n  version: 0.1.0\n{}",
        indented(spec, 2)
    )
}

/// A file with one function, which has this beside its source, and a route to it.
pub(crate) fn function(fields: &str) -> String {
    app(&format!(
        "functions:\n  f:\n    source: {{ file: f.wasm }}\n{}routes:\n  - {{ path: /, function: f }}\n",
        indented(fields, 4)
    ))
}

/// A file with the functions `f` and `g` and these routes.
pub(crate) fn routes(entries: &str) -> String {
    app(&format!(
        "functions:\n  f: {{ source: {{ file: f.wasm }}, grants: {{ functions: [g] }} }}\n  g: {{ source: {{ file: g.wasm }}, grants: {{ functions: [f] }} }}\nroutes:\n{}",
        indented(entries, 2)
    ))
}

fn indented(text: &str, spaces: usize) -> String {
    text.lines()
        .map(|line| format!("{:spaces$}{line}\n", ""))
        .collect()
}
