//! `[accounts]`: who callers are.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{problem::ConfigProblems, units::duration_text};

/// Longer than this is a way to go on for ever.
const STALE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Nodes note what is reached every ten seconds: in less than a few of those nothing is quiet.
const ALERT_MIN: Duration = Duration::from_secs(30);
/// What is not told within a day need not be told.
const ALERT_MAX: Duration = Duration::from_secs(24 * 3600);

/// `[accounts]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// File of the keys that secrets are sealed with: 64 hexadecimal digits a line, the one that seals first. Nodes that share a store need the
    /// same one. Without it: `accounts.key` in the data directory, which is drawn once.
    pub key_file: Option<PathBuf>,
    /// How long what is known of callers serves reads while the store cannot be reached. Writes are refused at once.
    #[serde(with = "duration_text")]
    pub stale: Duration,
    /// Credentials that are not known yet and turn out wrong, from one address in a minute; then that address waits.
    pub failures_max: u32,
    /// Callers that are remembered at once.
    pub remembered_max: usize,
    /// One limit of an account that is reached is told at most once in so long.
    #[serde(with = "duration_text")]
    pub alert_interval: Duration,
    /// And not again before nobody has reached it for so long.
    #[serde(with = "duration_text")]
    pub alert_quiet: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            key_file: None,
            stale: Duration::from_secs(300),
            failures_max: 60,
            remembered_max: 100_000,
            alert_interval: Duration::from_secs(300),
            alert_quiet: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        problems.check(self.stale <= STALE_MAX, &key("stale"), "must be at most 1day");
        problems.check(self.failures_max > 0, &key("failures_max"), "must be at least 1");
        problems.check(self.remembered_max > 0, &key("remembered_max"), "must be at least 1");
        for (name, span) in [("alert_interval", self.alert_interval), ("alert_quiet", self.alert_quiet)] {
            problems.check((ALERT_MIN..=ALERT_MAX).contains(&span), &key(name), "must be 30s to 1day");
        }
    }
}
