//! What operators can set about the durable tier.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::s3;
use crate::{
    problem::ConfigProblems,
    units::{ByteCount, duration_text},
};

/// Uses are noted once a day: what is used every day must not expire.
const ARTIFACTS_KEEP_MIN: Duration = Duration::from_secs(2 * 24 * 3600);
/// Several parts in a second would keep a store busy with lists.
const SWEEP_EVERY_MIN: Duration = Duration::from_secs(60);
/// Longer than any write takes.
const ORPHANS_KEEP_MIN: Duration = Duration::from_secs(3600);

/// `[media.cache.durable]`: where finished audio is kept for good, and how long a store that fails is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which kind of store; `off` by default, because only an operator knows a place that outlives the node.
    pub store: StoreKind,
    /// The directory of `store = "directory"`; without it, `durable` in the data directory.
    pub directory: Option<PathBuf>,
    /// Requests to the store at once. 256: enough to keep a store busy, and a bound on connections and files.
    pub requests_max: usize,
    /// How long a request waits for its turn before it fails. 1 s: what is behind that is faster made again.
    #[serde(with = "duration_text")]
    pub requests_wait: Duration,
    /// An answer that takes longer than this counts as a failure for the pauses below, though it is used. 2 s.
    #[serde(with = "duration_text")]
    pub slow: Duration,
    /// Failures one after the other after which the store is left alone. 5: a single lost connection is none of its faults.
    pub rest_after_failures: u32,
    /// For how long, at first; doubled with each further failure, with up to a fifth added by chance. 1 s: a restart is hardly noticed.
    #[serde(with = "duration_text")]
    pub rest_first: Duration,
    /// For how long at most. 30 s: its recovery is used soon.
    #[serde(with = "duration_text")]
    pub rest_max: Duration,
    /// How long an index entry is waited for before the origin is asked instead. 500 ms: callers hear nothing meanwhile.
    #[serde(with = "duration_text")]
    pub index_wait: Duration,
    /// Writes to the store at once, behind what callers wait for. 192: more tasks than fills have where these take all CPUs, so that writes
    /// get the turns that they need; never more than three quarters of `requests_max`, so that who reads finds a place.
    pub writers: usize,
    /// Changes that may wait to be written there; they wait in the catalogue, about 100 bytes each, and across restarts. 1,000,000.
    pub pending_max: u64,
    /// How long the node's end waits for what is still to be written. 10 s; the rest follows after the next start.
    #[serde(with = "duration_text")]
    pub drain: Duration,
    /// For how long audio stays there that is not used, with its index entries; `0s` is for ever, and the default: only an operator knows
    /// what may go. Nodes that share a store should agree on this and the next ones.
    #[serde(with = "duration_text")]
    pub artifacts_keep: Duration,
    /// For how long kept originals stay there; `0s` is for ever, and the default: audio is made again from them when its origin is gone.
    #[serde(with = "duration_text")]
    pub originals_keep: Duration,
    /// Bytes there, uploads aside; beyond, the oldest go. `0B` is no bound, and the default: buckets have none.
    pub bytes_max: ByteCount,
    /// How long one pass of the sweep takes; `0s` switches it off on this node. 1 h: a request every few seconds.
    #[serde(with = "duration_text")]
    pub sweep_every: Duration,
    /// For how long what nothing leads to stays, because its writer may not be done. 1 day: longer than most outages.
    #[serde(with = "duration_text")]
    pub orphans_keep: Duration,
    /// The store of `store = "s3"`.
    pub s3: s3::Config,
}

