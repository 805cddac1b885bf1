//! The one table of output formats: extensions, codecs, containers, rates and content types (`spec/media.md` §2).
//!
//! Pure vocabulary: every part of the media room speaks it and none of them is imported here.

mod effects;
mod headerless;

use std::{borrow::Cow, fmt};

use crate::{
    ids::{ArtifactId, ContentHash},
    units::SampleRate,
};

pub use effects::{Channel, Edges, Effects, Gain, Loudness, Trim};
pub use headerless::{Headerless, HeaderlessCoding, input_text};

/// How samples are coded in an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 μ-law, 8 bit (ITU-T G.711).
    Ulaw,
    /// G.711 A-law, 8 bit (ITU-T G.711).
    Alaw,
    /// 16-bit signed little-endian linear PCM.
    Pcm16,
    /// G.722 at 64 kbit/s (ITU-T G.722): two samples at 16 kHz in a byte.
    G722,
    /// Opus (RFC 6716), mono, 20 ms frames.
    Opus,
    /// The original bytes, unconverted.
    Raw,
}

/// What the coded samples are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// Nothing: the samples alone.
    None,
    /// RIFF WAVE.
    Wav,
    /// Ogg (RFC 3533, RFC 7845).
    Ogg,
}

/// One output format with its options, in normal form: two formats are equal exactly if their bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    codec: Codec,
    container: Container,
    rate: SampleRate,
    bitrate: Option<Bitrate>,
    effects: Effects,
}

/// Bits per second of an Opus output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u32);

impl Bitrate {
    /// What Opus outputs have unless asked otherwise.
    pub const DEFAULT: Bitrate = Bitrate(32_000);

    /// A rate in bits per second; `None` outside 6 000..=256 000 (RFC 6716 §2.1.1 for mono).
    pub const fn new(bits_per_second: u32) -> Option<Bitrate> {
        match bits_per_second {
            6_000..=256_000 => Some(Bitrate(bits_per_second)),
            _ => None,
        }
    }

    /// Bits per second.
    pub const fn bits_per_second(self) -> u32 {
        self.0
    }
}

/// Integer versions of the stages that decide what bytes come out. A change of bytes without a change here fails the golden test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pipeline {
    /// Demuxing and decoding.
    pub decoder: u16,
    /// Mixing and resampling.
    pub resampler: u16,
    /// Gain, loudness, trimming.
    pub effects: u16,
    /// Encoding and muxing.
    pub encoder: u16,
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.decoder, self.resampler, self.effects, self.encoder)
    }
}

/// A format could not be made out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// No output has this extension.
    #[error("no output format has the extension \"{extension}\"; there are {}", extensions_text())]
    UnknownExtension {
        /// As received.
        extension: String,
    },
    /// The option is unknown or does not apply to this format.
    #[error("the option \"{name}\" does not apply to \".{extension}\"")]
    UnknownOption {
        /// As received.
        name: String,
        /// The extension it came with.
        extension: String,
    },
    /// The option's value is not one of those allowed.
    #[error("the option \"{name}\" takes {expected}, not \"{value}\"")]
    BadValue {
        /// Name of the option.
        name: &'static str,
        /// As received.
        value: String,
        /// What is allowed, for people.
        expected: &'static str,
    },
    /// The option was given twice.
    #[error("the option \"{name}\" was given twice")]
    RepeatedOption {
        /// As received.
        name: String,
    },
}

/// Every extension, the format it stands for without options, in the order of the normative table.
const TABLE: &[(&str, Format)] = &[
    ("ulaw", ULAW),
    ("ul", ULAW),
    ("PCMU", ULAW),
    ("alaw", ALAW),
    ("al", ALAW),
    ("PCMA", ALAW),
    ("wav", WAV),
    ("wav16", wav(SampleRate::HZ_16000)),
    ("sln", sln(SampleRate::HZ_8000)),
    ("r8", sln(SampleRate::HZ_8000)),
    ("sln16", sln(SampleRate::HZ_16000)),
    ("r16", sln(SampleRate::HZ_16000)),
    ("sln24", sln(SampleRate::HZ_24000)),
    ("r24", sln(SampleRate::HZ_24000)),
    ("sln32", sln(SampleRate::HZ_32000)),
    ("r32", sln(SampleRate::HZ_32000)),
    ("sln48", sln(SampleRate::HZ_48000)),
    ("r48", sln(SampleRate::HZ_48000)),
    ("g722", G722),
    ("G722", G722),
    ("opus", OPUS),
    ("ogg", OPUS),
    ("raw", RAW),
];

