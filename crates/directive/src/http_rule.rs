//! Where a function may send HTTP requests.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::diagnostic::{Invalid, quote};
use crate::names::is_label;

/// The scheme of an [`HttpRule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Cleartext; port 80 unless the rule names another.
    Http,
    /// TLS; port 443 unless the rule names another.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL of this scheme that names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The hosts of an [`HttpRule`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This name, in lower case.
    Name(String),
    /// Every name that ends in this one and has at least one label before it: `*.example.org`
    /// holds `example.org`. The name itself is not covered.
    Below(String),
    /// This address.
    Address(IpAddr),
}

/// One entry of `grants.http`: `SCHEME://HOST` or `SCHEME://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpRule {
    /// The scheme.
    pub scheme: Scheme,
    /// The hosts.
    pub host: HostPattern,
    /// The port, the scheme's own unless another one is named.
    pub port: u16,
}

const HELP: &str = "write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`";

impl HttpRule {
    /// Reads a rule.
    ///
    /// # Errors
    /// [`Invalid`] says which part is wrong. Refused are paths, user names, other schemes, names
    /// that are no host names, and numbers that some clients read as addresses (`127.1`).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |why: &str| Invalid::new(format!("{} {why}", quote(text))).help(HELP);
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| invalid("is not a rule for HTTP: it has no scheme"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(invalid("has a scheme other than `http` and `https`")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(invalid("names a path: a rule covers a whole host"));
        }
        if authority.contains('@') {
            return Err(invalid("names a user: a rule has no credentials"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| invalid("has no valid port"))?;
        let host = host_pattern(host).map_err(|why| invalid(&why))?;
        if let HostPattern::Name(name) | HostPattern::Below(name) = &host
            && (name == "strand.internal" || name.ends_with(".strand.internal"))
        {
            return Err(Invalid::new(format!("{} is another function", quote(text)))
                .help("grant calls to a function by its name: `functions: [NAME]`"));
        }
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
        })
    }

    /// Whether a request to this scheme, host and port is allowed. Letter case does not matter;
    /// an IPv6 address may stand in brackets. A name with a dot at its end matches nothing.
    pub fn matches(&self, scheme: &str, host: &str, port: u16) -> bool {
        if !scheme.eq_ignore_ascii_case(self.scheme.as_str()) || port != self.port {
            return false;
        }
        match &self.host {
            HostPattern::Address(address) => literal(host) == Some(*address),
            HostPattern::Name(name) => host.eq_ignore_ascii_case(name),
            HostPattern::Below(domain) => {
                let host = host.to_ascii_lowercase();
                host.strip_suffix(domain.as_str())
                    .and_then(|labels| labels.strip_suffix('.'))
                    .is_some_and(|labels| labels.split('.').all(is_host_label))
            }
        }
    }

    /// Whether the rule names this very address, so that it is meant even if it is a private one.
    pub fn names_address(&self, address: IpAddr) -> bool {
        self.host == HostPattern::Address(address)
    }
}

impl fmt::Display for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.as_str())?;
        match &self.host {
            HostPattern::Name(name) => write!(f, "{name}")?,
            HostPattern::Below(domain) => write!(f, "*.{domain}")?,
            HostPattern::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            HostPattern::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        if self.port == self.scheme.default_port() {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

/// Whether it is one host, a name or an address, with a port of its own or without.
pub(crate) fn is_host_and_port(authority: &str) -> bool {
    split_port(authority).is_some_and(|(host, _)| {
        matches!(
            host_pattern(host),
            Ok(HostPattern::Name(_) | HostPattern::Address(_))
        )
    })
}

/// The host and the port; `None` if there is a port that is none.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are inside its brackets.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => return Some((authority, None)),
    };
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port: u16 = port.parse().ok()?;
    (port > 0).then_some((host, Some(port)))
}

