//! Options that change what is heard: channel, trimming, loudness, gain. Their values, and their one spelling in requests and in the
//! names of artifacts.

#[cfg(test)]
mod tests;

use std::fmt;

use super::{FormatError, clip};

/// What is done to the sound between decoding and encoding, in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Effects {
    /// What of the channels is heard.
    pub channel: Channel,
    /// Where silence is cut off.
    pub trim: Option<Trim>,
    /// The loudness that the whole is brought to.
    pub loudness: Option<Loudness>,
    /// Louder or quieter, on top of the loudness.
    pub gain: Gain,
}

impl Effects {
    /// The sound as it is, mixed to mono.
    pub const NONE: Effects = Effects { channel: Channel::Mix, trim: None, loudness: None, gain: Gain::UNITY };

    /// Whether the first bytes depend on the whole.
    pub fn are_held(self) -> bool {
        self.loudness.is_some() || self.trim.is_some_and(|trim| trim.edges.trailing())
    }

    /// Takes an option over; `false` if it is none of these.
    pub(super) fn apply(&mut self, name: &str, value: &str) -> Result<bool, FormatError> {
        let refuse = |name, expected| FormatError::BadValue { name, value: clip(value), expected };
        match name {
            "channel" => {
                let channel = Channel::parse(value);
                self.channel = channel.ok_or_else(|| refuse("channel", "mix, left or right"))?;
            }
            "gain" => {
                let gain = tenths(value).and_then(Gain::new);
                self.gain = gain.ok_or_else(|| refuse("gain", "-60 to 30 dB with at most one decimal"))?;
            }
            "loudness" if value == "none" => self.loudness = None,
            "loudness" => {
                let target = tenths(value).and_then(Loudness::new);
                let expected = "-70 to 0 LUFS with at most one decimal, or none";
                self.loudness = Some(target.ok_or_else(|| refuse("loudness", expected))?);
            }
            "trim" if value == "none" => self.trim = None,
            "trim" => {
                let expected =
                    "leading, trailing, both or none, and a threshold of -90 to -20 dBFS if need be: both:-40";
                self.trim = Some(Trim::parse(value).ok_or_else(|| refuse("trim", expected))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Names and values of what is not the default, sorted by name.
    pub(super) fn pairs(self) -> impl Iterator<Item = (&'static str, String)> {
        let channel = (self.channel != Channel::Mix).then(|| ("channel", self.channel.as_str().to_owned()));
        let gain = (self.gain != Gain::UNITY).then(|| ("gain", Tenths(self.gain.0).to_string()));
        let loudness = self.loudness.map(|target| ("loudness", Tenths(target.0).to_string()));
        let trim = self.trim.map(|trim| ("trim", trim.to_string()));
        [channel, gain, loudness, trim].into_iter().flatten()
    }
}

/// What of a source's channels is heard. Mono sources sound the same in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// All of them.
    Mix,
    /// The front left one.
    Left,
    /// The front right one.
    Right,
}

impl Channel {
    const ALL: [Channel; 3] = [Channel::Mix, Channel::Left, Channel::Right];

    fn parse(text: &str) -> Option<Channel> {
        Channel::ALL.into_iter().find(|channel| channel.as_str() == text)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Channel::Mix => "mix",
            Channel::Left => "left",
            Channel::Right => "right",
        }
    }
}

/// A change of level in steps of 0.1 dB, −60 to 30 dB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gain(i16);

impl Gain {
    /// No change.
    pub const UNITY: Gain = Gain(0);

    const fn new(tenths: i16) -> Option<Gain> {
        if tenths >= -600 && tenths <= 300 { Some(Gain(tenths)) } else { None }
    }

    /// In tenths of a decibel.
    pub const fn tenths(self) -> i16 {
        self.0
    }
}

/// An integrated loudness (ITU-R BS.1770, EBU R 128) in steps of 0.1 LU, −70 to 0 LUFS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Loudness(i16);

impl Loudness {
    const fn new(tenths: i16) -> Option<Loudness> {
        if tenths >= -700 && tenths <= 0 { Some(Loudness(tenths)) } else { None }
    }

    /// In tenths of a LUFS.
    pub const fn tenths(self) -> i16 {
        self.0
    }
}

/// Which silence is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trim {
    /// At which ends.
    pub edges: Edges,
    /// What is quieter than this, in tenths of a dBFS, is silence.
    threshold: i16,
}

/// Ends of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edges {
    /// Before the first sound.
    Leading,
    /// Behind the last sound.
    Trailing,
    /// Both.
    Both,
}

impl Trim {
    /// −50 dBFS: above the noise of a telephone line and of 8-bit companding, below breath and soft consonants.
    const THRESHOLD_DEFAULT: i16 = -500;

    fn parse(text: &str) -> Option<Trim> {
        let (edges, threshold) = match text.split_once(':') {
            Some((edges, threshold)) => (edges, tenths(threshold)?),
            None => (text, Trim::THRESHOLD_DEFAULT),
        };
        let edges = Edges::ALL.into_iter().find(|candidate| candidate.as_str() == edges)?;
        (-900..=-200).contains(&threshold).then_some(Trim { edges, threshold })
    }

    /// What is quieter than this is silence, in tenths of a dBFS of a single sample.
    pub const fn threshold_tenths(self) -> i16 {
        self.threshold
    }
}

impl fmt::Display for Trim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.edges.as_str())?;
        if self.threshold == Trim::THRESHOLD_DEFAULT { Ok(()) } else { write!(f, ":{}", Tenths(self.threshold)) }
    }
}

impl Edges {
    const ALL: [Edges; 3] = [Edges::Leading, Edges::Trailing, Edges::Both];

    const fn as_str(self) -> &'static str {
        match self {
            Edges::Leading => "leading",
            Edges::Trailing => "trailing",
            Edges::Both => "both",
        }
    }

    /// Whether the beginning is among them.
    pub const fn leading(self) -> bool {
        matches!(self, Edges::Leading | Edges::Both)
    }

    /// Whether the end is among them.
    pub const fn trailing(self) -> bool {
        matches!(self, Edges::Trailing | Edges::Both)
    }
}

/// Reads a decimal number with at most one decimal: `-3`, `+3`, `-3.5`.
fn tenths(text: &str) -> Option<i16> {
    const DIGITS_MAX: usize = 3;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, tenth) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole, DIGITS_MAX) || !is_number(tenth, 1) {
        return None;
    }
    let (whole, tenth): (i16, i16) = (whole.parse().ok()?, tenth.parse().ok()?);
    Some(sign * (whole * 10 + tenth))
}

/// Writes tenths without a decimal that is nought: one spelling for each number.
struct Tenths(i16);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, magnitude) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        match (magnitude / 10, magnitude % 10) {
            (whole, 0) => write!(f, "{sign}{whole}"),
            (whole, tenth) => write!(f, "{sign}{whole}.{tenth}"),
        }
    }
}
