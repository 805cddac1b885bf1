//! `[http]`: connections and requests of callers.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    ids::Tenant,
    problem::ConfigProblems,
    units::{ByteCount, duration_text},
};

/// More threads than any machine here has processors are a mistake.
const THREADS_MAX: usize = 1_024;

/// `[http]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What callers without credentials may do.
    pub anonymous: Anonymous,
    /// For whom: `default`, or the name of an account.
    pub anonymous_tenant: String,
    /// Networks of proxies that are believed about where requests come from (`X-Forwarded-For`) and whether by TLS (`X-Forwarded-Proto`).
    pub trusted_proxies: Vec<IpNet>,
    /// Threads that serve connections; 0 = one for each processor.
    pub threads: usize,
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// How long a connection may take to send the head of a request, and may be idle between requests.
    #[serde(with = "duration_text")]
    pub head_timeout: Duration,
    /// How long a caller may take nothing of an answer before its connection is cut.
    #[serde(with = "duration_text")]
    pub stall_timeout: Duration,
    /// Bytes that one connection buffers: the head of a request, and what of an answer is handed to the kernel at once.
    pub buffer_max: ByteCount,
    /// How long the body of a request may take to arrive.
    #[serde(with = "duration_text")]
    pub body_timeout: Duration,
    /// Bytes of a request's body, for the JSON of `/v1`.
    pub body_max: ByteCount,
}

/// What callers without credentials may do (`spec/trust.md` §1). Keys of signed paths do not change it: they make a signature a
/// credential for `/fetch` and `/say`, and by `media.signing.required` the only one there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// `all` on a loopback listener, otherwise `off`.
    Auto,
    /// Nothing.
    Off,
    /// Get audio: `/media`, `/fetch`, `/say` and prompts, nothing of `/v1`.
    Read,
    /// Everything.
    All,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            anonymous: Anonymous::Auto,
            anonymous_tenant: "default".to_owned(),
            trusted_proxies: Vec::new(),
            threads: 0,
            connections_max: 4_096,
            head_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            buffer_max: ByteCount::kib(512),
            body_timeout: Duration::from_secs(10),
            body_max: ByteCount::mib(1),
        }
    }
}

impl Config {
    /// Notes what cannot work.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        let is_tenant = self.tenant().is_some();
        problems.check(is_tenant, &key("anonymous_tenant"), "must be default, or the name of an account (AC…)");
        problems.check(self.threads <= THREADS_MAX, &key("threads"), &format!("must be at most {THREADS_MAX}"));
        problems.check(self.connections_max > 0, &key("connections_max"), "must be at least 1");
        problems.check(!self.head_timeout.is_zero(), &key("head_timeout"), "must be more than 0s");
        problems.check(!self.stall_timeout.is_zero(), &key("stall_timeout"), "must be more than 0s");
        problems.check(self.buffer_max >= ByteCount::kib(8), &key("buffer_max"), "must be at least 8KiB");
        problems.check(!self.body_timeout.is_zero(), &key("body_timeout"), "must be more than 0s");
        problems.check(self.body_max.get() > 0, &key("body_max"), "must be more than 0B");
    }

    /// For whom callers without credentials act.
    pub fn tenant(&self) -> Option<Tenant> {
        let tenant: Tenant = self.anonymous_tenant.parse().ok()?;
        (tenant == Tenant::default_tenant() || tenant.account().is_some()).then_some(tenant)
    }

    /// What callers without credentials may do on a listener that only this machine reaches (`loopback`) or any other.
    pub fn anonymous(&self, loopback: bool) -> Anonymous {
        match self.anonymous {
            Anonymous::Auto if loopback => Anonymous::All,
            Anonymous::Auto => Anonymous::Off,
            decided => decided,
        }
    }

    /// Whether somebody who has nothing to show could have a node beyond loopback fetch what they like.
    pub fn lets_strangers_fetch(&self, signatures_required: bool) -> bool {
        match self.anonymous(false) {
            Anonymous::Off | Anonymous::Auto => false,
            Anonymous::Read => !signatures_required,
            Anonymous::All => true,
        }
    }
}
