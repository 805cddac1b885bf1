//! Secrets at rest (`spec/trust.md` §3).
//!
//! What the node must use again (auth tokens, signing keys) is sealed; of what it only has to recognise (the secrets of API keys) a MAC is kept.
//! Both rest on a key file: 64 hexadecimal digits a line. The first seals; all open, so that a key is replaced by putting a new one in front
//! and sealing everything anew.
//!
//! ```text
//! sealed = version 1, 1 byte | key id, 4 bytes | nonce, 12 bytes | AES-256-GCM(text; the purpose is authenticated, too) | tag, 16 bytes
//! mac    = version 1, 1 byte | key id, 4 bytes | HMAC-SHA256(HMAC-SHA256(key, "ringback api key 1"), <name> \n <secret>)
//! tokens = signed with HMAC-SHA256(key, "ringback token 1") in hexadecimal digits, under the key id in hexadecimal digits
//! ```
#![deny(clippy::indexing_slicing, clippy::as_conversions)]

use std::{fmt, sync::Arc};

use rand::Rng as _;
use ring::{aead, hmac};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;

/// Bytes of a key in the file.
pub(super) const KEY_BYTES: usize = 32;

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sealer {
    keys: Arc<[Key]>,
}

struct Key {
    id: [u8; KEY_ID_BYTES],
    aead: aead::LessSafeKey,
    mac: hmac::Key,
    token: Secret,
}

/// What is sealed cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// By another key than those of the file, or by a later version of this program.
    #[error("a secret was sealed with a key that is not in the key file")]
    UnknownKey,
    /// It was changed, or sealed for something else.
    #[error("a sealed secret is damaged")]
    Damaged,
    /// The key file holds nothing.
    #[error("the key file holds no key")]
    NoKey,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// By these keys, the one that seals first.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn new(keys: &[[u8; KEY_BYTES]]) -> Result<Sealer, SealError> {
        let keys = keys.iter().map(Key::new).collect::<Result<Arc<[Key]>, SealError>>()?;
        if keys.is_empty() { Err(SealError::NoKey) } else { Ok(Sealer { keys }) }
    }

    /// Seals a text for a purpose. Only who names the same purpose can open it.
    pub(super) fn seal(&self, purpose: &str, text: &Secret) -> Result<Vec<u8>, SealError> {
        let key = self.keys.first().ok_or(SealError::NoKey)?;
        let mut nonce = [0; aead::NONCE_LEN];
        rand::rng().fill_bytes(&mut nonce);
        let mut body = text.reveal().as_bytes().to_vec();
        let purpose = aead::Aad::from(purpose.as_bytes());
        let nonce_of_seal = aead::Nonce::assume_unique_for_key(nonce);
        key.aead.seal_in_place_append_tag(nonce_of_seal, purpose, &mut body).map_err(|_| SealError::Damaged)?;
        Ok([&[VERSION][..], &key.id, &nonce, &body].concat())
    }

    /// Opens what was sealed for a purpose.
    pub(super) fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let (key, rest) = self.key_of(sealed)?;
        let (nonce, body) = rest.split_first_chunk().ok_or(SealError::Damaged)?;
        let mut body = body.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let text = key.aead.open_in_place(nonce, aead::Aad::from(purpose.as_bytes()), &mut body);
        let text = text.map_err(|_| SealError::Damaged)?;
        String::from_utf8(text.to_vec()).map(Secret::new).map_err(|_| SealError::Damaged)
    }

    /// Whether the key that seals now has sealed it.
    pub(super) fn is_current(&self, sealed: &[u8]) -> bool {
        let current = self.keys.first().map(|key| key.id);
        self.key_of(sealed).is_ok_and(|(key, _)| Some(key.id) == current)
    }

    /// What is kept of a secret that has only to be recognised.
    pub(super) fn mac(&self, name: &str, secret: &str) -> Result<Vec<u8>, SealError> {
        let key = self.keys.first().ok_or(SealError::NoKey)?;
        Ok([&[VERSION][..], &key.id, key.tag(name, secret).as_ref()].concat())
    }

    /// Whether it is the secret. Takes as long for a wrong one as for the right one.
    pub(super) fn recognises(&self, name: &str, secret: &str, mac: &[u8]) -> bool {
        let Ok((key, said)) = self.key_of(mac) else { return false };
        key.tag(name, secret).as_ref().ct_eq(said).into()
    }

    /// What the node signs its own tokens with, and the name of that key.
    pub(super) fn token_key(&self) -> Result<(String, &Secret), SealError> {
        let key = self.keys.first().ok_or(SealError::NoKey)?;
        Ok((hex(&key.id), &key.token))
    }

    /// What tokens were signed with that name this key.
    pub(super) fn token_key_of(&self, name: &str) -> Option<&Secret> {
        self.keys.iter().find(|key| hex(&key.id) == name).map(|key| &key.token)
    }

    fn key_of<'a>(&self, made: &'a [u8]) -> Result<(&Key, &'a [u8]), SealError> {
        let (version, rest) = made.split_first().ok_or(SealError::Damaged)?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>().ok_or(SealError::Damaged)?;
        if *version != VERSION {
            return Err(SealError::UnknownKey);
        }
        let key = self.keys.iter().find(|key| key.id == *id).ok_or(SealError::UnknownKey)?;
        Ok((key, rest))
    }
}

