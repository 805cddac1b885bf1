//! `[lease]`: who keeps leases, counters and messages between nodes.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize, Serializer};

use crate::{problem::ConfigProblems, units::duration_text};

/// Leases for longer than this keep the places of a node that died for longer than anybody waits.
const LASTS_MAX: Duration = Duration::from_secs(600);
/// Leases for less than this expire by a hiccup of the network.
const LASTS_MIN: Duration = Duration::from_millis(200);

/// `[lease]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `redis://user:password@host:port/database` for a fleet, Redis from 6.2 on or Valkey; `rediss://` by TLS; empty: this node decides alone.
    pub url: RedisUrl,
    /// What the names of keys begin with, in braces, so that a cluster keeps all of them on one server.
    pub prefix: String,
    /// How long a lease lasts without being renewed: when the places of a node that died are free again. Renewed three times in it.
    #[serde(with = "duration_text")]
    pub lasts: Duration,
    /// How long connecting may take.
    #[serde(with = "duration_text")]
    pub connect_timeout: Duration,
    /// How long one answer may take; then the node decides without, until the server answers in time again.
    #[serde(with = "duration_text")]
    pub answer_timeout: Duration,
    /// Questions under way at once, and beside them as many about leases that are held.
    pub questions_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            url: RedisUrl::default(),
            prefix: "ringback".to_owned(),
            lasts: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(1),
            answer_timeout: Duration::from_millis(250),
            questions_max: 4_096,
        }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        let is_url = self.url.is_empty() || self.url.parsed().is_some();
        problems.check(is_url, &key("url"), "must be redis://user:password@host:port/database, or empty");
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let is_prefix = (1..=64).contains(&self.prefix.len()) && self.prefix.bytes().all(is_name);
        problems.check(is_prefix, &key("prefix"), "must be 1 to 64 letters, digits, -, _ or .");
        let is_span = (LASTS_MIN..=LASTS_MAX).contains(&self.lasts);
        problems.check(is_span, &key("lasts"), "must be 200ms to 10m");
        problems.check(!self.connect_timeout.is_zero(), &key("connect_timeout"), "must be more than 0s");
        let is_short = !self.answer_timeout.is_zero() && self.answer_timeout < self.lasts / 3;
        problems.check(is_short, &key("answer_timeout"), "must be more than 0s and less than a third of lasts");
        problems.check(0 < self.questions_max, &key("questions_max"), "must be at least 1");
    }
}

/// The address of a server, shown without what lets one in.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// The address that is this text.
    pub fn new(text: String) -> RedisUrl {
        RedisUrl(text)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn parsed(&self) -> Option<::redis::ConnectionInfo> {
        ::redis::IntoConnectionInfo::into_connection_info(self.0.as_str()).ok()
    }

    fn shown(&self) -> String {
        match self.parsed() {
            _ if self.is_empty() => String::new(),
            Some(info) => format!("redis://***@{}/{}", info.addr(), info.redis_settings().db()),
            None => "***".to_owned(),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for RedisUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}
