use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{allowed::SourcePattern, rules::Rule};
use crate::{
    media::freshness::Rules,
    problem::ConfigProblems,
    units::{ByteCount, duration_text},
};

/// Each is tried for every request.
const PATTERNS_MAX: usize = 256;

/// How sources are fetched and for how long they are believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The sources that are used, as beginnings of URLs: `https://*.example.com/prompts/`. Empty = all.
    pub allowed_sources: Vec<SourcePattern>,
    /// Longest source in bytes. 512 MiB: about nine hours of MP3 at 128 kbit/s; more is no prompt.
    pub source_max: ByteCount,
    /// Fetches at once from one origin (scheme, host and port). 16: warming a list must not bring a prompt server down.
    pub per_origin_max: usize,
    /// Fetches that may wait for one origin; over it a request is told busy at once. 1024: a warm list's worth.
    pub per_origin_waiting_max: usize,
    /// How long a fetch waits for its turn before it is told busy. 30 s, as long as callers wait for a fill.
    #[serde(with = "duration_text")]
    pub per_origin_wait: Duration,
    /// Freshness of a source whose origin says nothing. 5 min: a changed prompt is heard soon, a busy one costs one
    /// conditional request in that time.
    #[serde(with = "duration_text")]
    pub fresh_default: Duration,
    /// Least freshness, whatever the origin says, `no-cache` and `no-store` aside. 0 s: origins are believed.
    #[serde(with = "duration_text")]
    pub fresh_min: Duration,
    /// Most freshness that is believed. 30 days: an origin that says "ten years" by mistake can be mended.
    #[serde(with = "duration_text")]
    pub fresh_max: Duration,
    /// Longest freshness that is guessed where the origin says only when the source changed last: a tenth of the time since then, up
    /// to this. 10 min: a changed prompt is heard soon. 0 s guesses nothing.
    #[serde(with = "duration_text")]
    pub fresh_heuristic_max: Duration,
    /// For how long after its freshness audio is served at once while the origin is asked behind it, where the origin says nothing of it
    /// (`stale-while-revalidate`). 0 s: a change is heard with the first request after the freshness is over.
    #[serde(with = "duration_text")]
    pub stale_while_revalidate: Duration,
    /// For how long after its freshness audio stands in when its origin fails, where the origin says nothing of it (`stale-if-error`).
    /// 1 day: an old prompt is better than silence. `no-cache`, `must-revalidate` and `s-maxage` forbid it.
    #[serde(with = "duration_text")]
    pub stale_if_error: Duration,
    /// What is different with some sources.
    pub rules: Vec<Rule>,
    /// Most of an origin's `Retry-After` that is passed on. 1 h.
    #[serde(with = "duration_text")]
    pub retry_after_max: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            allowed_sources: Vec::new(),
            source_max: ByteCount::mib(512),
            per_origin_max: 16,
            per_origin_waiting_max: 1024,
            per_origin_wait: Duration::from_secs(30),
            fresh_default: Duration::from_secs(5 * 60),
            fresh_min: Duration::ZERO,
            fresh_max: Duration::from_secs(30 * 24 * 3600),
            fresh_heuristic_max: Duration::from_secs(10 * 60),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::from_secs(24 * 3600),
            rules: Vec::new(),
            retry_after_max: Duration::from_secs(3600),
        }
    }
}

impl Config {
    /// Notes every mistake under its key; `prefix` is the dotted path of this section.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        problems.check(
            self.allowed_sources.len() <= PATTERNS_MAX,
            &format!("{prefix}.allowed_sources"),
            &format!("are more than {PATTERNS_MAX}"),
        );
        problems.check(self.source_max.get() > 0, &format!("{prefix}.source_max"), "must be at least one byte");
        problems.check(self.per_origin_max > 0, &format!("{prefix}.per_origin_max"), "must be at least 1");
        problems.check(
            self.fresh_default <= self.fresh_max,
            &format!("{prefix}.fresh_default"),
            "must not be longer than fresh_max",
        );
        problems.check(
            self.fresh_min <= self.fresh_max,
            &format!("{prefix}.fresh_min"),
            "must not be longer than fresh_max",
        );
        for (index, rule) in self.rules.iter().enumerate() {
            rule.validate(&format!("{prefix}.rules[{index}]"), self, problems);
        }
    }

    /// What is decided here of what the standards leave open.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            heuristic_max: self.fresh_heuristic_max,
            unsaid: self.fresh_default,
            lifetime_min: self.fresh_min,
            lifetime_max: self.fresh_max,
            stale_while_revalidate: self.stale_while_revalidate,
            stale_if_error: self.stale_if_error,
        }
    }
}
