//! Any text is read to an end, has a Directive exactly if it has no error, and can be rendered.
//!
//! From `crates/directive`:
//! `cargo +nightly fuzz run parse fuzz/corpus/parse fuzz/seeds -- -dict=fuzz/parse.dict`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strand_directive::{Diagnostic, FileKind, check_files, parse, render};

fuzz_target!(|text: &str| {
    let outcome = parse(text);
    let failed = outcome.problems.iter().any(Diagnostic::is_error);
    assert_eq!(outcome.directive.is_none(), failed);
    for problem in &outcome.problems {
        if let Some(span) = problem.span {
            assert!(text.get(span.range()).is_some());
        }
    }
    let rendered = render(&outcome.problems, "directive.yaml", text, false);
    assert_eq!(rendered.is_empty(), outcome.problems.is_empty());
    if let Some(directive) = outcome.directive {
        for kind in [FileKind::Missing, FileKind::Folder] {
            let problems = check_files(&directive, &|_| kind, &|_| true, &|_| true);
            render(&problems, "directive.yaml", text, true);
        }
    }
});
