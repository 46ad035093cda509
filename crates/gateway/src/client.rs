//! Who a request comes from, also behind proxies, and how functions are told.
//!
//! Functions are told by `x-forwarded-for` and `x-forwarded-proto`. Any client can send these
//! fields, so that they count only if a proxy sends them that the operator trusts. Of the
//! addresses that such a proxy tells, the client's is the last one that is not itself that of a
//! trusted proxy: what stands before it the client may have made up. Its scheme is what the proxy
//! said that told the address.

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderName};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Addresses of one request that are looked at. Who is behind more proxies than these is taken
/// for the last of them.
const HOPS: usize = 32;

/// Where a connection comes from.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whether what it says of its own clients is believed.
    trusted: bool,
    secure: bool,
    /// The address as a field's value.
    text: HeaderValue,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// Whether it came over TLS, to us or to the proxy.
    secure: bool,
}

impl Client {
    pub(crate) fn scheme(self) -> Scheme {
        if self.secure {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        }
    }
}

impl Peer {
    /// `secure` says whether the connection is one of TLS.
    pub(crate) fn new(address: IpAddr, secure: bool, trusted: &[IpNet]) -> Self {
        // Clients of IPv4 reach a listener of IPv6 under an address of that.
        let address = address.to_canonical();
        let text = HeaderValue::try_from(address.to_string());
        Self {
            address,
            trusted: is_in(address, trusted),
            secure,
            // An address is ASCII.
            text: text.unwrap_or(HeaderValue::from_static("unknown")),
        }
    }

    /// Whether it may ask for something of `https`: over TLS, or as who took that off
    /// (RFC 9110, section 7.4).
    pub(crate) fn may_ask_for_https(&self) -> bool {
        self.secure || self.trusted
    }

    /// Who sent a request with these fields, and with this scheme in its target.
    pub(crate) fn client(
        &self,
        headers: &HeaderMap,
        scheme: Option<&Scheme>,
        trusted: &[IpNet],
    ) -> Client {
        if !self.trusted {
            return Client {
                address: self.address,
                secure: self.secure,
            };
        }
        let (address, hops) = self.address_told(headers, trusted);
        let of_target = scheme.map(|scheme| *scheme == Scheme::HTTPS);
        Client {
            address,
            secure: is_told_secure(headers, hops)
                .or(of_target)
                .unwrap_or(self.secure),
        }
    }

    /// The client's address, and how many have told addresses after it.
    fn address_told(&self, headers: &HeaderMap, trusted: &[IpNet]) -> (IpAddr, usize) {
        let mut client = (self.address, 0);
        for (hops, text) in told(headers, &FOR).take(HOPS).enumerate() {
            let Ok(address) = text.parse::<IpAddr>() else {
                break;
            };
            client = (address.to_canonical(), hops);
            if !is_in(client.0, trusted) {
                break;
            }
        }
        client
    }

    /// Makes of the fields what a function may believe.
    pub(crate) fn rewrite(&self, client: Client, headers: &mut HeaderMap) {
        let proto = HeaderValue::from_static(if client.secure { "https" } else { "http" });
        if self.trusted {
            let way = self.way_from(client.address, headers);
            headers.insert(FOR, way);
        } else {
            strip(headers);
            headers.insert(FOR, self.text.clone());
        }
        headers.insert(PROTO, proto);
    }

    /// The addresses from the client's to this one.
    fn way_from(&self, client: IpAddr, headers: &HeaderMap) -> HeaderValue {
        if client == self.address {
            return self.text.clone();
        }
        let mut way = vec![self.address.to_string()];
        for text in told(headers, &FOR).take(HOPS) {
            way.push(text.to_owned());
            let address = text.parse().map(|address: IpAddr| address.to_canonical());
            if address == Ok(client) {
                break;
            }
        }
        way.reverse();
        HeaderValue::try_from(way.join(", ")).unwrap_or_else(|_| self.text.clone())
    }
}

/// Whether the client came over TLS, as it was told where so many told something after it. Some
/// proxies do not add to the list but write it anew: what is left then is the last one's word.
fn is_told_secure(headers: &HeaderMap, hops: usize) -> Option<bool> {
    let said: Vec<&str> = told(headers, &PROTO).collect();
    let proto = said.get(hops).or(said.first())?;
    let is = |scheme: &str| proto.eq_ignore_ascii_case(scheme);
    (is("https") || is("http")).then(|| is("https"))
}

/// What the proxies say in a field, the last one first.
fn told<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    // The list of several fields is one list (RFC 9110, section 5.3).
    let values: Vec<&HeaderValue> = headers.get_all(name).into_iter().collect();
    values
        .into_iter()
        .rev()
        .flat_map(|value| value.to_str().unwrap_or("?").rsplit(','))
        .map(str::trim)
}