fn host_pattern(host: &str) -> Result<HostPattern, String> {
    if host.is_empty() {
        return Err("names no host".to_owned());
    }
    if host == "*" {
        return Err("covers every host: name the hosts".to_owned());
    }
    if !host.is_ascii() {
        return Err(
            "has a host with characters beyond ASCII: write it as punycode (`xn--…`)".to_owned(),
        );
    }
    if let Some(address) = literal(host) {
        // Without brackets the last group of an address would read as a port.
        if address.is_ipv6() && !host.starts_with('[') {
            return Err("has an IPv6 address without brackets".to_owned());
        }
        return Ok(HostPattern::Address(address));
    }
    let lower = host.to_ascii_lowercase();
    let (name, below) = match lower.strip_prefix("*.") {
        Some(domain) => (domain, true),
        None => (lower.as_str(), false),
    };
    if name.contains('*') {
        return Err("has a `*` elsewhere than alone at the start of the host".to_owned());
    }
    if name.len() > 253 || !name.split('.').all(is_host_label) {
        return Err("has no valid host".to_owned());
    }
    // `127.1` and `0x7f.1` are addresses to some clients: what a rule covers must be plain.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("has a host that is neither a name nor an address".to_owned());
    }
    Ok(if below {
        HostPattern::Below(name.to_owned())
    } else {
        HostPattern::Name(name.to_owned())
    })
}

/// A label of a host name; underscores are in use, though not in the standard.
fn is_host_label(label: &str) -> bool {
    is_label(&label.replace('_', "x"))
}