const ULAW: Format = Format {
    codec: Codec::Ulaw,
    container: Container::None,
    rate: SampleRate::HZ_8000,
    bitrate: None,
    effects: Effects::NONE,
};
const ALAW: Format = Format { codec: Codec::Alaw, ..ULAW };
const G722: Format = Format { codec: Codec::G722, rate: SampleRate::HZ_16000, ..ULAW };
const OPUS: Format = Format {
    codec: Codec::Opus,
    container: Container::Ogg,
    rate: SampleRate::HZ_48000,
    bitrate: Some(Bitrate::DEFAULT),
    effects: Effects::NONE,
};
/// The rate of `raw` means nothing; it is constant so that equality holds.
const RAW: Format = Format { codec: Codec::Raw, ..ULAW };

const WAV: Format = wav(SampleRate::HZ_8000);
/// What the option `rate` takes.
const WAV_RATES: [(&str, SampleRate); 5] = [
    ("8000", SampleRate::HZ_8000),
    ("16000", SampleRate::HZ_16000),
    ("24000", SampleRate::HZ_24000),
    ("32000", SampleRate::HZ_32000),
    ("48000", SampleRate::HZ_48000),
];

const fn sln(rate: SampleRate) -> Format {
    Format { codec: Codec::Pcm16, rate, ..ULAW }
}

const fn wav(rate: SampleRate) -> Format {
    Format { container: Container::Wav, ..sln(rate) }
}

fn extensions_text() -> String {
    Format::extensions().collect::<Vec<_>>().join(", ")
}

