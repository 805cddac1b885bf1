//! `[media]`: the configurations of the media layer's rooms.

use serde::{Deserialize, Serialize};

use crate::{
    media::{audio, cache, fill, origin},
    problem::ConfigProblems,
};

/// `[media]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Query parameters that are signatures and so no part of a source's identity; `*` at the end stands for any ending.
    pub ignored_query: crate::media::address::IgnoredQuery,
    /// Memory and disk tiers, and the catalogue.
    pub cache: cache::Config,
    /// Fetching sources.
    pub origin: origin::Config,
    /// Decoding.
    pub audio: audio::Config,
    /// Turning misses into artifacts.
    pub fill: fill::Config,
}

impl Config {
    /// Notes what cannot work.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        self.cache.validate(&format!("{prefix}.cache"), problems);
        self.origin.validate(&format!("{prefix}.origin"), problems);
        self.audio.validate(&format!("{prefix}.audio"), problems);
        self.fill.validate(&format!("{prefix}.fill"), problems);
    }
}
