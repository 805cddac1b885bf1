//! Which addresses may be connected to. Pure: the one thing it must ask, whether an address is this machine's, is an argument.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv6Net};

use super::{
    address_space::{self, Faces},
    config::Config,
};

/// Judges the addresses of outgoing requests.
///
/// The public internet passes. Everything else is refused unless an allow rule names it; link-local and metadata
/// addresses and this node's own listeners are refused even then.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guard {
    /// What may be fetched besides the public internet.
    pub allow: Vec<AllowRule>,
    /// Where this node itself listens, as bound: fetching from ourselves goes round in circles and can reach operator endpoints.
    pub own_listeners: Vec<SocketAddr>,
    /// The NAT64 prefix of this network, if it has one.
    pub nat64_prefix: Option<Ipv6Net>,
}

impl Guard {
    /// A guard with the rules of the configuration.
    ///
    /// # Errors
    /// The first allow rule that cannot be read; [`Config::validate`] tells them all.
    pub fn new(config: &Config, own_listeners: Vec<SocketAddr>) -> Result<Guard, AllowRuleError> {
        let allow = config.allow_origins.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        Ok(Guard { allow, own_listeners, nat64_prefix: config.nat64_prefix })
    }

    /// The same guard, which also lets this host and port pass, and no other: for one that the operator has named. What is never
    /// allowed still is not.
    #[must_use]
    pub fn exempting(mut self, host: url::Host<&str>, port: u16) -> Guard {
        let net = |address: IpAddr| AllowRule::Net { net: IpNet::from(address.to_canonical()), port: Some(port) };
        self.allow.push(match host {
            url::Host::Ipv4(address) => net(address.into()),
            url::Host::Ipv6(address) => net(address.into()),
            url::Host::Domain(name) => {
                AllowRule::Host { host: name.strip_suffix('.').unwrap_or(name).to_owned(), port: Some(port) }
            }
        });
        self
    }

    /// Judges one address: `host` as it was asked for (a name, or the address itself), `address` as it will be connected to.
    ///
    /// `is_local` says whether an address belongs to this machine. It is asked only where that decides: when the port is
    /// that of a listener of ours which is bound to every address.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge(&self, host: &str, address: SocketAddr, is_local: impl Fn(IpAddr) -> bool) -> Result<(), Refusal> {
        let port = address.port();
        for face in Faces::of(address.ip(), self.nat64_prefix)?.iter() {
            if address_space::is_metadata(face) {
                return Err(Refusal::Metadata);
            }
            if self.is_own_listener(face, port, &is_local) {
                return Err(Refusal::OwnListener);
            }
            if let Some(what) = address_space::reserved(face)
                && !self.allow.iter().any(|rule| rule.matches(host, face, port))
            {
                return Err(Refusal::Reserved(what));
            }
        }
        Ok(())
    }

    fn is_own_listener(&self, face: IpAddr, port: u16, is_local: impl Fn(IpAddr) -> bool) -> bool {
        self.own_listeners.iter().filter(|listener| listener.port() == port).any(|listener| {
            // Connecting to 0.0.0.0 or :: reaches loopback.
            face.is_loopback()
                || face.is_unspecified()
                || face == listener.ip().to_canonical()
                || (listener.ip().is_unspecified() && is_local(face))
        })
    }
}

/// Why an address is refused. The texts complete "… may not be fetched: it is …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Link-local, or a cloud's metadata service.
    Metadata,
    /// One of this node's own listeners.
    OwnListener,
    /// Under a NAT64 prefix although none is configured, or not under the configured one.
    Nat64,
    /// Not of the public internet, and no rule allows it.
    Reserved(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Metadata => f.write_str("a link-local or metadata address, which is never allowed"),
            Refusal::OwnListener => f.write_str("this node itself"),
            Refusal::Nat64 => f.write_str("a NAT64 address, and no such prefix is configured"),
            Refusal::Reserved(what) => write!(f, "{what}, and no --allow-origin covers it"),
        }
    }
}

/// One exception from the deny list: `CIDR` or `HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowRule {
    /// Addresses in a network; a single address is a network of one.
    Net {
        /// The network.
        net: IpNet,
        /// Only this port, or any.
        port: Option<u16>,
    },
    /// Whatever a name resolves to.
    Host {
        /// Lower case, without a closing dot.
        host: String,
        /// Only this port, or any.
        port: Option<u16>,
    },
}

/// Text that is no allow rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not CIDR or HOST[:PORT], such as 10.0.0.0/8, prompts.example.com:8080 or [fd00::1]:8080")]
pub struct AllowRuleError {
    /// As given.
    pub text: String,
}

impl AllowRule {
    fn matches(&self, asked: &str, address: IpAddr, asked_port: u16) -> bool {
        match self {
            AllowRule::Net { net, port } => net.contains(&address) && port.is_none_or(|port| port == asked_port),
            AllowRule::Host { host, port } => {
                asked.strip_suffix('.').unwrap_or(asked).eq_ignore_ascii_case(host)
                    && port.is_none_or(|port| port == asked_port)
            }
        }
    }
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(text: &str) -> Result<AllowRule, AllowRuleError> {
        let refuse = || AllowRuleError { text: text.to_owned() };
        let single = |address: IpAddr, port| AllowRule::Net { net: IpNet::from(address.to_canonical()), port };
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(AllowRule::Net { net: net.trunc(), port: None });
        }
        // An IPv6 address without brackets has colons that are no port.
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(single(address, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port != 0 => Some(port),
            Some(_) => return Err(refuse()),
        };
        // The same parser as for source addresses, so that a rule and a request agree on spelling.
        match url::Host::parse(host).map_err(|_| refuse())? {
            url::Host::Ipv4(address) => Ok(single(address.into(), port)),
            url::Host::Ipv6(address) => Ok(single(address.into(), port)),
            url::Host::Domain(name) => {
                let host = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
                // There are no wildcards: `*` would look like one and never match.
                let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
                if host.is_empty() || !plain { Err(refuse()) } else { Ok(AllowRule::Host { host, port }) }
            }
        }
    }
}
