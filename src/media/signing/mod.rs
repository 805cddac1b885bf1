//! Signed paths: an address that says itself that it may be asked for (`spec/trust.md` §4, `spec/wire.md` §7).
//!
//! ```text
//! /{verb}/{signature}/{options}/…           as received, percent-escapes and all, up to a query
//!                    └──── rest ────┘
//! signature = base64url, without padding, of the first bytes of HMAC-SHA256(key, salt + rest)
//!             for every verb but "fetch": HMAC-SHA256(key, salt + "/" + verb + rest)
//! ```
//!
//! Pure: who signs is asked here before anything else about a request is looked at.
#![deny(clippy::indexing_slicing, clippy::as_conversions)]

mod config;

mod pair;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use subtle::{Choice, ConstantTimeEq as _};

use crate::{
    media::address,
    problem::{Kind, Problem},
};

pub use config::{Config, SigningError};
pub use pair::{Pair, PairError};

/// The verb whose paths are signed without its name: the public convention knows but one.
const UNNAMED_VERB: &str = "fetch";
/// Longest path that a MAC is computed of: a source of 8 KiB, all of it escaped, and its options.
const PATH_BYTES_MAX: usize = 32 << 10;
/// base64url of an HMAC-SHA256.
const SIGNATURE_CHARS_MAX: usize = 43;
/// Bytes that so many characters may decode to, and what the decoder wants beyond.
const SIGNATURE_BUFFER: usize = 48;

/// How a path stands to the node's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody who has a key signed it: that is a credential, for this path and no other.
    Signed,
    /// It says that it is not signed, and need not be.
    Unsigned,
    /// It must be signed and is not, or by none of the node's keys.
    Refused,
}

/// The node's keys. Cheap to clone.
#[derive(Clone)]
pub struct Signing {
    keys: Arc<[Key]>,
    required: bool,
    /// Bytes of a signature that is made, and the fewest that one is accepted with.
    signature_bytes: usize,
}

/// A pair that is ready for use.
struct Key {
    id: Option<String>,
    hmac: hmac::Key,
    salt: Vec<u8>,
}

impl Signing {
    /// The keys of a configuration.
    ///
    /// # Errors
    /// The file of keys cannot be used.
    pub fn new(config: &Config) -> Result<Signing, SigningError> {
        Ok(Signing::of(&config.pairs()?, config.required, config.signature_bytes))
    }

    fn of(pairs: &[Pair], required: bool, signature_bytes: usize) -> Signing {
        let key = |pair: &Pair| Key {
            id: pair.id().map(str::to_owned),
            hmac: hmac::Key::new(hmac::HMAC_SHA256, pair.key()),
            salt: pair.salt().to_vec(),
        };
        Signing { keys: pairs.iter().map(key).collect(), required, signature_bytes }
    }

    /// Whether anything can be signed here.
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Judges a request's path as received.
    ///
    /// Cost: one HMAC for each key, whichever the path names: the time tells neither which keys there are nor which was
    /// nearly right. No allocation.
    pub fn standing(&self, raw_path: &str) -> Standing {
        let unsigned = if self.required && self.has_keys() { Standing::Refused } else { Standing::Unsigned };
        let Some(parts) = Parts::of(raw_path) else { return unsigned };
        let key_id = key_id(parts.rest);
        if address::is_unsigned(parts.signature) && key_id.is_none() {
            return unsigned;
        }
        if self.verifies(&parts, key_id) { Standing::Signed } else { Standing::Refused }
    }

    /// Whether a path says of itself that nobody has signed it.
    pub fn is_unsigned(&self, raw_path: &str) -> bool {
        Parts::of(raw_path).is_none_or(|parts| address::is_unsigned(parts.signature) && key_id(parts.rest).is_none())
    }

    /// What a refused path is told: the same whatever is wrong with it.
    pub fn refusal(&self) -> Problem {
        let detail = if self.has_keys() {
            "the path is not signed by a key of this node (media.signing) or of an account"
        } else {
            "no signing keys are configured and no account's signs this: the signature part is \"_\""
        };
        Problem::new(Kind::SignatureInvalid, detail)
    }

