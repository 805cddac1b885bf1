//! `[media]`: the configurations of the media layer's rooms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    media::{address, audio, cache, fill, origin, presets, private, prompts, signing, speech, uploads},
    problem::ConfigProblems,
};

/// Threads that transcodes and speaking programs take at most: the runtime has 512 for all that blocks, and spools, stores and look-ups need
/// theirs.
const THREADS_MAX: usize = 448;

/// `[media]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Artifacts whose answers are kept half-made, about 500 bytes each: those that are asked for all the time.
    pub hot_max: usize,
    /// Options under a name: `prompt = "loudness:-19,trim:both"` is what `preset:prompt` stands for.
    pub presets: BTreeMap<String, String>,
    /// Whether requests may choose among the presets only, and not say options of their own.
    pub presets_only: bool,
    /// Keys of signed paths.
    pub signing: signing::Config,
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
    /// What people put here.
    pub uploads: uploads::Config,
    /// Names that stand for it.
    pub prompts: prompts::Config,
    /// Names and addresses of what is not for everybody.
    pub private: private::Config,
    /// Text to be spoken.
    pub speech: speech::Config,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            hot_max: 10_000,
            presets: BTreeMap::new(),
            presets_only: false,
            signing: signing::Config::default(),
            address: address::Config::default(),
            cache: cache::Config::default(),
            origin: origin::Config::default(),
            audio: audio::Config::default(),
            fill: fill::Config::default(),
            uploads: uploads::Config::default(),
            prompts: prompts::Config::default(),
            private: private::Config::default(),
            speech: speech::Config::default(),
        }
    }
}

impl Config {
    /// Notes what cannot work.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        problems.check(self.hot_max > 0, &format!("{prefix}.hot_max"), "must be at least 1");
        presets::validate(&self.presets, &format!("{prefix}.presets"), problems);
        self.signing.validate(&format!("{prefix}.signing"), problems);
        self.address.validate(&format!("{prefix}.address"), problems);
        self.cache.validate(&format!("{prefix}.cache"), problems);
        self.origin.validate(&format!("{prefix}.origin"), problems);
        self.audio.validate(&format!("{prefix}.audio"), problems);
        self.fill.validate(&format!("{prefix}.fill"), problems);
        self.uploads.validate(&format!("{prefix}.uploads"), problems);
        self.prompts.validate(&format!("{prefix}.prompts"), problems);
        self.private.validate(&format!("{prefix}.private"), problems);
        self.speech.validate(&format!("{prefix}.speech"), problems);
        let espeak = if self.speech.espeak.enabled { self.speech.espeak.speaking_max } else { 0 };
        let threads = self.fill.workers.saturating_add(self.fill.parked_max).saturating_add(espeak);
        problems.check(
            threads <= THREADS_MAX,
            &format!("{prefix}.speech.espeak.speaking_max"),
            "is more than 448 together with media.fill.workers and parked_max: each of them takes a thread",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcodes_and_speakers_leave_threads_for_the_rest() {
        let check = |workers: usize, speaking_max: usize, enabled: bool, is_right: bool| {
            let mut config = Config::default();
            (config.fill.workers, config.fill.parked_max) = (workers, 0);
            (config.speech.espeak.speaking_max, config.speech.espeak.enabled) = (speaking_max, enabled);
            let mut problems = ConfigProblems::default();
            config.validate("media", &mut problems);
            assert_eq!(problems.is_empty(), is_right, "{workers} {speaking_max} {enabled}: {problems:?}");
        };
        check(192, 256, true, true);
        check(193, 256, true, false);
        check(384, 64, true, true);
        check(384, 65, true, false);
        check(384, 256, false, true);
    }
}
