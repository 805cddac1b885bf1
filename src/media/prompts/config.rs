//! What operators can set about prompts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{problem::ConfigProblems, units::duration_text};

/// `[media.prompts]`: names that stand for uploads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// For how long callers may play a prompt without asking whether its name stands for another by now. 1 min.
    #[serde(with = "duration_text")]
    pub max_age: Duration,
    /// Names whose audio is known without asking the store, about 300 bytes each.
    pub names_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { max_age: Duration::from_secs(60), names_max: 10_000 }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        problems.check(self.names_max > 0, &format!("{prefix}.names_max"), "must be at least 1");
    }
}
