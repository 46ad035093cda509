//! Names of cases as the interfaces write them.

/// The name of a generated variant's case, from its `Debug`: `ErrorCode::HttpRequestDenied` is
/// `http-request-denied`, with a payload or without.
pub fn case_name(debug: &str) -> String {
    let case = debug.split(['(', ' ', '{']).next().unwrap_or_default();
    let case = case.rsplit("::").next().unwrap_or_default();
    let mut name = String::new();
    for letter in case.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_left_out() {
        assert_eq!(case_name("ErrorCode::LoopDetected"), "loop-detected");
        assert_eq!(
            case_name("ErrorCode::InternalError(Some(\"A::B (c)\"))"),
            "internal-error"
        );
        assert_eq!(
            case_name("ErrorCode::DnsError(DnsErrorPayload { rcode: None })"),
            "dns-error"
        );
        assert_eq!(case_name("Get"), "get");
    }
}