/// What the durable tier is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// There is no durable tier.
    Off,
    /// Files in a directory.
    Directory,
    /// S3, or a server that speaks its protocol.
    S3,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            store: StoreKind::Off,
            directory: None,
            requests_max: 256,
            requests_wait: Duration::from_secs(1),
            slow: Duration::from_secs(2),
            rest_after_failures: 5,
            rest_first: Duration::from_secs(1),
            rest_max: Duration::from_secs(30),
            index_wait: Duration::from_millis(500),
            writers: 192,
            pending_max: 1_000_000,
            drain: Duration::from_secs(10),
            artifacts_keep: Duration::ZERO,
            originals_keep: Duration::ZERO,
            bytes_max: ByteCount::bytes(0),
            sweep_every: Duration::from_secs(3600),
            orphans_keep: Duration::from_secs(24 * 3600),
            s3: s3::Config::default(),
        }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        if let Some(directory) = &self.directory {
            problems.check(!directory.as_os_str().is_empty(), &key("directory"), "is empty");
        }
        problems.check(self.requests_max > 0, &key("requests_max"), "must be at least 1");
        problems.check(self.rest_after_failures > 0, &key("rest_after_failures"), "must be at least 1");
        problems.check(!self.slow.is_zero(), &key("slow"), "must be longer than nothing: every answer would be slow");
        problems.check(!self.rest_first.is_zero(), &key("rest_first"), "must be longer than nothing");
        problems.check(self.rest_first <= self.rest_max, &key("rest_first"), "must not be longer than rest_max");
        problems.check(self.writers > 0, &key("writers"), "must be at least 1");
        problems.check(self.pending_max > 0, &key("pending_max"), "must be at least 1");
        let is_off_or_from = |span: Duration, min: Duration| span.is_zero() || min <= span;
        let problem = "must be 0s or at least 2days: uses are noted once a day";
        problems.check(is_off_or_from(self.artifacts_keep, ARTIFACTS_KEEP_MIN), &key("artifacts_keep"), problem);
        let problem = "must be 0s or at least 1min";
        problems.check(is_off_or_from(self.sweep_every, SWEEP_EVERY_MIN), &key("sweep_every"), problem);
        problems.check(ORPHANS_KEEP_MIN <= self.orphans_keep, &key("orphans_keep"), "must be at least 1h");
        self.s3.validate(&key("s3"), self.store == StoreKind::S3, problems);
    }

    /// Writes at once: whatever the two settings say, readers find a place.
    pub(in crate::media::cache) fn writers_at_once(&self) -> usize {
        self.writers.min((self.requests_max * 3 / 4).max(1))
    }

    /// Whether there is a durable tier.
    pub fn is_on(&self) -> bool {
        self.store != StoreKind::Off
    }

    /// Whether anything there expires by when it was used last.
    pub fn expires(&self) -> bool {
        !self.artifacts_keep.is_zero() || self.bytes_max.get() > 0
    }

    /// A name for the store, to tell it from others.
    pub fn place(&self, data_dir: &Path) -> String {
        match self.store {
            StoreKind::Off => "off".to_owned(),
            StoreKind::Directory => format!("directory {}", self.directory(data_dir).display()),
            StoreKind::S3 => {
                let s3::Config { endpoint, bucket, prefix, .. } = &self.s3;
                format!("s3 {endpoint:?} {bucket:?} {prefix:?}")
            }
        }
    }

    /// The directory of `store = "directory"`.
    pub fn directory(&self, data_dir: &Path) -> PathBuf {
        self.directory.clone().unwrap_or_else(|| data_dir.join("durable"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, StoreKind};
    use crate::problem::ConfigProblems;

    #[test]
    fn mistakes_are_told_with_their_keys() {
        #[track_caller]
        fn check(text: &str, expected: &[&str]) {
            let config: Config = toml::from_str(text).unwrap();
            let mut problems = ConfigProblems::default();
            config.validate("d", &mut problems);
            assert_eq!(problems.iter().map(|(key, _)| key).collect::<Vec<_>>(), expected, "{text}");
        }
        check("", &[]);
        check("store = \"directory\"", &[]);
        check("store = \"s3\"\ns3.bucket = \"audio\"", &[]);
        check("store = \"s3\"", &["d.s3.bucket"]);
        check("directory = \"\"", &["d.directory"]);
        check("requests_max = 0", &["d.requests_max"]);
        check("rest_after_failures = 0", &["d.rest_after_failures"]);
        check("slow = \"0s\"", &["d.slow"]);
        check("rest_first = \"0s\"", &["d.rest_first"]);
        check("rest_first = \"2m\"", &["d.rest_first"]);
        check("artifacts_keep = \"1day\"", &["d.artifacts_keep"]);
        check("artifacts_keep = \"30days\"\noriginals_keep = \"1day\"\nbytes_max = \"1TiB\"", &[]);
        check("sweep_every = \"0s\"", &[]);
        check("sweep_every = \"1s\"", &["d.sweep_every"]);
        check("orphans_keep = \"0s\"", &["d.orphans_keep"]);
        check("s3.prefix = \"/a\"", &["d.s3.prefix"]);
        check("s3.prefix = \"a//b\"", &["d.s3.prefix"]);
        check("s3.prefix = \"voice/v1.\"", &[]);
        check("s3.endpoint = \"10.0.0.1:9000\"", &["d.s3.endpoint"]);
        check("s3.endpoint = \"ftp://10.0.0.1\"", &["d.s3.endpoint"]);
        check("s3.endpoint = \"http://user:secret@10.0.0.1\"", &["d.s3.endpoint"]);
        check("s3.endpoint = \"http://10.0.0.1:9000\"", &[]);
        check("s3.access_key = \"a\"", &["d.s3.secret_key"]);
        check("s3.secret_key = \"a\"", &["d.s3.access_key"]);
        check("s3.session_token = \"a\"", &["d.s3.session_token"]);
        check("s3.part_bytes = \"1MiB\"", &["d.s3.part_bytes"]);
        check("s3.attempts_max = 0", &["d.s3.attempts_max"]);
        check("s3.read_timeout = \"0s\"", &["d.s3.read_timeout"]);
    }

    #[test]
    fn secrets_are_shown_to_nobody() {
        let config: Config = toml::from_str("s3.access_key = \"hush-1\"\ns3.secret_key = \"hush-2\"").unwrap();
        let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
        assert!(!shown.contains("hush"), "{shown}");
        assert!(toml::from_str::<Config>("s3.secret_key = 17").unwrap_err().to_string().contains("is no text"));
    }

    #[test]
    fn the_directory_is_in_the_data_directory_unless_said() {
        let config: Config = toml::from_str("store = \"directory\"").unwrap();
        assert_eq!(config.store, StoreKind::Directory);
        assert_eq!(config.directory("data".as_ref()), std::path::Path::new("data/durable"));
        let config: Config = toml::from_str("directory = \"/srv/audio\"").unwrap();
        assert_eq!(config.directory("data".as_ref()), std::path::Path::new("/srv/audio"));
    }
}