/// Whether it is a field in which proxies say for whom they ask.
pub(crate) fn is_of_proxies(name: &HeaderName) -> bool {
    *name == FORWARDED || *name == REAL_IP || name.as_str().starts_with("x-forwarded-")
}

/// Takes out what anybody could have written.
pub(crate) fn strip(headers: &mut HeaderMap) {
    while let Some(name) = headers.keys().find(|name| is_of_proxies(name)).cloned() {
        headers.remove(name);
    }
}

fn is_in(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> Vec<IpNet> {
        ["10.0.0.0/8", "::1/128"]
            .map(|text| text.parse().unwrap())
            .into()
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// The client, the scheme, and what the function is told.
    fn seen(
        peer: &str,
        secure: bool,
        scheme: Option<&Scheme>,
        fields: &[(&'static str, &str)],
    ) -> (String, String, String) {
        let trusted = trusted();
        let peer = Peer::new(peer.parse().unwrap(), secure, &trusted);
        let mut headers = headers(fields);
        let client = peer.client(&headers, scheme, &trusted);
        peer.rewrite(client, &mut headers);
        assert_eq!(headers.get_all(FOR).iter().count(), 1);
        assert_eq!(headers[PROTO], client.scheme().as_str());
        (
            client.address.to_string(),
            client.scheme().to_string(),
            headers[FOR].to_str().unwrap().to_owned(),
        )
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        for (peer, fields, client, told) in [
            ("192.0.2.1", &[][..], "192.0.2.1", "192.0.2.1"),
            (
                "192.0.2.1",
                &[("x-forwarded-for", "198.51.100.7")],
                "192.0.2.1",
                "192.0.2.1",
            ),
            ("10.0.0.1", &[], "10.0.0.1", "10.0.0.1"),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "198.51.100.7")],
                "198.51.100.7",
                "198.51.100.7, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "1.1.1.1, 198.51.100.7,10.0.0.2")],
                "198.51.100.7",
                "198.51.100.7, 10.0.0.2, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &[
                    ("x-forwarded-for", "198.51.100.7"),
                    ("x-forwarded-for", "10.0.0.2"),
                ],
                "198.51.100.7",
                "198.51.100.7, 10.0.0.2, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")],
                "10.0.0.3",
                "10.0.0.3, 10.0.0.2, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "198.51.100.7, nonsense, 10.0.0.2")],
                "10.0.0.2",
                "10.0.0.2, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "unknown")],
                "10.0.0.1",
                "10.0.0.1",
            ),
            // A proxy that writes addresses of IPv4 as its own socket has them.
            (
                "10.0.0.1",
                &[("x-forwarded-for", "1.1.1.1, 198.51.100.7, ::ffff:10.0.0.2")],
                "198.51.100.7",
                "198.51.100.7, ::ffff:10.0.0.2, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "1.1.1.1, ::ffff:198.51.100.7")],
                "198.51.100.7",
                "::ffff:198.51.100.7, 10.0.0.1",
            ),
            (
                "::1",
                &[("x-forwarded-for", "2001:db8::1")],
                "2001:db8::1",
                "2001:db8::1, ::1",
            ),
            (
                "::ffff:10.0.0.1",
                &[("x-forwarded-for", "1.2.3.4")],
                "1.2.3.4",
                "1.2.3.4, 10.0.0.1",
            ),
            (
                "::ffff:192.0.2.1",
                &[("x-forwarded-for", "1.2.3.4")],
                "192.0.2.1",
                "192.0.2.1",
            ),
        ] {
            let (address, _, said) = seen(peer, false, None, fields);
            assert_eq!((&*address, &*said), (client, told), "{peer} {fields:?}");
        }
    }

    /// Whoever is behind more proxies than are looked at is taken for the last of those.
    #[test]
    fn so_many_addresses_are_looked_at_and_no_more() {
        for (proxies, expected) in [(HOPS - 1, "198.51.100.7"), (HOPS, "10.0.0.2")] {
            let mut way = vec!["198.51.100.7".to_owned(), "10.0.0.2".to_owned()];
            way.extend((1..proxies).map(|_| "10.0.0.3".to_owned()));
            let told = way.join(", ");
            let fields = [("x-forwarded-for", told.as_str())];
            let (address, _, said) = seen("10.0.0.1", false, None, &fields);
            assert_eq!(address, expected, "{proxies}");
            // The client, and as many as were looked at.
            assert!(said.split(", ").count() <= HOPS + 1, "{said}");
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn who_may_ask_for_https() {
        for (peer, secure, expected) in [
            ("192.0.2.1", false, false),
            ("192.0.2.1", true, true),
            ("10.0.0.1", false, true),
            ("10.0.0.1", true, true),
        ] {
            let peer = Peer::new(peer.parse().unwrap(), secure, &trusted());
            assert_eq!(peer.may_ask_for_https(), expected, "{peer:?}");
        }
    }

    #[test]
    fn the_scheme_is_what_was_said_of_the_client() {
        for (peer, secure, proto, expected) in [
            ("192.0.2.1", false, None, "http"),
            ("192.0.2.1", true, None, "https"),
            ("192.0.2.1", false, Some("https"), "http"),
            ("192.0.2.1", true, Some("http"), "https"),
            ("10.0.0.1", false, None, "http"),
            ("10.0.0.1", false, Some("https"), "https"),
            ("10.0.0.1", true, Some("http"), "http"),
            ("10.0.0.1", true, Some("gopher"), "https"),
            ("10.0.0.1", false, Some("HTTPS"), "https"),
            // The last one is the trusted proxy's own word.
            ("10.0.0.1", false, Some("http, https"), "https"),
            ("10.0.0.1", false, Some("https, http"), "http"),
        ] {
            let fields = proto.map(|it| ("x-forwarded-proto", it));
            let found = seen(peer, secure, None, fields.as_slice()).1;
            assert_eq!(found, expected, "{peer} {proto:?}");
        }
        // What stands as far back as the address of the client.
        for (addresses, proto, expected) in [
            ("198.51.100.7", "https", "https"),
            ("198.51.100.7, 10.0.0.2", "https, http", "https"),
            ("198.51.100.7, 10.0.0.2", "http, https", "http"),
            (
                "198.51.100.7, 10.0.0.3, 10.0.0.2",
                "https,http,http",
                "https",
            ),
            // What stands before that the client may have made up.
            (
                "1.1.1.1, 198.51.100.7, 10.0.0.2",
                "https, http, https",
                "http",
            ),
            ("1.1.1.1, 198.51.100.7", "https, http", "http"),
            // Fewer than there are addresses: the last proxy wrote the field anew.
            ("198.51.100.7, 10.0.0.3, 10.0.0.2", "http, https", "https"),
            ("198.51.100.7, 10.0.0.2", "https", "https"),
            // Nobody says of whom this is.
            ("unknown", "http, https", "https"),
            ("198.51.100.7, nonsense, 10.0.0.2", "http, https", "https"),
        ] {
            let fields = [("x-forwarded-for", addresses), ("x-forwarded-proto", proto)];
            let found = seen("10.0.0.1", false, None, &fields).1;
            assert_eq!(found, expected, "{addresses} {proto}");
        }
    }

    #[test]
    fn the_target_of_a_trusted_proxy_says_the_scheme_too() {
        let (http, https) = (Scheme::HTTP, Scheme::HTTPS);
        let (http, https) = (Some(&http), Some(&https));
        for (peer, secure, scheme, proto, expected) in [
            ("10.0.0.1", false, https, None, "https"),
            ("10.0.0.1", false, http, None, "http"),
            ("10.0.0.1", true, http, None, "http"),
            ("10.0.0.1", true, None, None, "https"),
            ("10.0.0.1", false, https, Some("gopher"), "https"),
            // The field is the clearer word.
            ("10.0.0.1", false, https, Some("http"), "http"),
            ("10.0.0.1", false, http, Some("https"), "https"),
            ("192.0.2.1", false, https, None, "http"),
            ("192.0.2.1", true, http, None, "https"),
        ] {
            let fields = proto.map(|it| ("x-forwarded-proto", it));
            let found = seen(peer, secure, scheme, fields.as_slice()).1;
            assert_eq!(found, expected, "{peer} {scheme:?} {proto:?}");
        }
    }

    #[test]
    fn what_anybody_could_have_written_is_taken_out() {
        let fields = [
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-anything", "1"),
            ("accept", "*/*"),
        ];
        let left = |peer: &str| {
            let peer = Peer::new(peer.parse().unwrap(), false, &trusted());
            let mut headers = headers(&fields);
            let client = peer.client(&headers, None, &trusted());
            peer.rewrite(client, &mut headers);
            let mut left: Vec<_> = headers.keys().map(HeaderName::to_string).collect();
            left.sort();
            left
        };
        assert_eq!(
            left("192.0.2.1"),
            ["accept", "x-forwarded-for", "x-forwarded-proto"]
        );
        assert_eq!(left("10.0.0.1").len(), fields.len() + 2);
    }
}
