//! Texts of others in our own.

/// So much of a text that somebody sent as an error repeats: one line of it, where what is not seen
/// is escaped.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    let mut short = String::new();
    for (index, c) in text.chars().enumerate() {
        match c {
            _ if index == MOST => {
                short.push('…');
                break;
            }
            // Quotes are seen, and stand in other errors.
            '"' | '\'' => short.push(c),
            c => short.extend(c.escape_debug()),
        }
    }
    short
}

/// Texts with commas between them, or `none`.
pub(crate) fn listed<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts
        .into_iter()
        .map(|text| shortened(text.as_ref()))
        .collect();
    match texts.is_empty() {
        true => "none".to_owned(),
        false => texts.join(", "),
    }
}

/// What a media type says without its parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim_end().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_repeats_no_more_than_a_line() {
        let long = shortened(&"x\n".repeat(10_000));
        assert!(long.len() < 500 && !long.contains('\n'), "{long}");
        assert_eq!(listed([""; 0]), "none");
        assert_eq!(listed(["a", "b\n"]), "a, b\\n");
    }
}
