//! Proof that whoever exchanges a code is who had it asked for (PKCE, RFC 7636): the method `S256`, and no other.

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest;
use subtle::ConstantTimeEq as _;

/// Characters of a verifier (RFC 7636 §4.1).
const VERIFIER: std::ops::RangeInclusive<usize> = 43..=128;

/// A code challenge: the sha256 of a verifier, in the letters of URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S256(String);

/// The text is no such challenge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the 43 letters of a code challenge by S256")]
pub struct NotAChallenge;

impl S256 {
    /// As it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this verifier is what the challenge was made of.
    pub fn is_of(&self, verifier: &str) -> bool {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_verifier = VERIFIER.contains(&verifier.len()) && verifier.bytes().all(is_letter);
        let of = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        is_verifier && bool::from(of.as_bytes().ct_eq(self.0.as_bytes()))
    }
}

impl FromStr for S256 {
    type Err = NotAChallenge;

    fn from_str(text: &str) -> Result<S256, NotAChallenge> {
        let is_digest = URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == digest::SHA256_OUTPUT_LEN);
        if is_digest { Ok(S256(text.to_owned())) } else { Err(NotAChallenge) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636() {
        let challenge: S256 = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".parse().unwrap();
        assert!(challenge.is_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        for wrong in ["", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjX"] {
            assert!(!challenge.is_of(wrong), "{wrong}");
        }
        for wrong in ["", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="]
        {
            assert_eq!(wrong.parse::<S256>().unwrap_err(), NotAChallenge);
        }
        // A verifier is never shorter than what can be guessed.
        let of_short: S256 = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, b"short")).parse().unwrap();
        assert!(!of_short.is_of("short"));
    }
}
