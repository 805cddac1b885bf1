//! Bodies without a container: what somebody says that they are, and how that is spelled (`spec/media.md` §1 and §3).
//!
//! The saying counts only where the bytes themselves say nothing. It comes from the caller's option `input`, from the origin's
//! Content-Type, or from the extension in its URL where the origin names no type.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use super::{Codec, Container, FormatError, TABLE, clip};
use crate::units::{Channels, SampleRate};

/// The option that declares an input. It is part of no format.
const OPTION: &str = "input";
/// What it takes, for people.
const EXPECTED: &str = "ulaw, alaw, g722, gsm, sln, sln16, sln24, sln32, sln48, l16:RATE or l16:RATE:CHANNELS (l16be where the high byte comes first)";

/// Names and values of options.
type Options<'a> = Cow<'a, [(&'a str, &'a str)]>;

/// A body without a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Headerless {
    coding: HeaderlessCoding,
    rate: SampleRate,
    channels: Channels,
}

/// How the samples of a body without a container are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderlessCoding {
    /// G.711 μ-law.
    Ulaw,
    /// G.711 A-law.
    Alaw,
    /// 16-bit signed linear, low byte first.
    L16,
    /// 16-bit signed linear, high byte first.
    L16BigEndian,
    /// G.722 at 64 kbit/s.
    G722,
    /// GSM 06.10 in frames of 33 bytes.
    Gsm,
}

impl HeaderlessCoding {
    const ALL: [HeaderlessCoding; 6] = [
        HeaderlessCoding::Ulaw,
        HeaderlessCoding::Alaw,
        HeaderlessCoding::L16,
        HeaderlessCoding::L16BigEndian,
        HeaderlessCoding::G722,
        HeaderlessCoding::Gsm,
    ];

    /// Name in artifact ids, options, logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            HeaderlessCoding::Ulaw => "ulaw",
            HeaderlessCoding::Alaw => "alaw",
            HeaderlessCoding::L16 => "l16",
            HeaderlessCoding::L16BigEndian => "l16be",
            HeaderlessCoding::G722 => "g722",
            HeaderlessCoding::Gsm => "gsm",
        }
    }

    fn parse(name: &str) -> Option<HeaderlessCoding> {
        HeaderlessCoding::ALL.into_iter().find(|coding| coding.as_str() == name)
    }

    /// The coding of a media type's essence, in lower case.
    fn of_essence(essence: &str) -> Option<HeaderlessCoding> {
        Some(match essence {
            "audio/pcmu" | "audio/basic" | "audio/ulaw" | "audio/mulaw" | "audio/x-ulaw" | "audio/x-mulaw" => {
                HeaderlessCoding::Ulaw
            }
            "audio/pcma" | "audio/alaw" | "audio/x-alaw" | "audio/x-alaw-basic" => HeaderlessCoding::Alaw,
            "audio/l16" => HeaderlessCoding::L16,
            "audio/g722" => HeaderlessCoding::G722,
            "audio/gsm" | "audio/x-gsm" => HeaderlessCoding::Gsm,
            _ => return None,
        })
    }

    /// The rate where nothing is said; linear samples have none.
    const fn usual_rate(self) -> Option<SampleRate> {
        match self {
            HeaderlessCoding::Ulaw | HeaderlessCoding::Alaw | HeaderlessCoding::Gsm => Some(SampleRate::HZ_8000),
            HeaderlessCoding::G722 => Some(SampleRate::HZ_16000),
            HeaderlessCoding::L16 | HeaderlessCoding::L16BigEndian => None,
        }
    }

    const fn is_linear(self) -> bool {
        matches!(self, HeaderlessCoding::L16 | HeaderlessCoding::L16BigEndian)
    }
}

/// What a Content-Type says of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// That it is this.
    This(Headerless),
    /// Nothing: there is none, or it says "bytes", or less than is needed.
    Nothing,
    /// That it is something else.
    Other,
}

