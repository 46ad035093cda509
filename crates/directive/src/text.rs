//! Positions in the text: characters, bytes, lines and columns.

use std::ops::Range;

use crate::diagnostic::Span;

/// Most characters that a message points at.
const MAX_POINTED: usize = 120;

/// A text with what is needed to turn positions into each other.
pub(crate) struct Text<'t> {
    text: &'t str,
    /// Byte offset of each character, and the length at the end: the YAML parser counts
    /// characters, everything else counts bytes.
    chars: Vec<usize>,
    /// Byte offset of each line's first byte.
    lines: Vec<usize>,
}

/// Whether a line ends with the byte there. As YAML has it, a line ends with a line feed, a
/// carriage return, or both.
pub(crate) fn ends_line(text: &str, at: usize) -> bool {
    let byte = |at: usize| text.as_bytes().get(at);
    match byte(at) {
        Some(b'\n') => true,
        Some(b'\r') => byte(at + 1) != Some(&b'\n'),
        _ => false,
    }
}

impl<'t> Text<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let chars = text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .collect();
        let lines = [0]
            .into_iter()
            .chain(
                (0..text.len())
                    .filter(|&at| ends_line(text, at))
                    .map(|at| at + 1),
            )
            .collect();
        Self { text, chars, lines }
    }

    /// The byte at which the character of that index starts; the end for an index beyond it.
    pub(crate) fn byte(&self, char_index: usize) -> usize {
        self.chars
            .get(char_index)
            .copied()
            .unwrap_or(self.text.len())
    }

    /// Whether the value at a byte begins with that character; an anchor before it is no part of it.
    pub(crate) fn value_starts_with(&self, byte: usize, character: char) -> bool {
        let value = self.text.get(byte..).unwrap_or_default();
        let value = match value.strip_prefix('&') {
            Some(anchor) => anchor.trim_start_matches(|c: char| !c.is_whitespace()),
            None => value,
        };
        value.trim_start().starts_with(character)
    }

    /// The part of a range that is worth pointing at: of its first line the first characters,
    /// without white space at the end.
    pub(crate) fn first_line(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let line = text.split(['\n', '\r']).next().unwrap_or_default();
        let end = line
            .char_indices()
            .nth(MAX_POINTED)
            .map_or(line.len(), |(at, _)| at);
        range.start..range.start + line[..end].trim_end().len()
    }

    /// Takes no time in proportion to the text: a file may have thousands of problems on a line.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let line = self.lines.partition_point(|&start| start <= range.start);
        // Line 1 starts at 0, so at least one line starts at or before any byte.
        let line_start = self.lines[line - 1];
        let chars_before = |byte: usize| self.chars.binary_search(&byte).unwrap_or_else(|at| at);
        Span {
            line,
            column: chars_before(range.start) - chars_before(line_start) + 1,
            start: range.start,
            end: range.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_and_bytes_stay_bytes() {
        let text = Text::new("é: a\r\nb: ü\n");
        assert_eq!([text.byte(0), text.byte(1), text.byte(2)], [0, 2, 3]);
        assert_eq!(text.byte(99), 13);
        let span = |range: Range<usize>| {
            let span = text.span(range);
            (span.line, span.column, span.range())
        };
        assert_eq!(span(0..2), (1, 1, 0..2));
        assert_eq!(span(4..5), (1, 4, 4..5));
        assert_eq!(span(7..8), (2, 1, 7..8));
        assert_eq!(span(10..12), (2, 4, 10..12));
        assert_eq!(span(13..13), (3, 1, 13..13));
        assert_eq!(Text::new("").span(0..0).column, 1);
    }

    #[test]
    fn lines_end_as_in_yaml() {
        let line = |text: &str, at: usize| Text::new(text).span(at..at).line;
        for text in ["a\nb\nc", "a\rb\rc"] {
            let lines: Vec<usize> = (0..text.len()).map(|at| line(text, at)).collect();
            assert_eq!(lines, [1, 1, 2, 2, 3], "{text:?}");
            assert_eq!(Text::new(text).first_line(2..5), 2..3, "{text:?}");
        }
        assert_eq!(line("a\r\nb", 3), 2);
        assert_eq!(line("a\n\rb", 3), 3);
        assert_eq!(line("a\r\r\nb", 4), 3);
        assert_eq!(line("a\r", 2), 2);
    }

    #[test]
    fn anchors_are_no_part_of_values() {
        let text = Text::new("a: &é-1\n  {}");
        assert!(text.value_starts_with(3, '{'));
        assert!(!text.value_starts_with(3, '&'));
        assert!(text.value_starts_with(0, 'a'));
        assert!(!text.value_starts_with(0, '{'));
        assert!(!text.value_starts_with(5, '{'), "inside a character");
        assert!(!text.value_starts_with(99, '{'));
    }

    #[test]
    fn first_line_ends_where_it_can_be_seen_to_end() {
        let text = Text::new("a: b  \r\nc: d\n");
        assert_eq!(text.first_line(0..13), 0..4);
        assert_eq!(text.first_line(8..12), 8..12);
        assert_eq!(text.first_line(3..3), 3..3);
        let long = "ä".repeat(MAX_POINTED + 1);
        assert_eq!(
            Text::new(&long).first_line(0..long.len()),
            0..2 * MAX_POINTED
        );
    }
}
