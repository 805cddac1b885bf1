//! What operators can set about uploads.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    problem::ConfigProblems,
    units::{ByteCount, duration_text},
};

/// Longest time that an upload can be gone on with, so that its end is a date.
const RESUMED_WITHIN_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// `[media.uploads]`: audio that people put here. It lies in the durable tier where there is one, else in `uploads` in the data directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of one upload. 512 MiB, as for sources.
    pub bytes_max: ByteCount,
    /// Bytes that the uploads of one tenant may have together. Without it, as much as there is room for.
    pub tenant_bytes_max: Option<ByteCount>,
    /// Uploads of one tenant. Without it, 100,000 where the bytes are limited, else as many as there is room for.
    pub tenant_uploads_max: Option<u64>,
    /// Uploads that are being received at once. 16: each may take `bytes_max` of the spool.
    pub receiving_max: usize,
    /// How long one may take to arrive, and of one in parts each part. 1 h: the largest at 1.2 Mbit/s.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
    /// Uploads in parts that are known: those that have not come to their end, and those that did a while ago, the oldest of which make room
    /// for others. 1,000.
    pub unfinished_uploads_max: usize,
    /// Bytes of those that have not, by the lengths that their senders said. 8 GiB of the data directory.
    pub unfinished_max: ByteCount,
    /// How long after its last part one can be gone on with. 1 d.
    #[serde(with = "duration_text")]
    pub resumed_within: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            bytes_max: ByteCount::mib(512),
            tenant_bytes_max: None,
            tenant_uploads_max: None,
            receiving_max: 16,
            timeout: Duration::from_secs(3600),
            unfinished_uploads_max: 1_000,
            unfinished_max: ByteCount::gib(8),
            resumed_within: Duration::from_secs(86_400),
        }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        problems.check(self.bytes_max.get() > 0, &key("bytes_max"), "must be more than 0B");
        problems.check(self.receiving_max > 0, &key("receiving_max"), "must be at least 1");
        problems.check(!self.timeout.is_zero(), &key("timeout"), "must be more than 0s");
        let is_said = !self.resumed_within.is_zero() && self.resumed_within <= RESUMED_WITHIN_MAX;
        problems.check(is_said, &key("resumed_within"), "must be more than 0s, and 10 years at most");
    }
}
