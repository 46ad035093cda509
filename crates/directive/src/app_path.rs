//! Paths of files in an app's folder.

use crate::diagnostic::{Invalid, quote};

/// Longest path, in bytes.
pub(crate) const MAX_PATH: usize = 1024;

/// A path in the app's folder, without `./` and doubled slashes; `.` is the folder itself.
///
/// Nothing here sees the disk: whoever opens the path must not follow links out of the folder.
pub(crate) fn parse(text: &str) -> Result<String, Invalid> {
    let invalid = |why: &str| {
        Err(Invalid::new(format!("{} {why}", quote(text)))
            .help("a path is relative to the app's folder and stays in it, for example `./public`"))
    };
    if text.is_empty() {
        return invalid("is not a path");
    }
    if text.len() > MAX_PATH {
        return invalid(&format!("is longer than {MAX_PATH} bytes"));
    }
    if text.contains(char::is_control) {
        return invalid("has a control character");
    }
    let drive = text.as_bytes().get(1) == Some(&b':');
    if text.starts_with(['/', '\\']) || drive {
        return invalid("is an absolute path");
    }
    if text.contains('\\') {
        return invalid("has a backslash: the separator is `/`");
    }
    if text.starts_with('~') {
        return invalid("starts with `~`, which is not expanded here");
    }
    let parts: Vec<&str> = text
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.contains(&"..") {
        return invalid("leaves the app's folder");
    }
    Ok(if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normal() {
        for (text, path) in [
            ("public", "public"),
            ("./public/", "public"),
            ("a//b/./c", "a/b/c"),
            (".", "."),
            ("./", "."),
            ("..a/b..", "..a/b.."),
            ("ä/ö", "ä/ö"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(path), "{text}");
        }
        let longest = "a".repeat(MAX_PATH);
        assert_eq!(parse(&longest).as_deref(), Ok(longest.as_str()));
    }

    #[test]
    fn paths_stay_in_the_folder() {
        let long = "a".repeat(MAX_PATH + 1);
        for (text, why) in [
            ("", "is not a path"),
            ("/etc", "is an absolute path"),
            ("\\\\server", "is an absolute path"),
            ("C:/x", "is an absolute path"),
            ("a\\b", "has a backslash: the separator is `/`"),
            ("~/x", "starts with `~`, which is not expanded here"),
            ("..", "leaves the app's folder"),
            ("a/../b", "leaves the app's folder"),
            ("a/..", "leaves the app's folder"),
            ("a\0b", "has a control character"),
            (long.as_str(), "is longer than 1024 bytes"),
        ] {
            assert_eq!(
                parse(text).unwrap_err().message,
                format!("{} {why}", quote(text))
            );
        }
    }
}
