//! Physical quantities as types, and their spelling in configuration files.

use std::{fmt, time::Duration};

/// Samples per second of one channel. Always within [`SampleRate::MIN`]..=[`SampleRate::MAX`].
///
/// This is the rate of the signal, not the RTP clock: G.722 samples at 16 kHz and has an 8 kHz RTP clock (RFC 3551 §4.5.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleRate(u32);

impl SampleRate {
    /// Lowest rate that is accepted, in Hz.
    pub const MIN: SampleRate = SampleRate(4_000);
    /// Highest rate that is accepted, in Hz.
    pub const MAX: SampleRate = SampleRate(192_000);
    /// 8 kHz: G.711 and narrow-band telephony.
    pub const HZ_8000: SampleRate = SampleRate(8_000);
    /// 16 kHz: wide-band telephony.
    pub const HZ_16000: SampleRate = SampleRate(16_000);
    /// 24 kHz.
    pub const HZ_24000: SampleRate = SampleRate(24_000);
    /// 32 kHz.
    pub const HZ_32000: SampleRate = SampleRate(32_000);
    /// 48 kHz: what Opus works at.
    pub const HZ_48000: SampleRate = SampleRate(48_000);

    /// A rate in Hz; `None` outside 4 000..=192 000.
    pub const fn new(hz: u32) -> Option<SampleRate> {
        if hz >= Self::MIN.0 && hz <= Self::MAX.0 { Some(SampleRate(hz)) } else { None }
    }

    /// The rate in Hz.
    pub const fn hz(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Number of interleaved channels: 1 (mono) to 8 (7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channels(u8);

impl Channels {
    /// One channel.
    pub const MONO: Channels = Channels(1);
    /// Two channels.
    pub const STEREO: Channels = Channels(2);
    /// Most channels that are accepted.
    pub const MAX: Channels = Channels(8);

    /// A channel count; `None` outside 1..=8.
    pub const fn new(count: usize) -> Option<Channels> {
        match count {
            1..=8 => Some(Channels(count as u8)),
            _ => None,
        }
    }

    /// How many channels, as a count for indexing.
    pub const fn count(self) -> usize {
        self.0 as usize
    }
}

/// Whole seconds, rounded up: who comes back too early comes for nothing.
pub fn seconds_up(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(0 < span.subsec_nanos()))
}

/// Serde spelling of a [`std::time::Duration`] as text with a unit: `"30s"`, `"250ms"`, `"4h"`.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes the shortest exact text, for example `5m` or `250ms`.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    /// Reads text such as `"30s"`; a bare number is refused because it has no unit.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            de::Error::custom(format!("{text:?} is not a duration such as \"30s\" or \"250ms\": {error}"))
        })
    }
}

/// The same where there may be none.
pub mod optional_duration_text {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    use super::duration_text;

    /// Writes it as [`duration_text`] does. To be left out where there is none.
    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => duration_text::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads it as [`duration_text`] does.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        duration_text::deserialize(deserializer).map(Some)
    }
}

/// A count of bytes in configuration, spelled with a unit: `"512MiB"`, `"4GiB"`, `"900B"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteCount(u64);

impl ByteCount {
    /// That many bytes.
    pub const fn bytes(count: u64) -> ByteCount {
        ByteCount(count)
    }

    /// That many times 1 024 bytes.
    pub const fn kib(count: u64) -> ByteCount {
        ByteCount(count << 10)
    }

    /// That many times 1 024² bytes.
    pub const fn mib(count: u64) -> ByteCount {
        ByteCount(count << 20)
    }

    /// That many times 1 024³ bytes.
    pub const fn gib(count: u64) -> ByteCount {
        ByteCount(count << 30)
    }

    /// The count as a number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The count as a size in memory; saturates on 32-bit targets.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ByteCount {
    /// The largest binary unit that divides the count exactly, so that text and value are one to one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl serde::Serialize for ByteCount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ByteCount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ByteCount, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<bytesize::ByteSize>()
            .map(|size| ByteCount(size.as_u64()))
            .map_err(|error| serde::de::Error::custom(format!("{text:?} is not a size such as \"512MiB\": {error}")))
    }
}

#[cfg(test)]
mod tests;
