//! `[concurrency]`: how many of what may be in progress.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{problem::ConfigProblems, units::duration_text};

use super::limits::DefaultLimits;

/// `[concurrency]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is done while those who keep the leases of the fleet cannot be asked, or have lost them and hear of them again.
    pub when_away: WhenAway,
    /// With `local`: how much of each limit one node may admit meanwhile, in hundredths of it, 1 to 100; at least one.
    pub local_percent: u32,
    /// Those who wait look so often whether another node has given something back. One question for each pool in which somebody waits.
    #[serde(with = "duration_text")]
    pub look_interval: Duration,
    /// Callers, by kind of work, that are remembered at once. Beyond it those leave that were not seen for the longest.
    pub callers_max: usize,
    /// Hang-ups that are carried out at once for one account, however many calls it has.
    pub hang_ups_max: u32,
    /// Purges and questions after limits and usage that are carried out at once, beside all limits, where everybody is stopped.
    pub admin_max: u32,
    /// Limits of those who have none of their own, as `limits.account.fetches = { hard = 100 }`.
    pub limits: DefaultLimits,
}

/// What a node does that cannot ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenAway {
    /// It admits a part of each limit by itself.
    #[default]
    Local,
    /// It admits everything.
    Open,
    /// It admits nothing.
    Closed,
}

impl WhenAway {
    /// Label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            WhenAway::Local => "local",
            WhenAway::Open => "open",
            WhenAway::Closed => "closed",
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            when_away: WhenAway::Local,
            local_percent: 50,
            look_interval: Duration::from_millis(50),
            callers_max: 1_000_000,
            hang_ups_max: 32,
            admin_max: 16,
            limits: DefaultLimits::default(),
        }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        problems.check((1..=100).contains(&self.local_percent), &key("local_percent"), "must be 1 to 100");
        let is_pause = Duration::from_millis(5) <= self.look_interval && self.look_interval <= Duration::from_secs(10);
        problems.check(is_pause, &key("look_interval"), "must be 5ms to 10s");
        problems.check(0 < self.callers_max, &key("callers_max"), "must be at least 1");
        problems.check(0 < self.hang_ups_max, &key("hang_ups_max"), "must be at least 1");
        problems.check(0 < self.admin_max, &key("admin_max"), "must be at least 1");
        for (limit, error) in self.limits.mistakes() {
            problems.push(key(&format!("limits.{limit}")), error.to_string());
        }
    }
}
