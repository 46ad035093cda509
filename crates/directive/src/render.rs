//! Diagnostics as people read them in a terminal.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::text::ends_line;

/// Diagnostics in cargo's look, each with its file, line, column and source line.
///
/// `text` is the file's content, `color` asks for ANSI colours. A diagnostic whose span does not
/// fit the text is shown without a source line.
pub fn render(diagnostics: &[Diagnostic], file_name: &str, text: &str, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let file_name = harmless(file_name);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(harmless(&diagnostic.message)));
        match diagnostic.span.and_then(|span| window(text, span)) {
            Some(window) => {
                let annotation = AnnotationKind::Primary.span(window.start..window.end);
                group = group.element(
                    Snippet::source(without_c1(window.source))
                        .line_start(window.line)
                        .path(file_name.as_str())
                        .annotation(annotation),
                );
            }
            None => group = group.element(Origin::path(file_name.as_str())),
        }
        // Line by line, because a line's end is a control character as well.
        let mut help = diagnostic.help.iter().flat_map(|help| help.lines());
        if let Some(first) = help.next() {
            group = group.element(Level::HELP.message(harmless(first)));
        }
        out.push_str(&renderer.render(&[group]));
        // What follows are lines for the file: they stand here as they are to stand there.
        for line in help {
            out.push('\n');
            out.push_str(&harmless(line));
        }
        out.push_str("\n\n");
    }
    out
}

/// Text that a terminal does not obey.
fn harmless(text: &str) -> String {
    without_c1(&normalize_untrusted_str(text))
}

/// The renderer shows control characters as signs, but not those of the C1 set, one of which
/// (U+009B) starts escape sequences. The sign for them has as many bytes, so that spans hold.
fn without_c1(text: &str) -> String {
    text.replace(|c| matches!(c, '\u{80}'..='\u{9f}'), "¤")
}

/// The lines of a span, and the span within them.
struct Window<'t> {
    source: &'t str,
    line: usize,
    start: usize,
    end: usize,
}

/// Only the span's own lines are handed on: the renderer reads all that it is given, for each
/// diagnostic anew.
fn window(text: &str, span: Span) -> Option<Window<'_>> {
    let inside = text.get(span.range())?;
    let ends = |at: &usize| ends_line(text, *at);
    let first = (0..span.start).rev().find(ends).map_or(0, |at| at + 1);
    let last = span.start + inside.trim_end_matches(['\r', '\n']).len();
    let end = (last..text.len()).find(ends).unwrap_or(text.len());
    let source = &text[first..end];
    Some(Window {
        source: source.strip_suffix('\r').unwrap_or(source),
        line: span.line,
        start: span.start - first,
        end: last - first,
    })
}