fn literal(host: &str) -> Option<IpAddr> {
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(inside) => inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host
            .parse::<Ipv4Addr>()
            .map(IpAddr::V4)
            .or_else(|_| host.parse::<Ipv6Addr>().map(IpAddr::V6))
            .ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_what_they_say_and_nothing_else() {
        /// Scheme, host, port, and whether the rule covers them.
        type Request = (&'static str, &'static str, u16, bool);
        let cases: [(&str, &[Request]); 7] = [
            (
                "https://api.example.org",
                &[
                    ("https", "api.example.org", 443, true),
                    ("HTTPS", "API.example.ORG", 443, true),
                    ("http", "api.example.org", 443, false),
                    ("https", "api.example.org", 8443, false),
                    ("https", "api.example.org.", 443, false),
                    ("https", "x.api.example.org", 443, false),
                    ("https", "example.org", 443, false),
                ],
            ),
            (
                "https://*.example.org",
                &[
                    ("https", "a.example.org", 443, true),
                    ("https", "A.B.example.org", 443, true),
                    ("https", "a_b.example.org", 443, true),
                    ("https", "example.org", 443, false),
                    ("https", ".example.org", 443, false),
                    ("https", "a..example.org", 443, false),
                    ("https", "badexample.org", 443, false),
                    ("https", "evil.org/a.example.org", 443, false),
                ],
            ),
            (
                "http://localhost:8080/",
                &[
                    ("http", "localhost", 8080, true),
                    ("http", "localhost", 80, false),
                ],
            ),
            (
                "http://10.0.0.5",
                &[
                    ("http", "10.0.0.5", 80, true),
                    ("http", "10.0.0.50", 80, false),
                ],
            ),
            (
                "http://[::1]:3000",
                &[
                    ("http", "[::1]", 3000, true),
                    ("http", "::1", 3000, true),
                    ("http", "[0:0:0:0:0:0:0:1]", 3000, true),
                    ("http", "::2", 3000, false),
                    ("http", "localhost", 3000, false),
                ],
            ),
            (
                "HTTPS://Api.Example.org:443",
                &[("https", "api.example.org", 443, true)],
            ),
            (
                "https://a_b.example.org",
                &[("https", "a_b.example.org", 443, true)],
            ),
        ];
        for (rule, requests) in cases {
            let rule = HttpRule::parse(rule).unwrap();
            for (scheme, host, port, expected) in requests {
                assert_eq!(
                    rule.matches(scheme, host, *port),
                    *expected,
                    "{rule} {scheme} {host} {port}"
                );
            }
        }
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        for text in [
            "https://api.example.org",
            "https://*.example.org:8443",
            "http://10.0.0.5",
            "http://[2001:db8::1]:8080",
            "http://[::1]",
        ] {
            assert_eq!(HttpRule::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            HttpRule::parse("http://a.b:80/").unwrap().to_string(),
            "http://a.b"
        );
    }

    #[test]
    fn addresses_are_named_only_as_addresses() {
        let address: IpAddr = "10.0.0.5".parse().unwrap();
        assert!(
            HttpRule::parse("http://10.0.0.5")
                .unwrap()
                .names_address(address)
        );
        assert!(
            !HttpRule::parse("http://10.0.0.6")
                .unwrap()
                .names_address(address)
        );
        assert!(
            !HttpRule::parse("http://localhost")
                .unwrap()
                .names_address(address)
        );
    }

    #[test]
    fn malformed_rules_are_refused() {
        let long = format!("http://{}.org", "a.".repeat(125));
        for (text, why) in [
            (
                "api.example.org",
                "is not a rule for HTTP: it has no scheme",
            ),
            (
                "ftp://example.org",
                "has a scheme other than `http` and `https`",
            ),
            (
                "https://example.org/v1",
                "names a path: a rule covers a whole host",
            ),
            (
                "https://example.org?a",
                "names a path: a rule covers a whole host",
            ),
            (
                "https://example.org#a",
                "names a path: a rule covers a whole host",
            ),
            (
                "https://me@example.org",
                "names a user: a rule has no credentials",
            ),
            ("https://example.org:", "has no valid port"),
            ("https://example.org:0", "has no valid port"),
            ("https://example.org:+80", "has no valid port"),
            ("https://example.org:65536", "has no valid port"),
            ("https://", "names no host"),
            ("https://:443", "names no host"),
            ("https://*", "covers every host: name the hosts"),
            ("https://*.", "has no valid host"),
            (
                "https://a.*.org",
                "has a `*` elsewhere than alone at the start of the host",
            ),
            (
                "https://*a.org",
                "has a `*` elsewhere than alone at the start of the host",
            ),
            ("https://a..org", "has no valid host"),
            ("https://-a.org", "has no valid host"),
            ("https://a b.org", "has no valid host"),
            ("https://example.org.", "has no valid host"),
            (
                "https://bücher.example",
                "has a host with characters beyond ASCII: write it as punycode (`xn--…`)",
            ),
            (
                "http://127.1",
                "has a host that is neither a name nor an address",
            ),
            (
                "http://0x7f.0x1",
                "has a host that is neither a name nor an address",
            ),
            (
                "http://*.1.2",
                "has a host that is neither a name nor an address",
            ),
            ("http://[::1", "has no valid host"),
            ("http://[zz]", "has no valid host"),
            ("http://[127.0.0.1]", "has no valid host"),
            ("http://1::2:80", "has an IPv6 address without brackets"),
            (long.as_str(), "has no valid host"),
        ] {
            let error = HttpRule::parse(text).unwrap_err();
            assert_eq!(error.message, format!("{} {why}", quote(text)), "{text}");
            assert_eq!(error.help.as_deref(), Some(HELP));
        }
        for text in [
            "http://index.strand.internal",
            "http://*.strand.internal",
            "http://strand.internal",
        ] {
            let error = HttpRule::parse(text).unwrap_err();
            assert_eq!(error.message, format!("`{text}` is another function"));
        }
        assert!(HttpRule::parse("http://notstrand.internal").is_ok());
    }

    #[test]
    fn the_longest_host_is_allowed() {
        let host = format!("{}aaa", "a.".repeat(125));
        assert_eq!(host.len(), 253);
        assert!(HttpRule::parse(&format!("http://{host}")).is_ok());
        assert!(HttpRule::parse(&format!("http://{host}a")).is_err());
    }
}
