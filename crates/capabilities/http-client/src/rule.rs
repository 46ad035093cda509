//! Where a function may send requests.

use std::fmt;
use std::net::IpAddr;

use crate::address::is_public;

/// The scheme of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Cleartext.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// The port of a URL that names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// The hosts of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// This name, in lower case.
    Name(String),
    /// Every name that ends in this one with at least one label before it, in
    /// lower case: `*.example.org` is `Below("example.org")`, and does not cover
    /// `example.org`.
    Below(String),
    /// This address, even if it is a private one.
    Address(IpAddr),
}

/// One place to which requests may go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The scheme.
    pub scheme: Scheme,
    /// The hosts.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// Where a request goes, as it will be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    pub(crate) scheme: Scheme,
    /// A name in lower case, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Destination {
    /// The address, if the host is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Which addresses a host may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those of the public internet.
    Public,
    /// Also this machine: the rule says `localhost`.
    Loopback,
    /// This one, which the rule names.
    Exactly(IpAddr),
}

impl Reach {
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Loopback => address.is_loopback() || is_public(address),
            Self::Exactly(named) => address == named,
        }
    }
}

/// What the first rule that covers a destination allows; `None` when none does.
pub(crate) fn reach(rules: &[Rule], to: &Destination) -> Option<Reach> {
    let address = to.address();
    rules.iter().find_map(|rule| {
        if rule.scheme != to.scheme || rule.port != to.port {
            return None;
        }
        match &rule.host {
            Host::Address(named) => (address == Some(*named)).then_some(Reach::Exactly(*named)),
            Host::Name(name) if *name != to.host => None,
            Host::Name(name) if name == "localhost" => Some(Reach::Loopback),
            Host::Name(_) => Some(Reach::Public),
            Host::Below(domain) => to
                .host
                .strip_suffix(domain.as_str())
                .and_then(|labels| labels.strip_suffix('.'))
                .filter(|labels| labels.split('.').all(|label| !label.is_empty()))
                .map(|_| Reach::Public),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(scheme: Scheme, host: Host, port: u16) -> Rule {
        Rule { scheme, host, port }
    }

    fn to(scheme: Scheme, host: &str, port: u16) -> Destination {
        let host = host.to_owned();
        Destination { scheme, host, port }
    }

    #[test]
    fn a_rule_covers_its_scheme_host_and_port() {
        let ten = IpAddr::from([10, 0, 0, 5]);
        let rules = [
            rule(Scheme::Https, Host::Name("api.example.org".into()), 443),
            rule(Scheme::Https, Host::Below("example.net".into()), 8443),
            rule(Scheme::Http, Host::Address(ten), 80),
            rule(Scheme::Http, Host::Name("localhost".into()), 8080),
        ];
        for (destination, expected) in [
            (
                to(Scheme::Https, "api.example.org", 443),
                Some(Reach::Public),
            ),
            (to(Scheme::Http, "api.example.org", 443), None),
            (to(Scheme::Https, "api.example.org", 444), None),
            (to(Scheme::Https, "api.example.org.", 443), None),
            (to(Scheme::Https, "x.api.example.org", 443), None),
            (
                to(Scheme::Https, "a.b.example.net", 8443),
                Some(Reach::Public),
            ),
            (to(Scheme::Https, "example.net", 8443), None),
            (to(Scheme::Https, ".example.net", 8443), None),
            (to(Scheme::Https, "a..example.net", 8443), None),
            (to(Scheme::Https, "badexample.net", 8443), None),
            (to(Scheme::Http, "10.0.0.5", 80), Some(Reach::Exactly(ten))),
            (to(Scheme::Http, "10.0.0.6", 80), None),
            (to(Scheme::Http, "localhost", 8080), Some(Reach::Loopback)),
            (to(Scheme::Http, "127.0.0.1", 8080), None),
        ] {
            assert_eq!(reach(&rules, &destination), expected, "{destination:?}");
        }
    }

    #[test]
    fn only_a_rule_that_says_so_reaches_a_private_address() {
        let [loopback, private, public] =
            ["127.0.0.1", "10.0.0.5", "1.1.1.1"].map(|a| a.parse().expect("an address"));
        for (reach, expected) in [
            (Reach::Public, [false, false, true]),
            (Reach::Loopback, [true, false, true]),
            (Reach::Exactly(private), [false, true, false]),
        ] {
            let allowed = [loopback, private, public].map(|a| reach.allows(a));
            assert_eq!(allowed, expected, "{reach:?}");
        }
    }
}