impl Key {
    fn new(key: &[u8; KEY_BYTES]) -> Result<Key, SealError> {
        let derive = |purpose: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), purpose.as_bytes());
        let sealing = derive("ringback seal 1");
        let aead = aead::UnboundKey::new(&aead::AES_256_GCM, sealing.as_ref()).map_err(|_| SealError::NoKey)?;
        Ok(Key {
            id: derive("ringback seal key id 1").as_ref().first_chunk().copied().ok_or(SealError::NoKey)?,
            aead: aead::LessSafeKey::new(aead),
            mac: hmac::Key::new(hmac::HMAC_SHA256, derive("ringback api key 1").as_ref()),
            token: Secret::new(hex(derive("ringback token 1").as_ref())),
        })
    }

    fn tag(&self, name: &str, secret: &str) -> hmac::Tag {
        hmac::sign(&self.mac, format!("{name}\n{secret}").as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "in a test a panic is the answer")]
mod tests {
    use super::*;

    fn sealer(keys: &[u8]) -> Sealer {
        Sealer::new(&keys.iter().map(|key| [*key; KEY_BYTES]).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn only_the_same_purpose_and_key_open_it() {
        let sealed = sealer(&[1]).seal("token of AC1", &Secret::new("hush".to_owned())).unwrap();
        assert_eq!(sealer(&[1]).open("token of AC1", &sealed).unwrap().reveal(), "hush");
        assert_eq!(sealer(&[1]).open("token of AC2", &sealed).unwrap_err(), SealError::Damaged);
        assert_eq!(sealer(&[2]).open("token of AC1", &sealed).unwrap_err(), SealError::UnknownKey);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            sealer(&[1]).open("token of AC1", &changed).unwrap_err();
            sealer(&[1]).open("token of AC1", &sealed[..at]).unwrap_err();
        }
        assert!(!sealed.windows(4).any(|bytes| bytes == b"hush"));
        assert_ne!(sealed, sealer(&[1]).seal("token of AC1", &Secret::new("hush".to_owned())).unwrap());
    }

    #[test]
    fn a_key_is_replaced_by_one_in_front_of_it() {
        let (old, new) = (sealer(&[1]), sealer(&[2, 1]));
        let sealed = old.seal("x", &Secret::new("hush".to_owned())).unwrap();
        assert_eq!(new.open("x", &sealed).unwrap().reveal(), "hush");
        assert!(old.is_current(&sealed) && !new.is_current(&sealed));
        let mac = old.mac("SK1", "hush").unwrap();
        assert!(new.recognises("SK1", "hush", &mac));
        assert!(new.is_current(&new.mac("SK1", "hush").unwrap()));
        assert!(!old.recognises("SK1", "hush", &new.mac("SK1", "hush").unwrap()));
    }

    #[test]
    fn a_secret_is_recognised_under_its_name_only() {
        let mac = sealer(&[1]).mac("SK1", "hush").unwrap();
        let recognises = |name, secret, mac: &[u8]| sealer(&[1]).recognises(name, secret, mac);
        assert!(recognises("SK1", "hush", &mac));
        assert!(!recognises("SK2", "hush", &mac) && !recognises("SK1", "hus", &mac) && !recognises("SK1", "", &mac));
        assert!(!recognises("SK1", "hush", &mac[..mac.len() - 1]) && !recognises("SK1", "hush", &[]));
    }

    #[test]
    fn without_a_key_there_is_no_sealer() {
        assert!(matches!(Sealer::new(&[]), Err(SealError::NoKey)));
    }
}
