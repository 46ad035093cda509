//! Makes a guest's text safe to stand in one line of a log.

use std::borrow::Cow;

/// What a line that was cut ends with.
const CUT: &str = " …[cut]";

/// Whether a character may move a cursor, end a line or turn the direction of
/// what follows, so that a line would look like another.
fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(
            c,
            '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// The first `limit` bytes of a text, escaped, with a mark if there were more.
pub(crate) fn escape(text: &str, limit: usize) -> Cow<'_, str> {
    let kept = &text[..text.floor_char_boundary(limit)];
    let cut = kept.len() < text.len();
    if !cut && !kept.contains(is_unsafe) {
        return Cow::Borrowed(kept);
    }
    let mut safe = String::with_capacity(kept.len() + CUT.len());
    for c in kept.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    if cut {
        safe.push_str(CUT);
    }
    Cow::Owned(safe)
}

/// The same for bytes that need not be text.
pub(crate) fn escape_bytes(bytes: &[u8], limit: usize, cut: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut safe = escape(&text, limit).into_owned();
    if cut && !safe.ends_with(CUT) {
        safe.push_str(CUT);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        for (text, safe) in [
            ("plain, ünïcode\tand tabs", "plain, ünïcode\tand tabs"),
            ("a\nb\r\0", "a\\nb\\r\\u{0}"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("\u{85}\u{9b}31m", "\\u{85}\\u{9b}31m"),
            (
                "a\u{2028}b\u{202e}c\u{2066}",
                "a\\u{2028}b\\u{202e}c\\u{2066}",
            ),
        ] {
            assert_eq!(escape(text, 100), safe);
        }
    }

    #[test]
    fn a_cut_is_marked_and_splits_no_character() {
        assert_eq!(escape("12345", 5), "12345");
        assert_eq!(escape("123456", 5), "12345 …[cut]");
        assert_eq!(escape("1234ü", 5), "1234 …[cut]");
        assert_eq!(escape_bytes(b"12\xff", 5, false), "12\u{fffd}");
        assert_eq!(escape_bytes(b"12345", 5, true), "12345 …[cut]");
    }
}
