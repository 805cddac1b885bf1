//! Limits and times of the fill.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    media::{cache::CHUNK_MAX, spool},
    problem::ConfigProblems,
    units::{ByteCount, duration_text},
};

/// Threads of transcodes at most: the runtime has 512 for all that blocks, and spools, stores and look-ups need theirs.
const THREADS_MAX: usize = 384;

/// Bytes of a spool that no file is made for: one chunk, which most prompts and what is made of them do not fill.
const SHORT: ByteCount = ByteCount::bytes(CHUNK_MAX as u64);

/// `[media.fill]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long HEAD, ranges, conditional requests and held formats wait for a whole fill before 504.
    #[serde(with = "duration_text")]
    pub wait: Duration,
    /// How long the origin is waited for where stale audio may stand in for its answer; the fill goes on.
    #[serde(with = "duration_text")]
    pub stale_wait: Duration,
    /// How long headers wait, from the origin's first byte, for the fill to finish, so that short prompts get full headers.
    #[serde(with = "duration_text")]
    pub grace: Duration,
    /// Declared source length above which the grace is skipped, because the fill will not finish within it.
    pub grace_source_max: ByteCount,
    /// Bytes of all spool files together.
    pub spool: ByteCount,
    /// Bytes that one fill may hold in memory when the disk refuses. What is short is there in any case, up to 256 KiB of it.
    pub memory: ByteCount,
    /// Bytes that all fills together may hold in memory, those of short ones included.
    pub memory_total: ByteCount,
    /// Originals up to this length are kept, so that a new format needs no download; longer ones are not.
    pub source_keep: ByteCount,
    /// How long a failure is remembered, so that a broken source is not asked at every call.
    #[serde(with = "duration_text")]
    pub negative: Duration,
    /// How long a failure is remembered where the origin says for how long (`Retry-After`, the freshness of a 404), at most.
    #[serde(with = "duration_text")]
    pub negative_said_max: Duration,
    /// How many failures are remembered at once.
    pub negative_max: usize,
    /// Transcodes in progress at once, those that have waited long for their origin aside.
    pub workers: usize,
    /// Transcodes that have waited long for their origin, at once.
    pub parked_max: usize,
    /// Transcodes waiting for a worker; beyond it the answer is 503.
    pub queue_max: usize,
    /// Transcodes that use a CPU at once; 0 = one for each CPU of the machine.
    pub cpus: usize,
    /// Fills started with `wait: false` whose state can be asked for.
    pub remembered_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            wait: Duration::from_secs(30),
            stale_wait: Duration::from_secs(2),
            grace: Duration::from_millis(250),
            grace_source_max: ByteCount::mib(1),
            spool: ByteCount::gib(8),
            memory: ByteCount::mib(8),
            memory_total: ByteCount::mib(256),
            source_keep: ByteCount::mib(64),
            negative: Duration::from_secs(10),
            negative_said_max: Duration::from_secs(60),
            negative_max: 10_000,
            workers: 64,
            parked_max: 192,
            queue_max: 1_024,
            cpus: 0,
            remembered_max: 10_000,
        }
    }
}

impl Config {
    /// Notes what cannot work.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        problems.check(self.workers > 0, &key("workers"), "at least one worker is needed");
        problems.check(self.negative_max > 0, &key("negative_max"), "must be at least 1");
        problems.check(self.remembered_max > 0, &key("remembered_max"), "must be at least 1");
        problems.check(self.grace <= self.wait, &key("grace"), "must not be longer than wait");
        problems.check(self.spool >= self.memory, &key("spool"), "must be at least as large as memory");
        let total_max = self.memory_total >= self.memory;
        problems.check(total_max, &key("memory_total"), "must be at least as large as memory");
        let threads = self.workers.saturating_add(self.parked_max);
        problems.check(threads <= THREADS_MAX, &key("workers"), "workers and parked_max are at most 384 together");
    }

    /// What spools may take.
    pub(in crate::media) fn spool_limits(&self) -> spool::Limits {
        spool::Limits { total: self.spool, short: SHORT, memory: self.memory, memory_total: self.memory_total }
    }
}