impl Format {
    /// Every extension, in the order of the table.
    pub fn extensions() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(extension, _)| *extension)
    }

    /// Every format that has an extension of its own, each once.
    pub fn all() -> impl Iterator<Item = (&'static str, Format)> {
        TABLE.iter().enumerate().filter_map(|(i, (extension, format))| {
            let first = !TABLE[..i].iter().any(|(_, earlier)| earlier == format);
            first.then_some((*extension, *format))
        })
    }

    /// Makes out a format from an extension (without the dot) and `name:value` options.
    ///
    /// `rate` (8000, 16000, 24000, 32000, 48000) and `codec` (`ulaw`, `alaw`) apply to `wav`; `bitrate` (bits per second) to `opus` and
    /// `ogg`; `channel`, `trim`, `loudness` and `gain` ([`Effects`]) to all but `raw`.
    ///
    /// # Errors
    /// Unknown extension, unknown, repeated or inapplicable option, value out of range.
    pub fn parse(extension: &str, options: &[(&str, &str)]) -> Result<Format, FormatError> {
        let mut format = TABLE
            .iter()
            .find(|(name, _)| *name == extension)
            .map(|(_, format)| *format)
            .ok_or_else(|| FormatError::UnknownExtension { extension: clip(extension) })?;
        for (i, (name, value)) in options.iter().enumerate() {
            if options[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(FormatError::RepeatedOption { name: clip(name) });
            }
            format.apply(extension, name, value)?;
        }
        if format.container == Container::Wav && format.codec != Codec::Pcm16 && format.rate != SampleRate::HZ_8000 {
            return Err(FormatError::BadValue {
                name: "rate",
                value: format.rate.to_string(),
                expected: "8000 where codec is ulaw or alaw",
            });
        }
        Ok(format)
    }

    fn apply(&mut self, extension: &str, name: &str, value: &str) -> Result<(), FormatError> {
        match name {
            "rate" if extension == "wav" => {
                let rate = WAV_RATES.iter().find(|(text, _)| *text == value);
                self.rate = rate.map(|(_, rate)| *rate).ok_or_else(|| FormatError::BadValue {
                    name: "rate",
                    value: clip(value),
                    expected: "8000, 16000, 24000, 32000 or 48000",
                })?;
            }
            "codec" if extension == "wav" => {
                self.codec = match value {
                    "pcm" => Codec::Pcm16,
                    "ulaw" => Codec::Ulaw,
                    "alaw" => Codec::Alaw,
                    _ => {
                        return Err(FormatError::BadValue {
                            name: "codec",
                            value: clip(value),
                            expected: "pcm, ulaw or alaw",
                        });
                    }
                };
            }
            "bitrate" if self.codec == Codec::Opus => {
                let bitrate = value.parse().ok().and_then(Bitrate::new);
                self.bitrate = Some(bitrate.ok_or_else(|| FormatError::BadValue {
                    name: "bitrate",
                    value: clip(value),
                    expected: "6000 to 256000 bits per second",
                })?);
            }
            _ if !self.is_raw() && self.effects.apply(name, value)? => {}
            _ => {
                return Err(FormatError::UnknownOption { name: clip(name), extension: clip(extension) });
            }
        }
        Ok(())
    }

    /// How samples are coded.
    pub const fn codec(self) -> Codec {
        self.codec
    }

    /// What wraps them.
    pub const fn container(self) -> Container {
        self.container
    }

    /// Sample rate of the output; without meaning for `raw`.
    pub const fn rate(self) -> SampleRate {
        self.rate
    }

    /// Bits per second, for Opus.
    pub const fn bitrate(self) -> Option<Bitrate> {
        self.bitrate
    }

    /// What is done to the sound.
    pub const fn effects(self) -> Effects {
        self.effects
    }

    /// Whether this is the original, unconverted.
    pub fn is_raw(self) -> bool {
        self.codec == Codec::Raw
    }

    /// Whether the first bytes depend on the whole, so that nothing can be sent before the end: the length in a WAV header, a loudness
    /// that is measured first, silence that may turn out to be the last.
    pub fn is_held(self) -> bool {
        self.container == Container::Wav || self.effects.are_held()
    }

    /// The extension of this format where nobody asked for another: `.wav` for all WAV, else the first of the table.
    pub fn extension(self) -> &'static str {
        if self.container == Container::Wav {
            return "wav";
        }
        let plain = Format { bitrate: self.bitrate.map(|_| Bitrate::DEFAULT), effects: Effects::NONE, ..self };
        TABLE.iter().find(|(_, format)| *format == plain).map_or("wav", |(extension, _)| *extension)
    }

    /// Whether an address of this format may end in `extension`: aliases are equal names.
    pub fn answers_to(self, extension: &str) -> bool {
        let same_family = |format: &Format| {
            // `.wav` carries rate and codec as options; every other extension fixes them.
            *format == Format { bitrate: format.bitrate, effects: format.effects, ..self }
                || (extension == "wav" && self.container == Container::Wav)
        };
        TABLE.iter().any(|(name, format)| *name == extension && same_family(format))
    }

    /// Content-Type of a body of this format under this extension; `None` for `raw`, which has the sniffed type.
    pub fn content_type(self, extension: &str) -> Option<Cow<'static, str>> {
        Some(match (self.container, self.codec) {
            (_, Codec::Raw) => return None,
            (Container::Wav, _) if extension == "wav16" => {
                // Asterisk compares this string as it is (`spec/wire.md` §1).
                Cow::Borrowed("audio/x-wav;codec=pcm;bit=16;rate=16000")
            }
            (Container::Wav, _) => Cow::Borrowed("audio/wav"),
            (Container::Ogg, _) => Cow::Borrowed("audio/ogg"),
            (_, Codec::Ulaw) => Cow::Borrowed("audio/PCMU"),
            (_, Codec::Alaw) => Cow::Borrowed("audio/PCMA"),
            (_, Codec::G722) => Cow::Borrowed("audio/G722"),
            (_, Codec::Pcm16 | Codec::Opus) => Cow::Owned(format!("audio/L16;rate={}", self.rate)),
        })
    }

    /// The name of this format inside an artifact id: codec;container;rate, then non-default options sorted by name.
    pub fn normal_form(self) -> String {
        let codec = match self.codec {
            Codec::Ulaw => "ulaw",
            Codec::Alaw => "alaw",
            Codec::Pcm16 => "pcm16",
            Codec::G722 => "g722",
            Codec::Opus => "opus",
            Codec::Raw => return "raw".to_owned(),
        };
        let container = match self.container {
            Container::None => "none",
            Container::Wav => "wav",
            Container::Ogg => "ogg",
        };
        let mut text = format!("{codec};{container};{}", self.rate);
        if let Some(bitrate) = self.bitrate.filter(|bitrate| *bitrate != Bitrate::DEFAULT) {
            text.push_str(&format!(";bitrate={}", bitrate.bits_per_second()));
        }
        for (name, value) in self.effects.pairs() {
            text.push_str(&format!(";{name}={value}"));
        }
        text
    }

    /// Reads [`normal_form`](Format::normal_form) back, from what was written down; `None` if it is not one.
    pub fn from_normal_form(text: &str) -> Option<Format> {
        if text == "raw" {
            return Some(RAW);
        }
        let mut parts = text.split(';');
        let codec = match parts.next()? {
            "ulaw" => Codec::Ulaw,
            "alaw" => Codec::Alaw,
            "pcm16" => Codec::Pcm16,
            "g722" => Codec::G722,
            "opus" => Codec::Opus,
            _ => return None,
        };
        let container = match parts.next()? {
            "none" => Container::None,
            "wav" => Container::Wav,
            "ogg" => Container::Ogg,
            _ => return None,
        };
        let rate = parts.next()?.parse().ok().and_then(SampleRate::new)?;
        let bitrate = (codec == Codec::Opus).then_some(Bitrate::DEFAULT);
        let mut format = Format { codec, container, rate, bitrate, effects: Effects::NONE };
        for option in parts {
            let (name, value) = option.split_once('=')?;
            match name {
                "bitrate" if codec == Codec::Opus => format.bitrate = Some(value.parse().ok().and_then(Bitrate::new)?),
                _ if format.effects.apply(name, value).ok()? => {}
                _ => return None,
            }
        }
        // One spelling for each format, and no format that nobody could ask for.
        (format.is_offered() && format.normal_form() == text).then_some(format)
    }

    /// Whether [`parse`](Format::parse) can give this.
    fn is_offered(self) -> bool {
        let plain = Format { effects: Effects::NONE, ..self };
        match (plain.container, plain.codec) {
            (Container::Wav, Codec::Pcm16) => {
                plain.bitrate.is_none() && WAV_RATES.iter().any(|(_, rate)| *rate == plain.rate)
            }
            (Container::Wav, Codec::Ulaw | Codec::Alaw) => plain == Format { codec: plain.codec, ..WAV },
            (Container::Ogg, Codec::Opus) => plain == Format { bitrate: plain.bitrate, ..OPUS },
            _ => TABLE.iter().any(|(_, format)| *format == plain),
        }
    }

    /// The artifact id of this recipe (`spec/media.md` §1). `declared` is what the original was taken for where its own bytes say nothing.
    pub fn artifact_id(self, content: &ContentHash, declared: Option<Headerless>, pipeline: Pipeline) -> ArtifactId {
        let input = input_text(declared);
        let recipe = format!("ringback1\n{content}\n{input}\n{}\n{pipeline}", self.normal_form());
        ArtifactId::of(recipe.as_bytes())
    }
}

impl serde::Serialize for Format {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.normal_form())
    }
}

impl<'de> serde::Deserialize<'de> for Format {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Format::from_normal_form(&text).ok_or_else(|| serde::de::Error::custom("not the normal form of a format"))
    }
}

/// What came from outside goes into messages only up to a length.
fn clip(text: &str) -> String {
    const QUOTED_CHARS_MAX: usize = 64;
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
