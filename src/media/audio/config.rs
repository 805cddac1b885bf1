//! Knobs of the audio pipeline.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{problem::ConfigProblems, units::duration_text};

/// A WAV header counts bytes in 32 bits: 12 h of 48 kHz 16-bit mono is the most that fits with room to spare.
const DECODED_CEILING: Duration = Duration::from_secs(12 * 60 * 60);

/// What the audio pipeline may be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Longest audio that is decoded, as a duration. A few kilobytes can decode to days; a prompt never does.
    #[serde(with = "duration_text")]
    pub decoded_max: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config { decoded_max: Duration::from_secs(4 * 60 * 60) }
    }
}

impl Config {
    /// Notes what cannot work, with keys that start with `prefix`.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        problems.check(
            !self.decoded_max.is_zero() && self.decoded_max <= DECODED_CEILING,
            &format!("{prefix}.decoded_max"),
            "must be more than 0 and at most 12h, which is what a WAV header can count",
        );
    }

    /// The limits of one transcode.
    pub fn limits(&self) -> Limits {
        Limits { decoded_max: self.decoded_max }
    }
}

/// Limits of one transcode. Rates and channels are limited by their types in [`crate::units`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest audio that is decoded.
    pub decoded_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Config::default().limits()
    }
}
