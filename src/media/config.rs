//! `[media]`: the configurations of the media layer's rooms.

use serde::{Deserialize, Serialize};

use crate::{
    media::{address, audio, cache, fill, origin},
    problem::ConfigProblems,
};

/// `[media]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Artifacts whose answers are kept half-made, about 500 bytes each: those that are asked for all the time.
    pub hot_max: usize,
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

impl Default for Config {
    fn default() -> Config {
        Config {
            hot_max: 10_000,
            address: address::Config::default(),
            cache: cache::Config::default(),
            origin: origin::Config::default(),
            audio: audio::Config::default(),
            fill: fill::Config::default(),
        }
    }
}

impl Config {
    /// Notes what cannot work.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        problems.check(self.hot_max > 0, &format!("{prefix}.hot_max"), "must be at least 1");
        self.address.validate(&format!("{prefix}.address"), problems);
        self.cache.validate(&format!("{prefix}.cache"), problems);
        self.origin.validate(&format!("{prefix}.origin"), problems);
        self.audio.validate(&format!("{prefix}.audio"), problems);
        self.fill.validate(&format!("{prefix}.fill"), problems);
    }
}