impl Headerless {
    /// `None` for what there is not: several channels of anything but linear samples, another rate of a codec that has one only.
    pub fn new(coding: HeaderlessCoding, rate: SampleRate, channels: Channels) -> Option<Headerless> {
        let has_rate = match coding {
            HeaderlessCoding::G722 | HeaderlessCoding::Gsm => coding.usual_rate() == Some(rate),
            _ => true,
        };
        let has_channels = coding.is_linear() || channels == Channels::MONO;
        (has_rate && has_channels).then_some(Headerless { coding, rate, channels })
    }

    /// How its samples are coded.
    pub const fn coding(self) -> HeaderlessCoding {
        self.coding
    }

    /// Samples of each channel in a second.
    pub const fn rate(self) -> SampleRate {
        self.rate
    }

    /// Interleaved channels.
    pub const fn channels(self) -> Channels {
        self.channels
    }

    /// What an origin declares by its Content-Type or, where that says nothing, by the extension in its URL's path.
    pub fn declared(content_type: Option<&str>, path: &str) -> Option<Headerless> {
        match content_type.map_or(Said::Nothing, Headerless::of_content_type) {
            Said::This(headerless) => Some(headerless),
            Said::Nothing => Headerless::of_path(path),
            Said::Other => None,
        }
    }

    /// What the extension of a file's name declares: that of an output without a container, in any case of letters, or `gsm`.
    pub fn of_path(path: &str) -> Option<Headerless> {
        let name = path.rsplit('/').next()?;
        let (_, extension) = name.rsplit_once('.')?;
        Headerless::of_extension(|name| name.eq_ignore_ascii_case(extension))
    }

    /// Of the first extension that `is` the one.
    fn of_extension(is: impl Fn(&str) -> bool) -> Option<Headerless> {
        let mut outputs = TABLE.iter().filter(|(_, format)| format.container == Container::None);
        let Some((_, format)) = outputs.find(|(name, _)| is(name)) else {
            let gsm = HeaderlessCoding::Gsm;
            return is(gsm.as_str()).then(|| Headerless::parse(gsm.as_str(), ':')).flatten();
        };
        let coding = match format.codec {
            Codec::Ulaw => HeaderlessCoding::Ulaw,
            Codec::Alaw => HeaderlessCoding::Alaw,
            Codec::Pcm16 => HeaderlessCoding::L16,
            Codec::G722 => HeaderlessCoding::G722,
            Codec::Opus | Codec::Raw => return None,
        };
        Headerless::new(coding, format.rate, Channels::MONO)
    }

