//! `[media]`: the configurations of the media layer's rooms.

use serde::{Deserialize, Serialize};

use crate::{
    media::{address, audio, cache, fill, origin},
    problem::ConfigProblems,
};

/// `[media]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How sources are named.
    pub address: address::Config,
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
        self.address.validate(&format!("{prefix}.address"), problems);
        self.cache.validate(&format!("{prefix}.cache"), problems);
        self.origin.validate(&format!("{prefix}.origin"), problems);
        self.audio.validate(&format!("{prefix}.audio"), problems);
        self.fill.validate(&format!("{prefix}.fill"), problems);
    }
}
