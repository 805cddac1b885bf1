//! `[store]`: where accounts and usage are kept.

use std::{fmt, str::FromStr as _, time::Duration};

use serde::{Deserialize, Serialize, Serializer};
use sqlx::postgres::PgConnectOptions;

use crate::{problem::ConfigProblems, units::duration_text};

/// Connections beyond this are a mistake: a server of PostgreSQL has a hundred for all by default.
const CONNECTIONS_MAX: u32 = 256;

/// `[store]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `postgres://user:password@host/database` for a fleet; empty: the file `store.db` in the data directory.
    pub url: StoreUrl,
    /// Connections at once, to a server or to the file.
    pub connections_max: u32,
    /// How long a connection may take to be free or made.
    #[serde(with = "duration_text")]
    pub connect_timeout: Duration,
    /// How long a server may take for one statement.
    #[serde(with = "duration_text")]
    pub statement_timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            url: StoreUrl::default(),
            connections_max: 8,
            connect_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        let is_url = self.url.is_empty() || self.url.postgres().is_some();
        problems.check(is_url, &key("url"), "must be postgres://user:password@host/database, or empty");
        let is_count = (1..=CONNECTIONS_MAX).contains(&self.connections_max);
        problems.check(is_count, &key("connections_max"), &format!("must be 1 to {CONNECTIONS_MAX}"));
        problems.check(!self.connect_timeout.is_zero(), &key("connect_timeout"), "must be more than 0s");
        problems.check(!self.statement_timeout.is_zero(), &key("statement_timeout"), "must be more than 0s");
    }
}

/// The address of a server, shown without what lets one in.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The address that is this text.
    pub fn new(text: String) -> StoreUrl {
        StoreUrl(text)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn postgres(&self) -> Option<PgConnectOptions> {
        let is_postgres = self.0.starts_with("postgres://") || self.0.starts_with("postgresql://");
        PgConnectOptions::from_str(&self.0).ok().filter(|_| is_postgres)
    }

    fn shown(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        match self.postgres() {
            Some(options) => {
                format!(
                    "postgres://***@{}:{}/{}",
                    options.get_host(),
                    options.get_port(),
                    options.get_database().unwrap_or_default()
                )
            }
            None => "***".to_owned(),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}
