//! How much an application may use of what an account allows it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Bounds of an authorization. What is not said is not bounded by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// What may be spent in a month, in the currency of the account.
    pub spend: Option<Amount>,
    /// How many of each kind of work at once.
    pub concurrency: Option<u32>,
}

impl Limits {
    /// Whether these are nowhere wider than `other`.
    pub fn are_within(&self, other: &Limits) -> bool {
        fn is_within<T: Ord>(this: Option<T>, other: Option<T>) -> bool {
            other.is_none_or(|other| this.is_some_and(|this| this <= other))
        }
        is_within(self.spend, other.spend) && is_within(self.concurrency, other.concurrency)
    }
}

/// An amount of money, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Amount(u64);

/// Digits after the point at most.
const PLACES: usize = 6;
const MICROS: u64 = 1_000_000;
/// More is a slip of the pen, and no longer exact in clients that read numbers as floating ones.
const MICROS_MAX: u64 = 1_000_000_000 * MICROS;

/// The text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an amount like 12.50, at most 1000000000, with up to 6 digits after the point")]
pub struct NotAnAmount;

impl Amount {
    /// Millionths.
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Amount, NotAnAmount> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(part) || PLACES < part.len() {
            return Err(NotAnAmount);
        }
        let part: u64 = format!("{part:0<PLACES$}").parse().map_err(|_| NotAnAmount)?;
        let whole: u64 = whole.parse().map_err(|_| NotAnAmount)?;
        let micros = whole.checked_mul(MICROS).and_then(|whole| whole.checked_add(part));
        micros.filter(|micros| *micros <= MICROS_MAX).map(Amount).ok_or(NotAnAmount)
    }
}

impl fmt::Display for Amount {
    /// With two digits after the point, or as many as it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:06}", self.0 % MICROS);
        let part = part.trim_end_matches('0');
        write!(f, "{}.{part:0<2}", self.0 / MICROS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_back_as_they_are_shown() {
        for (text, shown) in
            [("0", "0.00"), ("12.5", "12.50"), ("0.000001", "0.000001"), ("1000000000", "1000000000.00")]
        {
            let amount: Amount = text.parse().unwrap();
            assert_eq!(amount.to_string(), shown);
            assert_eq!(shown.parse::<Amount>().unwrap(), amount);
        }
        for wrong in
            ["", ".", "1.", ".5", "-1", "1e3", "1.0000001", "1000000000.01", "99999999999999999999", "1,5", "+1"]
        {
            assert_eq!(wrong.parse::<Amount>().unwrap_err(), NotAnAmount, "{wrong}");
        }
    }

    #[test]
    fn bounds_are_only_ever_narrowed() {
        let limits =
            |spend: Option<&str>, concurrency| Limits { spend: spend.map(|text| text.parse().unwrap()), concurrency };
        let some = limits(Some("5"), Some(2));
        assert!(some.are_within(&Limits::default()) && some.are_within(&some));
        assert!(limits(Some("4.99"), Some(0)).are_within(&some));
        for wider in [
            Limits::default(),
            limits(Some("5"), None),
            limits(None, Some(2)),
            limits(Some("5.01"), Some(2)),
            limits(Some("5"), Some(3)),
        ] {
            assert!(!wider.are_within(&some), "{wider:?}");
        }
    }
}
