//! What the operator decides: one typed [`Config`], made of the rooms' own.
//!
//! Values come, each over the one before, from the code's defaults, the file, the environment and the command line
//! ([`load`]). Every mistake in any of them is told in one go, with its key and where it stands.

mod file;
mod key;
mod load;
mod mistake;
mod print;
mod tls;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    accounts::Config as AccountsConfig, api::Config as HttpConfig, concurrency::Config as ConcurrencyConfig,
    lease::Config as LeaseConfig, media::Config as MediaConfig, media::proxy::Config as ProxyConfig,
    observability::Config as ObservabilityConfig, outbound::Config as OutboundConfig, problem::ConfigProblems,
    store::Config as StoreConfig,
};

pub use load::{Flag, Loaded, Root, Sources, load, process_environment};
pub use mistake::{Mistake, Mistakes, Origin};
pub use tls::{TlsError, read_identity};

/// Everything that can be configured. `config/default.toml` documents each key; a test keeps the two equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where media and API are served. Anything but loopback needs `insecure_open` where strangers are let in.
    pub listen: SocketAddr,
    /// Where metrics and health are served: a listener of its own, so that a full node can still be looked at.
    pub ops_listen: SocketAddr,
    /// Directory of all local state. Made if missing; one node at a time.
    pub data_dir: PathBuf,
    /// What addresses handed out begin with, as callers reach this node; without it, what the request was sent to.
    pub public_url: Option<String>,
    /// Certificate chain in PEM, the node's own first. Together with `tls_key` makes `listen` speak TLS.
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    pub tls_key: Option<PathBuf>,
    /// Serve beyond loopback although not everybody has to authenticate.
    pub insecure_open: bool,
    /// How long running requests may take to finish after SIGTERM, before they are cut off.
    #[serde(with = "crate::units::duration_text")]
    pub drain_timeout: Duration,
    /// Logs and metrics.
    pub observability: ObservabilityConfig,
    /// Connections and requests of callers.
    pub http: HttpConfig,
    /// Where accounts and usage are kept.
    pub store: StoreConfig,
    /// Who callers are.
    pub accounts: AccountsConfig,
    /// Who keeps leases, for a fleet.
    pub lease: LeaseConfig,
    /// How many of what may be in progress.
    pub concurrency: ConcurrencyConfig,
    /// Requests that leave the node.
    pub outbound: OutboundConfig,
    /// The media layer.
    pub media: MediaConfig,
    /// The reverse proxy.
    pub proxy: ProxyConfig,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            data_dir: PathBuf::from("./ringback-data"),
            public_url: None,
            tls_cert: None,
            tls_key: None,
            insecure_open: false,
            drain_timeout: Duration::from_secs(30),
            observability: ObservabilityConfig::default(),
            http: HttpConfig::default(),
            store: StoreConfig::default(),
            accounts: AccountsConfig::default(),
            lease: LeaseConfig::default(),
            concurrency: ConcurrencyConfig::default(),
            outbound: OutboundConfig::default(),
            media: MediaConfig::default(),
            proxy: ProxyConfig::default(),
        }
    }
}

impl Root for Config {
    const ALIASES: &'static [(&'static str, &'static str)] = &[("RINGBACK_LOG", "observability.filter")];

    fn validate(&self, problems: &mut ConfigProblems) {
        self.validate_listeners(problems);
        self.validate_tls(problems);
        self.observability.validate("observability", problems);
        self.http.validate("http", problems);
        self.store.validate("store", problems);
        self.accounts.validate("accounts", problems);
        self.lease.validate("lease", problems);
        self.concurrency.validate("concurrency", problems);
        self.outbound.validate("outbound", problems);
        self.media.validate("media", problems);
        self.proxy.validate("proxy", problems);
    }
}

impl Config {
    fn validate_listeners(&self, problems: &mut ConfigProblems) {
        // Where callers are told apart by credentials or by what they sign, nothing is open that insecure_open could mean.
        let signing = &self.media.signing;
        let is_closed = !self.http.lets_strangers_fetch(signing.required && signing.has_keys());
        problems.check(
            self.listen.ip().is_loopback() || self.insecure_open || is_closed,
            "listen",
            "is not a loopback address: anybody who reaches it could use the node; say insecure_open if that is meant",
        );
        problems.check(
            self.listen != self.ops_listen || self.listen.port() == 0,
            "ops_listen",
            "is the same as listen: metrics and health have a listener of their own",
        );
        if let Some(listen) = self.proxy.listen {
            problems.check(
                listen.ip().is_loopback() || self.insecure_open,
                "proxy.listen",
                "is not a loopback address: anybody who reaches it could ask the origin; say insecure_open if that is meant",
            );
            problems.check(
                listen.port() == 0 || (listen != self.listen && listen != self.ops_listen),
                "proxy.listen",
                "is the same as another listener of this node",
            );
        }
        problems.check(!self.data_dir.as_os_str().is_empty(), "data_dir", "is empty");
        if let Some(text) = &self.public_url
            && let Err(reason) = check_public_url(text)
        {
            problems.push("public_url", format!("{text:?} {reason}"));
        }
    }

    fn validate_tls(&self, problems: &mut ConfigProblems) {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                if let Err(error) = read_identity(certificate, key) {
                    problems.push(error.key(), error.to_string());
                }
            }
            (Some(_), None) => problems.push("tls_key", "is missing: a certificate needs its key"),
            (None, Some(_)) => problems.push("tls_cert", "is missing: a key needs its certificate"),
            (None, None) => {}
        }
    }
}

/// Players keep addresses in headers of at most 1,000 bytes; the path of an artifact takes a hundred of them.
const PUBLIC_URL_BYTES_MAX: usize = 800;

fn check_public_url(text: &str) -> Result<(), &'static str> {
    if text.len() > PUBLIC_URL_BYTES_MAX {
        return Err("is longer than 800 bytes: no player would take the addresses made from it");
    }
    let url = url::Url::parse(text).map_err(|_| "is not an absolute URL such as \"https://media.example.com\"")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("may have a host, a port and a path only");
    }
    Ok(())
}
