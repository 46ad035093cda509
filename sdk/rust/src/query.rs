//! Parameters of a query.

/// The first value of a parameter, decoded as forms encode: `+` is a space, `%2B` a plus.
pub(crate) fn value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(key) == name).then(|| decoded(value))
    })
}

/// What is no escape stays as it is, and what is no UTF-8 becomes U+FFFD.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, left) = match (first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, left @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, left),
                _ => (b'%', tail),
            },
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = left;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn the_first_value_is_decoded() {
        let query = "a=1&name=Ada+L.&a=2&b%20c=%C3%A9%2b&empty=&bare&odd=%4&odder=%zz%&x=%ff";
        for (name, expected) in [
            ("a", Some("1")),
            ("name", Some("Ada L.")),
            ("b c", Some("é+")),
            ("empty", Some("")),
            ("bare", Some("")),
            ("odd", Some("%4")),
            ("odder", Some("%zz%")),
            ("x", Some("\u{fffd}")),
            ("A", None),
        ] {
            assert_eq!(value(query, name).as_deref(), expected, "{name}");
        }
        assert_eq!(value("", "a"), None);
    }
}
