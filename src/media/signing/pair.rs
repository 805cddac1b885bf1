use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// Fewest bytes of a key: those of the hash, below which RFC 2104 §3 calls a key too weak for it.
const KEY_BYTES_MIN: usize = 32;
/// Most bytes of a key and of a salt.
const BYTES_MAX: usize = 512;
/// Longest id, in characters.
const ID_CHARS_MAX: usize = 64;

/// A secret key, the salt that stands before what it signs, and the name that paths call it by.
///
/// Spelled `KEY:SALT` or `ID=KEY:SALT`, both in hexadecimal. Shown without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    id: Option<String>,
    key: Vec<u8>,
    salt: Vec<u8>,
}

/// Text that is no pair. Quotes nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// No colon.
    #[error("is not KEY:SALT or ID=KEY:SALT, key and salt in hexadecimal")]
    Shape,
    /// The name cannot stand in a path.
    #[error("has an id that is not 1 to {} letters, digits and -_.", ID_CHARS_MAX)]
    Id,
    /// An odd number of digits, or something else than digits.
    #[error("has a {what} that is not hexadecimal, two digits for each byte")]
    NotHexadecimal {
        /// `key` or `salt`.
        what: &'static str,
    },
    /// A key that can be guessed.
    #[error("has a key of less than {} bytes ({} digits)", KEY_BYTES_MIN, 2 * KEY_BYTES_MIN)]
    KeyTooShort,
    /// A salt that is not there: more likely a variable that was empty than a wish.
    #[error("has an empty salt")]
    NoSalt,
    /// More than is of any use.
    #[error("has a {what} of more than {} bytes", BYTES_MAX)]
    TooLong {
        /// `key` or `salt`.
        what: &'static str,
    },
}

impl Pair {
    /// A pair of whatever strength: the public test vector has a key that nobody should use.
    #[cfg(test)]
    pub(super) fn unchecked(id: Option<&str>, key: &[u8], salt: &[u8]) -> Pair {
        Pair { id: id.map(str::to_owned), key: key.to_vec(), salt: salt.to_vec() }
    }

    /// A signing key of an account. It is long enough, and has no salt.
    pub fn of_account(id: String, secret: &str) -> Pair {
        Pair { id: Some(id), key: secret.as_bytes().to_vec(), salt: Vec::new() }
    }

    /// What paths call it by; none = the node's own, which paths without the option `k` are signed with.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.salt
    }
}

impl FromStr for Pair {
    type Err = PairError;

    fn from_str(text: &str) -> Result<Pair, PairError> {
        let (id, pair) = match text.trim().split_once('=') {
            Some((id, pair)) => (Some(id), pair),
            None => (None, text.trim()),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if id.is_some_and(|id| id.is_empty() || ID_CHARS_MAX < id.len() || !id.bytes().all(plain)) {
            return Err(PairError::Id);
        }
        let (key, salt) = pair.split_once(':').ok_or(PairError::Shape)?;
        let (key, salt) = (bytes(key, "key")?, bytes(salt, "salt")?);
        if key.len() < KEY_BYTES_MIN {
            return Err(PairError::KeyTooShort);
        }
        if salt.is_empty() {
            return Err(PairError::NoSalt);
        }
        Ok(Pair { id: id.map(str::to_owned), key, salt })
    }
}

fn bytes(hexadecimal: &str, what: &'static str) -> Result<Vec<u8>, PairError> {
    let refuse = || PairError::NotHexadecimal { what };
    let digit = |digit: char| digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
    let digits: Vec<u8> = hexadecimal.chars().map(digit).collect::<Option<_>>().ok_or_else(refuse)?;
    let (pairs, []) = digits.as_chunks::<2>() else { return Err(refuse()) };
    if BYTES_MAX < pairs.len() {
        return Err(PairError::TooLong { what });
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{id}=***"),
            None => f.write_str("***"),
        }
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
