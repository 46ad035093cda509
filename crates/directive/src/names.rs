//! Names, and which known name was probably meant.

use crate::diagnostic::Invalid;
use crate::diagnostic::quote;

/// Longest name of an app, a function or a resource: that of a DNS label, because functions call
/// each other by host name.
pub const MAX_NAME: usize = 63;

/// Whether this is a DNS label (RFC 1123): letters, digits and inner hyphens, at most 63.
pub(crate) fn is_label(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Checks the name of an app, a function or a resource.
pub(crate) fn check_name(name: &str) -> Result<(), Invalid> {
    let good = is_label(name)
        && !name.bytes().any(|byte| byte.is_ascii_uppercase())
        && name.starts_with(|c: char| c.is_ascii_lowercase());
    if good {
        return Ok(());
    }
    let invalid = Invalid::new(format!("{} is not a name", quote(name)));
    let help = format!(
        "a name has lower-case letters, digits and inner hyphens, starts with a letter, and has at most {MAX_NAME} characters"
    );
    Err(match meant_name(name) {
        Some(meant) => invalid.help(format!("did you mean `{meant}`? {help}")),
        None => invalid.help(help),
    })
}

/// Longest host name (RFC 1035, section 2.3.4, without the dots around it).
const MAX_HOST: usize = 253;

/// A host that an app serves, in lower case: a name, or `*.` and a name.
pub(crate) fn host(text: &str) -> Result<String, Invalid> {
    let host = text.to_ascii_lowercase();
    let name = host.strip_prefix("*.").unwrap_or(&host);
    if name.len() <= MAX_HOST && name.split('.').all(is_label) {
        return Ok(host);
    }
    let invalid = Invalid::new(format!("{} is not a host", quote(text)));
    Err(invalid.help(if host == "*" {
        "leave `hosts` out to serve all hosts".to_owned()
    } else if host.contains("//") {
        "a host is a name alone, without `https://` and without a path".to_owned()
    } else if host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        "leave the port away: an app serves its hosts on whatever port they come".to_owned()
    } else {
        "a host is a name such as `api.example.org`, or `*.example.org` for all names below it"
            .to_owned()
    }))
}

/// The name with the usual slips mended.
fn meant_name(name: &str) -> Option<String> {
    let meant = name
        .trim()
        .to_ascii_lowercase()
        .replace(['_', ' ', '.'], "-");
    (meant != name && check_name(&meant).is_ok()).then_some(meant)
}

/// Checks the name of an environment variable: as shells take it.
pub(crate) fn check_env_name(name: &str) -> Result<(), Invalid> {
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good {
        Ok(())
    } else {
        Err(Invalid::new(format!(
            "{} is not the name of an environment variable",
            quote(name)
        ))
        .help("a name has letters, digits and `_`, and does not start with a digit"))
    }
}

/// Most candidates that are compared with a name, so that a large file is checked quickly.
const MAX_CANDIDATES: usize = 1000;

/// The candidate that was probably meant.
pub fn near<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // The distance takes time by the product of the lengths.
    if name.len() > MAX_NAME {
        return None;
    }
    let name = name.to_lowercase();
    // A third of the letters may be wrong: `cp` is near `cpu`, `wall` is not near `queue`. A
    // single letter that is another one is nothing like it.
    let length = name.chars().count();
    let allowed = (length / 3).max(1);
    let worth = |candidate: &str| {
        candidate.len() <= MAX_NAME
            && (length > 1
                || candidate.chars().count() > 1
                || candidate.eq_ignore_ascii_case(&name))
    };
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|candidate| worth(candidate))
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&name, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "a".repeat(63);
        for good in ["a", "reads", "my-app-2", longest.as_str()] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let too_long = "a".repeat(64);
        for bad in [
            "",
            "-a",
            "a-",
            "2a",
            "A",
            "a_b",
            "a.b",
            "ä",
            "a b",
            too_long.as_str(),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mended_names_are_suggested() {
        let help = |name| check_name(name).unwrap_err().help.unwrap_or_default();
        assert!(help("My_App").starts_with("did you mean `my-app`? a name has"));
        assert!(help(" my.app ").starts_with("did you mean `my-app`? a name has"));
        assert!(help("2a").starts_with("a name has"));
    }

    #[test]
    fn environment_names() {
        for good in ["A", "_", "RUST_LOG", "a1"] {
            assert_eq!(check_env_name(good), Ok(()), "{good}");
        }
        for bad in ["", "1A", "A-B", "A B", "A=B", "Ä", "A\0"] {
            assert!(check_env_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn near_names() {
        let fields = ["memory", "cpu", "wall", "concurrency"];
        for (name, expected) in [
            ("memry", Some("memory")),
            ("cp", Some("cpu")),
            ("cup", Some("cpu")),
            ("CPU", Some("cpu")),
            ("walls", Some("wall")),
            ("concurency", Some("concurrency")),
            ("concern", None),
            ("concurncy", Some("concurrency")),
            ("walxy", None),
            ("disk", None),
            ("", None),
            ("c", None),
        ] {
            assert_eq!(near(name, fields), expected, "{name}");
        }
        assert_eq!(near("h", ["f"]), None);
        assert_eq!(near("F", ["f"]), Some("f"));
        assert_eq!(near("ff", ["f"]), Some("f"));
        assert_eq!(near("f", ["ff"]), Some("ff"));
        let many: Vec<String> = (0..MAX_CANDIDATES).map(|i| format!("x{i}")).collect();
        let many = || many.iter().map(String::as_str);
        assert_eq!(
            near("memry", many().take(MAX_CANDIDATES - 1).chain(["memory"])),
            Some("memory")
        );
        assert_eq!(near("memry", many().chain(["memory"])), None);
        let longest = "a".repeat(63);
        assert_eq!(near(&longest, [longest.as_str()]), Some(longest.as_str()));
        let long = "a".repeat(64);
        assert_eq!(near(&long, [longest.as_str()]), None);
        assert_eq!(near(&longest, [long.as_str()]), None);
    }

    #[test]
    fn the_nearest_is_taken() {
        assert_eq!(
            near("simulate1", ["simulate22", "simulate2"]),
            Some("simulate2")
        );
    }
}
