//! Where a request comes from and by what way, where proxies stand in front of the node.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Each proxy appends whom it got the request from.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Which protocol the proxy was asked by.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// By what way a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By TLS, to this node or to a proxy that is trusted and says so. Where such a proxy says something, that decides: it has seen the first hop.
    Private,
    /// Anybody on the way may have read it.
    Open,
}

/// Proxies that are believed about where requests come from (`spec/trust.md` §1).
#[derive(Clone, Debug)]
pub(super) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(super) fn new(proxies: &[IpNet]) -> TrustedProxies {
        TrustedProxies(proxies.to_vec())
    }

    /// Where a request comes from that `peer` sent: the last address that no proxy of ours has.
    pub(super) fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let fields = headers.get_all(FORWARDED_FOR).iter().rev();
        let named = fields.flat_map(|field| field.to_str().unwrap_or_default().rsplit(',').map(str::trim));
        let mut nearest = peer;
        for text in named {
            // What nobody can read may be anybody's.
            let Ok(address) = text.parse() else { return nearest };
            nearest = address;
            if !self.trusts(address) {
                return address;
            }
        }
        nearest
    }

    /// By what way a request came that `peer` sent to a listener with TLS (`is_tls`) or without.
    pub(super) fn way(&self, peer: IpAddr, headers: &HeaderMap, is_tls: bool) -> Way {
        let mut said = headers.get_all(FORWARDED_PROTO).iter();
        // Of a proxy that passes on what callers write, nothing is known: it has to say one thing, once.
        let says_so = match (said.next(), said.next()) {
            (Some(said), None) => said.as_bytes().eq_ignore_ascii_case(b"https"),
            _ => false,
        };
        let is_said = headers.contains_key(FORWARDED_PROTO) && self.trusts(peer);
        let is_private = if is_said { says_so } else { is_tls };
        if is_private { Way::Private } else { Way::Open }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(peer: &str, fields: &[&str]) -> String {
        let trusted = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let headers = fields.iter().map(|field| (FORWARDED_FOR, field.parse().unwrap())).collect();
        trusted.origin(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_proxies_that_are_trusted_are_believed() {
        assert_eq!(origin("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(origin("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(origin("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        // What the caller itself has written stands to the left of what the proxy has seen.
        assert_eq!(origin("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(origin("10.0.0.1", &["203.0.113.9", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(origin("10.0.0.1", &["203.0.113.9, unknown"]), "10.0.0.1");
        assert_eq!(origin("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(origin("::1", &["10.0.0.9"]), "10.0.0.9");
    }

    #[test]
    fn a_way_is_private_by_tls_or_by_the_word_of_a_proxy_that_is_trusted() {
        let trusted = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]);
        let check = |peer: &str, fields: &[&str], is_tls, expected| {
            let headers = fields.iter().map(|field| (FORWARDED_PROTO, field.parse().unwrap())).collect();
            assert_eq!(trusted.way(peer.parse().unwrap(), &headers, is_tls), expected, "{peer} {fields:?} {is_tls}");
        };
        check("192.0.2.1", &[], true, Way::Private);
        check("192.0.2.1", &["http"], true, Way::Private);
        check("192.0.2.1", &["https"], false, Way::Open);
        check("127.0.0.1", &[], false, Way::Open);
        check("10.0.0.1", &[], true, Way::Private);
        check("10.0.0.1", &["http"], true, Way::Open);
        check("10.0.0.1", &["https"], false, Way::Private);
        check("::ffff:10.0.0.1", &["HTTPS"], false, Way::Private);
        for vague in [&[][..], &["http"], &["https, http"], &["http", "https"], &["https", "https"], &[""]] {
            check("10.0.0.1", vague, false, Way::Open);
        }
    }
}
