//! What operators can set about the S3 store.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    problem::ConfigProblems,
    secret::Secret,
    units::{ByteCount, duration_text},
};

/// Least part of an upload in parts: what S3 asks of all but the last.
const PART_MIN: ByteCount = ByteCount::mib(5);
/// Most of a part: two of them are in memory for each upload.
const PART_MAX: ByteCount = ByteCount::mib(256);
/// Bytes of a prefix at most: with the longest name it fits the 1 024 bytes of S3.
const PREFIX_MAX: usize = 256;

/// `[media.cache.durable.s3]`: bucket, server, credentials and limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The bucket. It must exist.
    pub bucket: Option<String>,
    /// What the names of all objects begin with, as it is: with a `/` at its end it is a folder. Empty by default.
    pub prefix: String,
    /// The region; without it `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, else `us-east-1`, which other servers seldom look at.
    pub region: Option<String>,
    /// URL of the server; without it `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile's, else AWS itself.
    pub endpoint: Option<String>,
    /// Whether the bucket is named in the path rather than in the host. `false`, which AWS wants; other servers mostly need `true`.
    pub path_style: bool,
    /// Access key id. Without it the usual chain: `AWS_ACCESS_KEY_ID` and its siblings, profile, web identity, container, instance.
    pub access_key: Option<Secret>,
    /// Secret access key, together with `access_key`.
    pub secret_key: Option<Secret>,
    /// Session token of temporary keys.
    pub session_token: Option<Secret>,
    /// Whether checksums beyond the signed digest of each body are sent and asked for. `when-required`: many other servers refuse them,
    /// and what is read is checked against its own digest anyway.
    pub checksums: Checksums,
    /// Whether writes say that they must not replace (`If-None-Match: *`). `true`: of two nodes that make the same audio the first wins.
    /// A server that does not know it is remembered and asked without.
    pub create_only: bool,
    /// Duration for one connection: name look-up, TCP and TLS. 1 s: the store is near.
    #[serde(with = "duration_text")]
    pub connect_timeout: Duration,
    /// Longest silence: until an answer begins, and between two pieces of it. 5 s.
    #[serde(with = "duration_text")]
    pub read_timeout: Duration,
    /// Duration for sending an object or a part of one and its answer, each time it is tried. 1 min: `part_bytes` at 1.2 Mbit/s.
    #[serde(with = "duration_text")]
    pub write_timeout: Duration,
    /// How often a request is tried, with growing pauses of random length. 3.
    pub attempts_max: u32,
    /// Bytes up to which an object is written in one request, and of the parts of longer ones. 8 MiB: hardly a prompt needs parts. Two of
    /// them are in memory for each upload.
    pub part_bytes: ByteCount,
}

/// When checksums are sent and asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksums {
    /// With every request that can have them.
    WhenSupported,
    /// Only with those that must have them.
    WhenRequired,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            bucket: None,
            prefix: String::new(),
            region: None,
            endpoint: None,
            path_style: false,
            access_key: None,
            secret_key: None,
            session_token: None,
            checksums: Checksums::WhenRequired,
            create_only: true,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(60),
            attempts_max: 3,
            part_bytes: ByteCount::mib(8),
        }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table. What a store needs is asked for only if it `is_used`.
    pub fn validate(&self, prefix: &str, is_used: bool, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        let has_bucket = self.bucket.as_ref().is_some_and(|bucket| !bucket.is_empty());
        problems.check(has_bucket || !is_used, &key("bucket"), "is missing: the store is a bucket");
        problems.check(
            is_prefix(&self.prefix),
            &key("prefix"),
            "is no beginning of names: letters, digits, - _ . and single / within",
        );
        if let Some(endpoint) = &self.endpoint {
            // The text is not repeated: a password may stand in it.
            problems.check(
                is_endpoint(endpoint),
                &key("endpoint"),
                "is no URL such as \"http://10.0.0.5:9000\", without user and query",
            );
        }
        problems.check(
            self.access_key.is_some() || self.secret_key.is_none(),
            &key("access_key"),
            "is missing: a secret key needs its access key",
        );
        problems.check(
            self.secret_key.is_some() || self.access_key.is_none(),
            &key("secret_key"),
            "is missing: an access key needs its secret key",
        );
        problems.check(
            self.session_token.is_none() || self.access_key.is_some(),
            &key("session_token"),
            "stands there without access_key",
        );
        for (name, span) in [
            ("connect_timeout", self.connect_timeout),
            ("read_timeout", self.read_timeout),
            ("write_timeout", self.write_timeout),
        ] {
            problems.check(!span.is_zero(), &key(name), "must be longer than nothing");
        }
        problems.check(self.attempts_max > 0, &key("attempts_max"), "must be at least 1");
        if self.part_bytes < PART_MIN || PART_MAX < self.part_bytes {
            problems.push(key("part_bytes"), format!("{} is not between {PART_MIN} and {PART_MAX}", self.part_bytes));
        }
    }
}

fn is_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    text.len() <= PREFIX_MAX && text.bytes().all(plain) && !text.starts_with('/') && !text.contains("//")
}

fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