    /// Puts a signature into the place of the one that `path` has, by the first key with the id that its options name.
    ///
    /// None where there is no such key, or this is no path that can be signed.
    pub fn sign(&self, path: &str) -> Option<String> {
        let Parts { verb, rest, .. } = Parts::of(path).filter(|parts| begins_with_options(parts.rest))?;
        let id = key_id(rest);
        let key = self.keys.iter().find(|key| key.id.as_deref() == id)?;
        let mac = key.mac(verb, rest);
        let signature = URL_SAFE_NO_PAD.encode(mac.as_ref().get(..self.signature_bytes)?);
        Some(format!("/{verb}/{signature}{rest}"))
    }

    /// The id of the key that a path says it is signed with.
    pub fn key_id(raw_path: &str) -> Option<&str> {
        key_id(Parts::of(raw_path)?.rest)
    }

    /// Whether a path is signed with a key that is not the node's: an account's, which has no salt.
    pub fn is_signed_with(&self, key: &hmac::Key, raw_path: &str) -> bool {
        let Some(parts) = Parts::of(raw_path) else { return false };
        let mut decoded = [0; SIGNATURE_BUFFER];
        let Some(given) = self.given(&parts, &mut decoded) else { return false };
        is_beginning_of(&mac(key, b"", parts.verb, parts.rest), given).into()
    }

    fn verifies(&self, parts: &Parts<'_>, key_id: Option<&str>) -> bool {
        let mut decoded = [0; SIGNATURE_BUFFER];
        let Some(given) = self.given(parts, &mut decoded) else { return false };
        let matches = |key: &Key| {
            let is_meant = key.id.as_deref() == key_id;
            is_beginning_of(&key.mac(parts.verb, parts.rest), given) & Choice::from(u8::from(is_meant))
        };
        // All of them, found or not.
        self.keys.iter().map(matches).fold(Choice::from(0), |found, matches| found | matches).into()
    }

    /// The bytes of a path's signature, where it can be one.
    fn given<'b>(&self, parts: &Parts<'_>, decoded: &'b mut [u8; SIGNATURE_BUFFER]) -> Option<&'b [u8]> {
        let Parts { signature, rest, .. } = parts;
        if SIGNATURE_CHARS_MAX < signature.len() || PATH_BYTES_MAX < rest.len() || !begins_with_options(rest) {
            return None;
        }
        // Spare bits and padding are refused: a signature has one spelling.
        let length = URL_SAFE_NO_PAD.decode_slice(signature, decoded).ok()?;
        decoded.get(..length).filter(|given| self.signature_bytes <= given.len())
    }
}

impl Key {
    fn mac(&self, verb: &str, rest: &str) -> hmac::Tag {
        mac(&self.hmac, &self.salt, verb, rest)
    }
}

fn mac(key: &hmac::Key, salt: &[u8], verb: &str, rest: &str) -> hmac::Tag {
    let mut mac = hmac::Context::with_key(key);
    mac.update(salt);
    if verb != UNNAMED_VERB {
        mac.update(b"/");
        mac.update(verb.as_bytes());
    }
    mac.update(rest.as_bytes());
    mac.sign()
}

fn is_beginning_of(mac: &hmac::Tag, given: &[u8]) -> Choice {
    mac.as_ref().get(..given.len()).map_or(Choice::from(0), |mac| mac.ct_eq(given))
}

/// How many keys there are, and nothing about them.
impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Signing { keys, required, signature_bytes } = self;
        f.debug_struct("Signing")
            .field("keys", &keys.len())
            .field("required", required)
            .field("signature_bytes", signature_bytes)
            .finish()
    }
}

/// `/{verb}/{signature}{rest}`, the rest with its slash.
struct Parts<'a> {
    verb: &'a str,
    signature: &'a str,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(raw_path: &'a str) -> Option<Parts<'a>> {
        let (verb, after) = address::without_query(raw_path).strip_prefix('/')?.split_once('/')?;
        let (signature, rest) = after.split_at_checked(after.find('/')?)?;
        Some(Parts { verb, signature, rest })
    }
}

fn options(rest: &str) -> &str {
    rest.split('/').nth(1).unwrap_or_default()
}

/// Whether what was signed is the rest of a path and not the name of a verb with one behind it: `/say/SIGNATURE/-/X` and
/// `/fetch/SIGNATURE/say/-/X` have the same message.
fn begins_with_options(rest: &str) -> bool {
    let options = options(rest);
    options == "-" || options.contains(':')
}

fn key_id(rest: &str) -> Option<&str> {
    let mut named = options(rest).split(',').filter_map(|option| option.split_once(':'));
    named.find(|(name, _)| *name == address::KEY).map(|(_, id)| id)
}
