use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::pair::{Pair, PairError};
use crate::problem::ConfigProblems;

/// Half of the hash, below which RFC 2104 §5 does not go: 128 bits.
const SIGNATURE_BYTES_MIN: usize = 16;
/// An HMAC-SHA256.
const SIGNATURE_BYTES_MAX: usize = 32;
/// Each costs every signed request a MAC.
const PAIRS_MAX: usize = 16;
/// Longest file of keys, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Keys by which paths are signed, and what they are needed for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Pairs `KEY:SALT` or `ID=KEY:SALT` in hexadecimal, at most 16 together with those of `keys_file`. Those without an
    /// id are the node's own: the first of them signs, all are accepted. One with an id is tried where `k` names it.
    #[serde(deserialize_with = "pairs_without_an_echo")]
    pub keys: Vec<Pair>,
    /// File with more of them, one a line, read at the start: where secrets are mounted rather than configured.
    pub keys_file: Option<PathBuf>,
    /// Whether, once there are keys, every `/fetch` and `/say` must be signed. Otherwise `http.anonymous` goes on to say what unsigned
    /// ones may do.
    pub required: bool,
    /// Bytes of a signature that is made, and the fewest that one is accepted with.
    pub signature_bytes: usize,
}

/// Keys cannot be used. Quotes nothing of them.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The file is not there, not readable or not text.
    #[error("{} cannot be read: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What happened.
        error: Arc<io::Error>,
    },
    /// The file is no list of keys.
    #[error("{} is longer than {} bytes", path.display(), FILE_BYTES_MAX)]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The file has nothing in it.
    #[error("{} holds no keys", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// One of the file's lines is no pair.
    #[error("line {line} of {} {mistake}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        mistake: PairError,
    },
}

impl Default for Config {
    fn default() -> Config {
        Config { keys: Vec::new(), keys_file: None, required: true, signature_bytes: SIGNATURE_BYTES_MAX }
    }
}

impl Config {
    /// Notes every mistake under its key; `prefix` is the dotted path of this section.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        problems.check(
            (SIGNATURE_BYTES_MIN..=SIGNATURE_BYTES_MAX).contains(&self.signature_bytes),
            &format!("{prefix}.signature_bytes"),
            &format!("must be {SIGNATURE_BYTES_MIN} to {SIGNATURE_BYTES_MAX}"),
        );
        match self.pairs() {
            Ok(pairs) => problems.check(
                pairs.len() <= PAIRS_MAX,
                &format!("{prefix}.keys"),
                &format!("are {} with those of keys_file: at most {PAIRS_MAX} pairs are tried", pairs.len()),
            ),
            Err(error) => problems.push(format!("{prefix}.keys_file"), error.to_string()),
        }
    }

    /// Whether there is something to sign with.
    pub fn has_keys(&self) -> bool {
        self.keys_file.is_some() || !self.keys.is_empty()
    }

    /// All pairs, those of the file behind the others.
    pub(super) fn pairs(&self) -> Result<Vec<Pair>, SigningError> {
        let mut pairs = self.keys.clone();
        if let Some(path) = &self.keys_file {
            pairs.extend(read(path)?);
        }
        Ok(pairs)
    }
}

fn read(path: &Path) -> Result<Vec<Pair>, SigningError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    let length = read.map_err(|error| SigningError::File { path: path.to_owned(), error: Arc::new(error) })?;
    if u64::try_from(length).is_ok_and(|length| FILE_BYTES_MAX < length) {
        return Err(SigningError::TooLong { path: path.to_owned() });
    }
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let pair = |(line, text): (usize, &str)| {
        text.parse().map_err(|mistake| SigningError::Line { path: path.to_owned(), line, mistake })
    };
    let pairs: Vec<Pair> = lines.map(pair).collect::<Result<_, _>>()?;
    if pairs.is_empty() { Err(SigningError::Empty { path: path.to_owned() }) } else { Ok(pairs) }
}

/// Reads the list by hand: what serde says of a value of the wrong type quotes it, and this one is secret.
fn pairs_without_an_echo<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pair>, D::Error> {
    let refuse = || de::Error::custom("is not a list of texts \"KEY:SALT\" or \"ID=KEY:SALT\"");
    let said = serde_json::Value::deserialize(deserializer).map_err(|_| refuse())?;
    let items = said.as_array().ok_or_else(refuse)?.iter().map(|item| item.as_str().ok_or_else(refuse));
    let pair = |(index, text): (usize, Result<&str, D::Error>)| {
        text?.parse().map_err(|error| de::Error::custom(format!("number {} {error}", index + 1)))
    };
    items.enumerate().map(pair).collect()
}
