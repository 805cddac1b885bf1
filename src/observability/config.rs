//! Knobs of logs.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::problem::ConfigProblems;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `text` on a terminal, else `json`.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Knobs of logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which log lines are written, as directives: `info`, or `info,ringback::media=debug`. `RINGBACK_LOG` sets it too.
    pub filter: String,
    /// How they look.
    pub format: LogFormat,
}

impl Default for Config {
    fn default() -> Config {
        Config { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl Config {
    /// Notes each mistake under `prefix`.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        if let Err(error) = EnvFilter::try_new(&self.filter) {
            problems.push(
                format!("{prefix}.filter"),
                format!("{:?} is not a filter such as \"info,ringback::media=debug\": {error}", self.filter),
            );
        }
    }
}
