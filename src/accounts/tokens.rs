//! Clients' tokens: JWT (RFC 7519) that an account's server has signed with one of its signing keys.
//!
//! ```text
//! header  alg: HS256, and nothing else. cty: "twilio-fpa;v=1" where the ecosystem's libraries made it
//! claims  iss: name of the signing key   sub: the account   exp, nbf, iat: seconds   aud: "ringback", unless cty says who it is for
//!         grants: { identity: …, ringback: { scopes: "media:read …", epoch: 0 } }
//! ```
//!
//! A token lives an hour at most, whatever it says, and may do what its grant says and its key may. `epoch` must be the account's, which is 0, and
//! so need not be said, until the account has ended all tokens at once.

use std::{
    sync::Once,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature,
};
use ring::hmac;
use serde::Deserialize;

use crate::{
    ids::{AccountSid, KeySid},
    secret::Secret,
};

use super::Scopes;

/// For whom tokens are.
pub(super) const AUDIENCE: &str = "ringback";
/// What the ecosystem's libraries say of theirs instead.
const ECOSYSTEM_TYPE: &str = "twilio-fpa;v=1";
/// How long a token is good at most.
const LIFE_MAX: Duration = Duration::from_secs(3_600);
/// Bytes of a bearer's name at most.
const IDENTITY_MAX: usize = 256;
/// How far clocks may be apart.
const LEEWAY: Duration = Duration::from_secs(30);

/// What a token says, once its signature was found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) account: AccountSid,
    pub(super) identity: String,
    pub(super) scopes: Scopes,
    pub(super) epoch: i64,
    pub(super) expires: SystemTime,
}

#[derive(Deserialize)]
struct Claims {
    iss: KeySid,
    sub: AccountSid,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    aud: Option<String>,
    #[serde(default)]
    grants: Grants,
}

#[derive(Default, Deserialize)]
struct Grants {
    #[serde(default)]
    identity: String,
    ringback: Option<Grant>,
}

#[derive(Deserialize)]
struct Grant {
    #[serde(default)]
    scopes: String,
    #[serde(default)]
    epoch: i64,
}

/// Which key says that it has signed it. Nothing of that is known to be true.
pub(super) fn key_of(token: &str) -> Option<KeySid> {
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token).ok()?;
    Some(claims.iss)
}

/// What a token says, if this key's secret has signed it and it is good now.
pub(super) fn read(token: &str, secret: &Secret, now: SystemTime) -> Option<Token> {
    install_cryptography();
    let mut validation = Validation::new(Algorithm::HS256);
    // Times and audience are judged below, by the node's clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(secret.reveal().as_bytes());
    let data = jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?;
    let claims = data.claims;
    let is_for_us = match claims.aud.as_deref() {
        Some(audience) => audience == AUDIENCE,
        None => data.header.cty.as_deref() == Some(ECOSYSTEM_TYPE),
    };
    let at = |seconds: u64| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let expires = at(claims.exp)?;
    let has_begun = |seconds: Option<u64>| seconds.is_none_or(|from| at(from).is_some_and(|from| from <= now + LEEWAY));
    // Counted from when it was made, or from now where it does not say.
    let made = claims.iat.and_then(at).unwrap_or(now);
    let ends = made.checked_add(LIFE_MAX)?;
    let is_short = expires <= ends && expires <= now + LIFE_MAX + LEEWAY;
    let is_good = is_for_us && now < expires && is_short && has_begun(claims.nbf) && has_begun(claims.iat);
    let grant = claims.grants.ringback;
    let epoch = grant.as_ref().map_or(0, |grant| grant.epoch);
    let scopes = grant.map_or(Ok(Scopes::NONE), |grant| grant.scopes.parse()).ok()?;
    let identity = &claims.grants.identity;
    let is_name = identity.len() <= IDENTITY_MAX && !identity.chars().any(char::is_control);
    (is_good && is_name).then_some(Token {
        account: claims.sub,
        identity: claims.grants.identity,
        scopes,
        epoch,
        expires,
    })
}

/// HMAC by ring, which is there for TLS; of all that the library could do nothing else is.
struct Hs256(hmac::Key);

impl signature::Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl signature::Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

pub(super) fn install_cryptography() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm: &Algorithm, key: &EncodingKey| match algorithm {
            Algorithm::HS256 => Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())))),
            _ => Err(Error::from(ErrorKind::InvalidAlgorithm)),
        },
        verifier_factory: |algorithm: &Algorithm, key: &DecodingKey| match algorithm {
            Algorithm::HS256 => Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key.try_get_as_bytes()?)))),
            _ => Err(Error::from(ErrorKind::InvalidAlgorithm)),
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    static ONCE: Once = Once::new();
    // Fails where somebody has installed one before: it is this one, or it does the same.
    ONCE.call_once(|| PROVIDER.install_default().unwrap_or_default());
}