    /// RFC 9110 §8.3. The types are those of RFC 3551 and what telephony servers send besides.
    ///
    /// RFC 2586 and RFC 3551 put the high byte of `audio/L16` first. Over HTTP nobody does: Asterisk, FreeSWITCH, speech services and
    /// this node's own outputs send it low byte first, so that is what it is taken for, unless `endianness=big-endian` stands with it.
    fn of_content_type(text: &str) -> Said {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        // Object stores say this of whatever nobody gave a type.
        if matches!(essence.as_str(), "" | "application/octet-stream" | "binary/octet-stream") {
            return Said::Nothing;
        }
        let Some(mut coding) = HeaderlessCoding::of_essence(&essence) else { return Said::Other };
        let (mut rate, mut channels) = (coding.usual_rate(), Some(Channels::MONO));
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                // RTP counts G.722 at half its rate (RFC 3551 §4.5.2): whichever is said, there is one only.
                "rate" if coding != HeaderlessCoding::G722 => rate = value.parse().ok().and_then(SampleRate::new),
                "channels" => channels = value.parse().ok().and_then(Channels::new),
                "endianness" if coding.is_linear() && value.eq_ignore_ascii_case("big-endian") => {
                    coding = HeaderlessCoding::L16BigEndian;
                }
                _ => {}
            }
        }
        match (rate, channels) {
            (Some(rate), Some(channels)) => Headerless::new(coding, rate, channels).map_or(Said::Other, Said::This),
            // A rate that is guessed plays at the wrong speed; an extension may know it.
            (None, _) if coding.is_linear() => Said::Nothing,
            _ => Said::Other,
        }
    }

    /// Reads what the option [`input`](Headerless::take_option) takes: an extension of an output without a container, or the name of a
    /// coding with rate and channels.
    ///
    /// # Errors
    /// Neither.
    pub fn from_option(value: &str) -> Result<Headerless, FormatError> {
        Headerless::of_extension(|name| name == value)
            .or_else(|| Headerless::parse(value, ':'))
            .ok_or_else(|| FormatError::BadValue { name: OPTION, value: clip(value), expected: EXPECTED })
    }

    /// Takes the option `input` from among others: what is left is for the format.
    ///
    /// # Errors
    /// It is given twice, or its value is none.
    pub fn take_option(options: Options<'_>) -> Result<(Options<'_>, Option<Headerless>), FormatError> {
        let mut values = options.iter().filter(|(name, _)| *name == OPTION).map(|(_, value)| *value);
        let Some(value) = values.next() else { return Ok((options, None)) };
        if values.next().is_some() {
            return Err(FormatError::RepeatedOption { name: OPTION.to_owned() });
        }
        let rest = options.iter().filter(|(name, _)| *name != OPTION).copied().collect();
        Ok((Cow::Owned(rest), Some(Headerless::from_option(value)?)))
    }

    /// Content-Type of the body as it is.
    pub fn content_type(self) -> Cow<'static, str> {
        let Headerless { coding, rate, channels } = self;
        let usual = match coding {
            HeaderlessCoding::Ulaw => "audio/PCMU",
            HeaderlessCoding::Alaw => "audio/PCMA",
            HeaderlessCoding::G722 => "audio/G722",
            HeaderlessCoding::Gsm => "audio/GSM",
            HeaderlessCoding::L16 | HeaderlessCoding::L16BigEndian => "audio/L16",
        };
        if coding.usual_rate() == Some(rate) {
            return Cow::Borrowed(usual);
        }
        let mut text = format!("{usual};rate={rate}");
        if channels != Channels::MONO {
            text.push_str(&format!(";channels={}", channels.count()));
        }
        if coding == HeaderlessCoding::L16BigEndian {
            text.push_str(";endianness=big-endian");
        }
        Cow::Owned(text)
    }

    /// Reads the normal form back, from what was written down; `None` for any other spelling.
    pub fn from_normal_form(text: &str) -> Option<Headerless> {
        Headerless::parse(text, ';').filter(|headerless| headerless.to_string() == text)
    }

    /// Reads coding, rate and channels; the latter two may be left out where they go without saying.
    fn parse(text: &str, separator: char) -> Option<Headerless> {
        let mut parts = text.split(separator);
        let coding = HeaderlessCoding::parse(parts.next()?)?;
        let rate = match parts.next() {
            Some(rate) => rate.parse().ok().and_then(SampleRate::new)?,
            None => coding.usual_rate()?,
        };
        let channels = match parts.next() {
            Some(channels) => channels.parse().ok().and_then(Channels::new)?,
            None => Channels::MONO,
        };
        if parts.next().is_some() {
            return None;
        }
        Headerless::new(coding, rate, channels)
    }
}

/// The normal form: coding;rate, and channels where there can be several.
impl fmt::Display for Headerless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.coding.as_str(), self.rate)?;
        if self.coding.is_linear() { write!(f, ";{}", self.channels.count()) } else { Ok(()) }
    }
}

impl serde::Serialize for Headerless {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Headerless {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Headerless, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Headerless::from_normal_form(&text).ok_or_else(|| serde::de::Error::custom("not the normal form of an input"))
    }
}

/// What an original was taken for, as it stands in artifact ids: `sniffed`, or the normal form of what was declared.
pub fn input_text(declared: Option<Headerless>) -> Cow<'static, str> {
    declared.map_or(Cow::Borrowed("sniffed"), |headerless| Cow::Owned(headerless.to_string()))
}
