//! How requests are signed: AWS Signature Version 4, in header fields. Pure.
//!
//! **Source**: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header". The tests hold it against the SDK's.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_sdk_s3::{
    config::Credentials,
    primitives::{DateTime, DateTimeFormat},
};
use ring::hmac;

use crate::ids::{BodyDigest, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Temporary keys are not used to their last moment: the server's clock is another.
const EXPIRES_BEFORE: Duration = Duration::from_secs(60);

/// What is asked of the server, but for where it is and by whose keys.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    /// As it stands in the request, from the first `/`.
    pub(super) path: &'a str,
    /// One pair of name and value, or nothing.
    pub(super) query: &'static str,
    /// Names in lower case. Values that are [plain](is_plain).
    pub(super) fields: Vec<(&'static str, &'a str)>,
    /// Of the body, or of nothing.
    pub(super) digest: BodyDigest,
    /// Where there is one. An empty one has a length, too.
    pub(super) body_length: Option<usize>,
}

/// Whether a value is signed as it is sent: both ends take spaces away, and not all of them the same.
pub(super) fn is_plain(value: &str) -> bool {
    let is_printed = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    value.bytes().all(is_printed) && value.trim_ascii() == value && !value.contains("  ")
}

/// An access key, and what is made of it once a day.
pub(super) struct Keys {
    access: String,
    secret: String,
    token: Option<String>,
    expires: Option<SystemTime>,
    /// The key of the day that it was asked for last. A std lock: held for comparing a few bytes.
    of_day: Mutex<Option<(String, hmac::Key)>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Keys {
    pub(super) fn new(credentials: &Credentials) -> Keys {
        Keys {
            access: credentials.access_key_id().to_owned(),
            secret: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
            expires: credentials.expiry(),
            of_day: Mutex::default(),
        }
    }

    /// Whether they can be used at `now`.
    pub(super) fn are_good_at(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|end| now + EXPIRES_BEFORE < end)
    }

    /// The head of a signed request, as it is sent.
    pub(super) fn head(&self, request: &Request<'_>, host: &str, region: &str, now: SystemTime) -> String {
        let Request { method, path, query, fields, digest, body_length } = request;
        let (stamp, digest) = (stamp(now), digest.to_string());
        let day = stamp.get(..8).unwrap_or(&stamp);
        let mut fields = fields.clone();
        fields.extend([("host", host), ("x-amz-content-sha256", digest.as_str()), ("x-amz-date", stamp.as_str())]);
        fields.extend(self.token.as_deref().map(|token| ("x-amz-security-token", token)));
        fields.sort_unstable();
        let names = fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let mut canonical = format!("{method}\n{path}\n{query}\n");
        for (name, value) in &fields {
            canonical.extend([name, ":", value, "\n"]);
        }
        canonical.extend(["\n", &names, "\n", &digest]);
        let scope = format!("{day}/{region}/s3/aws4_request");
        let canonical = BodyDigest::of(canonical.as_bytes());
        let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{canonical}");
        let signature = hex(&hmac::sign(&self.key(day, region), text.as_bytes()));
        let mut head = format!("{method} {path}");
        if !query.is_empty() {
            head.extend(["?", query]);
        }
        head.push_str(" HTTP/1.1\r\n");
        for (name, value) in &fields {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if let Some(length) = body_length {
            head.extend(["content-length: ", &length.to_string(), "\r\n"]);
        }
        let access = &self.access;
        head.push_str(&format!(
            "user-agent: ringback/{}\r\nauthorization: {ALGORITHM} Credential={access}/{scope}, SignedHeaders={names}, \
             Signature={signature}\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        ));
        head
    }

    fn key(&self, day: &str, region: &str) -> hmac::Key {
        let mut of_day = self.of_day.lock().unwrap_or_else(PoisonError::into_inner);
        match &*of_day {
            Some((known, key)) if known == day => key.clone(),
            _ => {
                let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", self.secret).as_bytes());
                let key = [day, region, "s3", "aws4_request"].into_iter().fold(first, |key, part| {
                    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
                });
                *of_day = Some((day.to_owned(), key.clone()));
                key
            }
        }
    }
}

/// `20261128T045935Z`.
fn stamp(now: SystemTime) -> String {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = DateTime::from_secs(i64::try_from(seconds).unwrap_or_default());
    let text = time.fmt(DateTimeFormat::DateTime).unwrap_or_default();
    text.chars().filter(|letter| !matches!(letter, '-' | ':')).collect()
}

fn hex(tag: &hmac::Tag) -> String {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    BodyDigest::from_bytes(bytes).to_string()
}

/// Of no body.
pub(super) fn digest_of_nothing() -> BodyDigest {
    BodyDigest::from_bytes(Sha256::of(b""))
}
