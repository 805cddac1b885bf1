//! `[http]`: the listener that callers use.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    problem::ConfigProblems,
    units::{ByteCount, duration_text},
};

/// `[http]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port of the media and API listener.
    pub listen: SocketAddr,
    /// What addresses are built from, for example `https://media.example.net`; empty = addresses are paths.
    pub public_url: String,
    /// PEM file with the certificate chain; empty = plain HTTP.
    pub tls_cert: PathBuf,
    /// PEM file with the private key of `tls_cert`.
    pub tls_key: PathBuf,
    /// Allows a listener beyond loopback although nothing authenticates callers.
    pub insecure_open: bool,
    /// What callers without credentials may do.
    pub anonymous: Anonymous,
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// How long a connection may take to send the head of a request, and may be idle between requests.
    #[serde(with = "duration_text")]
    pub head_timeout: Duration,
    /// Bytes of a request's head.
    pub head_max: ByteCount,
    /// Bytes of a request's body, for the JSON of `/v1`.
    pub body_max: ByteCount,
    /// How long running requests may go on after SIGTERM.
    #[serde(with = "duration_text")]
    pub drain: Duration,
}

/// What callers without credentials may do (`spec/trust.md` §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// `all` on a loopback listener, otherwise `off`.
    Auto,
    /// Nothing.
    Off,
    /// Get audio.
    Read,
    /// Everything, for the tenant `default`.
    All,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            tls_cert: PathBuf::new(),
            tls_key: PathBuf::new(),
            insecure_open: false,
            anonymous: Anonymous::Auto,
            connections_max: 10_000,
            head_timeout: Duration::from_secs(60),
            head_max: ByteCount::kib(64),
            body_max: ByteCount::mib(1),
            drain: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Notes what cannot work.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        let loopback = self.listen.ip().is_loopback();
        problems.check(
            loopback || self.insecure_open,
            &key("listen"),
            "nothing authenticates callers yet, so only a loopback address is allowed without insecure_open",
        );
        let (cert, key_file) = (!self.tls_cert.as_os_str().is_empty(), !self.tls_key.as_os_str().is_empty());
        problems.check(cert == key_file, &key("tls_cert"), "tls_cert and tls_key come together");
        let public = self.public_url.is_empty() || is_base_url(&self.public_url);
        problems.check(public, &key("public_url"), "must be an http or https URL without query and fragment");
        problems.check(self.connections_max > 0, &key("connections_max"), "must be at least 1");
        problems.check(self.head_max >= ByteCount::kib(8), &key("head_max"), "must be at least 8KiB");
        problems.check(self.body_max.get() > 0, &key("body_max"), "must be more than 0B");
    }

    /// What callers without credentials may do, `auto` decided.
    pub fn anonymous(&self) -> Anonymous {
        match self.anonymous {
            Anonymous::Auto if self.listen.ip().is_loopback() => Anonymous::All,
            Anonymous::Auto => Anonymous::Off,
            decided => decided,
        }
    }
}

fn is_base_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
    })
}
