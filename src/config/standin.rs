//! Stands where the rooms' own configurations will: only what a command-line flag names.

use serde::{Deserialize, Serialize};

use crate::problem::ConfigProblems;

/// Stands for `outbound::Config`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbound {
    /// Private origins that may be fetched: `10.1.0.0/16`, `sounds.internal`, `127.0.0.1:8000`.
    pub allow_origins: Vec<String>,
}

impl Outbound {
    /// Notes each mistake under `prefix`.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        problems.check(
            self.allow_origins.iter().all(|origin| !origin.is_empty()),
            &format!("{prefix}.allow_origins"),
            "has an empty entry",
        );
    }
}
