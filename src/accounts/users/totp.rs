//! Codes of authenticators: TOTP as RFC 6238 has it, by HMAC-SHA1, of six digits, a new one every thirty seconds, as every authenticator takes them.
#![deny(clippy::indexing_slicing, clippy::as_conversions)]

use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

/// Bytes of what node and authenticator share: as many as the hash has (RFC 4226 §4).
pub(in crate::accounts) const SECRET_BYTES: usize = 20;
const STEP_SECONDS: u64 = 30;
const DIGITS: usize = 6;
/// Steps before and after this one whose codes are taken: clocks differ, and people type.
const WINDOW: i64 = 1;
/// RFC 4648 §6.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The step that a code is of, among those that are taken now and later than `used`.
///
/// All of them are computed and compared, whichever it is.
pub(in crate::accounts) fn step_of(secret: &[u8; SECRET_BYTES], code: &str, now: SystemTime, used: i64) -> Option<i64> {
    let now = step_at(now);
    let mut found = 0;
    for step in now - WINDOW..=now + WINDOW {
        let is_it = code_at(secret, step).as_bytes().ct_eq(code.as_bytes());
        found = i64::conditional_select(&found, &step, is_it);
    }
    (used < found).then_some(found)
}

/// The step of a time.
pub(in crate::accounts) fn step_at(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds / STEP_SECONDS).unwrap_or(i64::MAX)
}

/// The code of a step (RFC 4226 §5.3).
pub(in crate::accounts) fn code_at(secret: &[u8; SECRET_BYTES], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = tag.as_ref().last().map_or(0, |byte| usize::from(byte & 15));
    let bytes = tag.as_ref().get(offset..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    let number = (u32::from_be_bytes(bytes) & 0x7fff_ffff) % 1_000_000;
    format!("{number:0DIGITS$}")
}

/// As authenticators take it: base 32, without padding, which twenty bytes need not.
pub(in crate::accounts) fn to_base32(secret: &[u8; SECRET_BYTES]) -> String {
    let (mut bits, mut count, mut text) = (0_u32, 0_u32, String::new());
    for byte in secret {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while 5 <= count {
            count -= 5;
            let letter = usize::try_from(bits >> count & 31).ok().and_then(|letter| ALPHABET.get(letter));
            text.extend(letter.map(|letter| char::from(*letter)));
        }
    }
    text
}

/// Reads what [`to_base32`] has written.
pub(in crate::accounts) fn of_base32(text: &str) -> Option<[u8; SECRET_BYTES]> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0_u32, Vec::with_capacity(SECRET_BYTES));
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        count += 5;
        if 8 <= count {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 255).ok()?);
        }
    }
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SECRET: &[u8; SECRET_BYTES] = b"12345678901234567890";

    /// RFC 6238, appendix B, of which the last six digits.
    const VECTORS: &[(u64, &str)] = &[
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        for (seconds, code) in VECTORS {
            assert_eq!(code_at(SECRET, step_at(at(*seconds))), *code, "at {seconds}");
            assert_eq!(step_of(SECRET, code, at(*seconds), 0), Some(step_at(at(*seconds))));
        }
    }

    #[test]
    fn a_code_is_taken_a_step_early_or_late_and_once() {
        let (time, code) = (1_111_111_111, "050471");
        let step = step_at(at(time));
        for (offset, is_taken) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            let now = at(time.saturating_add_signed(offset));
            assert_eq!(step_of(SECRET, code, now, 0).is_some(), is_taken, "{offset} s");
            assert_eq!(step_of(SECRET, code, now, step), None, "it was used");
            assert_eq!(step_of(SECRET, code, now, step + 1), None, "a later one was used");
        }
        for wrong in ["", "050472", "50471", "0050471", "05047a", " 050471"] {
            assert_eq!(step_of(SECRET, wrong, at(time), 0), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(secret: [u8; SECRET_BYTES]) {
            let text = to_base32(&secret);
            prop_assert_eq!(text.len(), 32);
            prop_assert_eq!(of_base32(&text), Some(secret));
        }
    }

    #[test]
    fn base_32_is_that_of_the_standard() {
        assert_eq!(to_base32(SECRET), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(of_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ"), None);
        assert_eq!(of_base32("gezdgnbvgy3tqojqgezdgnbvgy3tqojq"), None);
    }
}
