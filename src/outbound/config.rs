use std::{path::PathBuf, sync::Arc, time::Duration};

use ipnet::Ipv6Net;
use rustls::pki_types::{
    CertificateDer,
    pem::{self, PemObject as _},
};
use serde::{Deserialize, Serialize};

use super::guard::AllowRule;
use crate::{
    problem::ConfigProblems,
    units::{ByteCount, duration_text},
};

/// Limits and permissions of outgoing requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Private origins that may be fetched, each `CIDR` or `HOST[:PORT]` (`--allow-origin`). None by default: a source
    /// address comes from strangers. Link-local and metadata addresses and this node's own listeners stay refused.
    pub allow_origins: Vec<String>,
    /// Private origins that developers of applications may be told of revocations at, in the same form. None by default: each customer names such
    /// an address and its path, and what is there to be fetched is not there to be posted to.
    pub callback_origins: Vec<String>,
    /// File of further certification authorities in PEM: those of a private network, trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Redirects that are followed for one request. 5: more is a loop or a maze.
    pub redirects_max: u8,
    /// Time for one connection: name look-up, TCP and TLS together. 5 s: three lost SYNs.
    #[serde(with = "duration_text")]
    pub connect_timeout: Duration,
    /// Time from sending a request (its connection included) to its response headers, per redirect hop. 10 s, the same
    /// silence that `idle_timeout` allows later; raise it for origins that make audio on request.
    #[serde(with = "duration_text")]
    pub header_timeout: Duration,
    /// Longest silence between two pieces of a body. 10 s: a source that drips more slowly is no source for a call.
    #[serde(with = "duration_text")]
    pub idle_timeout: Duration,
    /// Time for a whole request: redirects, headers and body. 300 s, as telephony clients give up then too.
    #[serde(with = "duration_text")]
    pub total_timeout: Duration,
    /// Bytes of response headers, names and values together. 64 KiB is far above what any origin sends.
    pub header_bytes_max: ByteCount,
    /// The NAT64 prefix of this network (RFC 6052: /32, /40, /48, /56, /64 or /96), if names resolve to such addresses
    /// here. Unset by default: addresses under a NAT64 prefix are refused.
    pub nat64_prefix: Option<Ipv6Net>,
    /// Unused connections that are kept open for one origin. 16, as many as fetches run at once.
    pub idle_connections_max: usize,
    /// How long an unused connection is kept. 4 s, below the 5 s after which common servers close theirs, so that a
    /// request is hardly ever written into a connection that is just being closed.
    #[serde(with = "duration_text")]
    pub idle_connection_timeout: Duration,
    /// Name look-ups at once. 32: each holds a thread of the runtime's blocking pool, whose other work is file access.
    pub lookups_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            allow_origins: Vec::new(),
            callback_origins: Vec::new(),
            ca_file: None,
            redirects_max: 5,
            connect_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(300),
            header_bytes_max: ByteCount::kib(64),
            nat64_prefix: None,
            idle_connections_max: 16,
            idle_connection_timeout: Duration::from_secs(4),
            lookups_max: 32,
        }
    }
}

impl Config {
    /// Notes every mistake under its key; `prefix` is the dotted path of this section.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        for (name, rules) in [("allow_origins", &self.allow_origins), ("callback_origins", &self.callback_origins)] {
            for text in rules {
                if let Err(error) = text.parse::<AllowRule>() {
                    problems.push(format!("{prefix}.{name}"), error.to_string());
                }
            }
        }
        if let Err(error) = self.authorities() {
            problems.push(format!("{prefix}.ca_file"), error.to_string());
        }
        for (name, value) in [
            ("connect_timeout", self.connect_timeout),
            ("header_timeout", self.header_timeout),
            ("idle_timeout", self.idle_timeout),
            ("total_timeout", self.total_timeout),
        ] {
            problems.check(!value.is_zero(), &format!("{prefix}.{name}"), "must be longer than nothing");
        }
        problems.check(
            self.connect_timeout <= self.header_timeout,
            &format!("{prefix}.header_timeout"),
            "must not be shorter than connect_timeout, which it includes",
        );
        problems.check(
            self.header_timeout <= self.total_timeout && self.idle_timeout <= self.total_timeout,
            &format!("{prefix}.total_timeout"),
            "must not be shorter than header_timeout and idle_timeout",
        );
        problems.check(
            self.header_bytes_max >= ByteCount::kib(1),
            &format!("{prefix}.header_bytes_max"),
            "must be at least 1KiB",
        );
        problems.check(self.lookups_max > 0, &format!("{prefix}.lookups_max"), "must be at least 1");
        let lengths = [32, 40, 48, 56, 64, 96];
        problems.check(
            self.nat64_prefix.is_none_or(|prefix| lengths.contains(&prefix.prefix_len())),
            &format!("{prefix}.nat64_prefix"),
            "must be a /32, /40, /48, /56, /64 or /96 (RFC 6052 §2.2)",
        );
    }

    /// The same for callbacks: what may be fetched may not be told anything for that.
    #[must_use]
    pub fn for_callbacks(&self) -> Config {
        Config { allow_origins: self.callback_origins.clone(), ..self.clone() }
    }

    /// The certification authorities of `ca_file`.
    pub(super) fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, AuthoritiesError> {
        let Some(path) = &self.ca_file else { return Ok(Vec::new()) };
        let unreadable = |source| AuthoritiesError::Unreadable { path: path.clone(), source: Arc::new(source) };
        let authorities = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
        let authorities: Vec<_> = authorities.collect::<Result<_, _>>().map_err(unreadable)?;
        if authorities.is_empty() { Err(AuthoritiesError::Empty { path: path.clone() }) } else { Ok(authorities) }
    }
}

/// The file of certification authorities cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum AuthoritiesError {
    /// It is not there or not PEM.
    #[error("{} has no certificates in PEM: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: Arc<pem::Error>,
    },
    /// It holds none.
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}
