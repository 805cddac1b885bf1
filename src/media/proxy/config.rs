use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    media::freshness::Rules,
    problem::ConfigProblems,
    units::{ByteCount, duration_text},
};

/// `[proxy]`: the reverse proxy, which is off until `listen` and `origin` are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it is served: a listener of its own. Anything but loopback needs `insecure_open`.
    pub listen: Option<SocketAddr>,
    /// Whom requests are passed on to: scheme, host and port.
    pub origin: Option<String>,
    /// Whether the origin is told the Host that callers name, rather than its own. Then responses are kept by host.
    pub pass_host: bool,
    /// Bytes of the body of a request.
    pub request_body_max: ByteCount,
    /// Bytes of the longest response that is kept; longer ones are passed on only.
    pub response_max: ByteCount,
    /// Addresses of which responses are kept.
    pub addresses_max: u64,
    /// Responses that are being kept at once.
    pub storing_max: usize,
    /// Longest freshness that is guessed from Last-Modified.
    #[serde(with = "duration_text")]
    pub heuristic_max: Duration,
    /// How long a response is used stale when the origin cannot be reached.
    #[serde(with = "duration_text")]
    pub stale_if_unreachable: Duration,
    /// How long an address whose responses cannot be kept is remembered.
    #[serde(with = "duration_text")]
    pub pass_memory: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: None,
            origin: None,
            pass_host: false,
            request_body_max: ByteCount::mib(64),
            response_max: ByteCount::mib(512),
            addresses_max: 1_000_000,
            storing_max: 256,
            heuristic_max: Duration::from_secs(24 * 3600),
            stale_if_unreachable: Duration::from_secs(24 * 3600),
            pass_memory: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Notes what cannot work.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        if let Some(text) = &self.origin
            && let Err(reason) = parse_origin(text)
        {
            problems.push(key("origin"), format!("{text:?} {reason}"));
        }
        match (self.listen, &self.origin) {
            (Some(_), None) => problems.push(key("origin"), "is missing: a proxy passes requests on to somebody"),
            (None, Some(_)) => problems.push(key("listen"), "is missing: a proxy has a listener of its own"),
            _ => {}
        }
        problems.check(self.request_body_max.get() > 0, &key("request_body_max"), "must be more than 0B");
        problems.check(self.addresses_max > 0, &key("addresses_max"), "must be at least 1");
        problems.check(self.storing_max > 0, &key("storing_max"), "must be at least 1");
    }

    /// What the operator decides about freshness.
    pub(super) fn rules(&self) -> Rules {
        Rules { heuristic_max: self.heuristic_max, ..Rules::default() }
    }

    /// Listener and origin, if the proxy is on.
    pub fn endpoints(&self) -> Option<(SocketAddr, Url)> {
        Some((self.listen?, parse_origin(self.origin.as_deref()?).ok()?))
    }
}

fn parse_origin(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not an absolute URL such as \"http://prompts.internal:8000\"")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://");
    }
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return Err("may have a host and a port only: the path is that of each request");
    }
    Ok(url)
}
