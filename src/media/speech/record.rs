//! What is to be spoken, and by whom, in the one form that names it.
//!
//! The **canonical speech record** is text in UTF-8. Its sha256 is the content hash of the speech, so that an address is known before
//! a word is spoken (`spec/media.md` §1):
//!
//! ```text
//! ringback-speech1\n         the form, and the way in which texts are split: another number when either changes
//! engine=NAME\n
//! version=VERSION\n          of the engine, as configured, else as it says itself
//! voice=VOICE\n
//! language=LANGUAGE\n        in lower case
//! pitch=PERCENT\n            options follow, sorted by name, and only those that are not at their default
//! private=true\n             it is its tenant's alone: nothing that is anybody's has its name, and no part of it is shared with what is
//! speed=PERCENT\n
//! ssml=true\n
//! \n
//! the text, to the end
//! ```
//!
//! Values have no control characters, so that a line ends where it ends, and the text is all that follows the first empty line: two
//! records are equal only if everything in them is. Text and values are in Unicode's normal form C. Of the text, line ends are `\n`,
//! white space at both ends is gone (inside it counts: engines make pauses of it), and there are no control characters but tab and line end.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use icu_normalizer::ComposingNormalizerBorrowed;

use super::{SpeechError, markup, split};
use crate::ids::{ContentHash, SourceKey};

/// First line of a record.
const FORM: &str = "ringback-speech1";
/// Stands in front of what is hashed for the index, so that no key of a URL is ever one of speech.
const KEY_VERSION: &str = "ringback-speech-source1\n";
/// What the text of a record begins with where sources are written down.
pub const SCHEME: &str = "speech:";
/// Most bytes of engine, version, voice and language each.
const VALUE_BYTES_MAX: usize = 128;
/// Most bytes of a record that is read back: the longest text that any configuration allows, and the lines before it.
const RECORD_BYTES_MAX: usize = 4 * super::config::TEXT_CEILING + 4 * 1024;

/// An option in hundredths of what is usual for the voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u16);

impl Percent {
    /// As the voice speaks by itself.
    pub const USUAL: Percent = Percent(100);

    /// So many hundredths.
    pub const fn new(hundredths: u16) -> Percent {
        Percent(hundredths)
    }

    /// How many hundredths.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Whether a text is to be read as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Markup {
    /// As it stands.
    #[default]
    Plain,
    /// With the elements of SSML.
    Ssml,
}

/// How something is spoken, apart from the voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Manner {
    /// 50 to 200 % of the voice's usual speed.
    pub speed: Percent,
    /// 0 to 200 % of the voice's usual pitch.
    pub pitch: Percent,
    /// Whether the text has elements of SSML in it.
    pub markup: Markup,
    /// Whether what comes of it is its tenant's alone.
    pub is_private: bool,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner { speed: Percent::USUAL, pitch: Percent::USUAL, markup: Markup::Plain, is_private: false }
    }
}

impl Manner {
    /// Slowest and fastest that is spoken.
    pub const SPEED: std::ops::RangeInclusive<u16> = 50..=200;
    /// Lowest and highest that is spoken.
    pub const PITCH: std::ops::RangeInclusive<u16> = 0..=200;

    fn check(self) -> Result<Manner, SpeechError> {
        if !Manner::SPEED.contains(&self.speed.0) {
            return Err(SpeechError::BadOption { name: "speed", expected: "50 to 200 (percent)" });
        }
        if !Manner::PITCH.contains(&self.pitch.0) {
            return Err(SpeechError::BadOption { name: "pitch", expected: "0 to 200 (percent)" });
        }
        Ok(self)
    }
}

/// Who speaks: all of it decided, nothing left to a default that may change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Speaker {
    /// Name of the engine.
    pub engine: Box<str>,
    /// Its version, as configured or as it says itself.
    pub version: Box<str>,
    /// The voice, by the engine's own name for it.
    pub voice: Box<str>,
    /// The language, in lower case; may be empty where the voice says it.
    pub language: Box<str>,
}

/// Something that is to be spoken: a text, and everything on which its sound depends.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Utterance {
    speaker: Speaker,
    manner: Manner,
    text: Box<str>,
}

impl Utterance {
    /// Brings a text and its speaker into canonical form. `text_max` counts characters of the result.
    ///
    /// # Errors
    /// [`SpeechError::Empty`], [`SpeechError::TooLong`], [`SpeechError::Control`], [`SpeechError::BadMarkup`], or a value that is
    /// none.
    pub fn new(speaker: Speaker, manner: Manner, text: &str, text_max: usize) -> Result<Utterance, SpeechError> {
        let text = normal_text(text, text_max)?;
        if manner.markup == Markup::Ssml {
            markup::check(&text)?;
        }
        let speaker = Speaker {
            engine: normal_value("engine", &speaker.engine)?,
            version: normal_value("version", &speaker.version)?,
            voice: normal_value("voice", &speaker.voice)?,
            language: normal_value("language", &speaker.language.to_lowercase())?,
        };
        if speaker.engine.is_empty() {
            return Err(SpeechError::BadOption { name: "engine", expected: "the name of an engine" });
        }
        Ok(Utterance { speaker, manner: manner.check()?, text })
    }

    /// Who speaks.
    pub fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// How.
    pub fn manner(&self) -> Manner {
        self.manner
    }

    /// What: not for logs.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The canonical record.
    pub fn record(&self) -> String {
        let Speaker { engine, version, voice, language } = &self.speaker;
        let mut record = format!("{FORM}\nengine={engine}\nversion={version}\nvoice={voice}\nlanguage={language}\n");
        let Manner { speed, pitch, markup, is_private } = self.manner;
        if pitch != Percent::USUAL {
            record.push_str(&format!("pitch={}\n", pitch.0));
        }
        if is_private {
            record.push_str("private=true\n");
        }
        if speed != Percent::USUAL {
            record.push_str(&format!("speed={}\n", speed.0));
        }
        if markup == Markup::Ssml {
            record.push_str("ssml=true\n");
        }
        record.push('\n');
        record.push_str(&self.text);
        record
    }

    /// The identity of the speech as an original: the sha256 of its record.
    pub fn content_hash(&self) -> ContentHash {
        ContentHash::of(self.record().as_bytes())
    }

    /// Its key in the index of sources. No URL has it.
    pub fn key(&self) -> SourceKey {
        SourceKey::of(format!("{KEY_VERSION}{}", self.record()).as_bytes())
    }

    /// The record as the text of a source: `speech:` and the record in base64url. [`Utterance::parse`] reads it back.
    pub fn to_text(&self) -> String {
        format!("{SCHEME}{}", BASE64_URL_SAFE_NO_PAD.encode(self.record()))
    }

    /// Whether the text of a source is one of speech rather than a URL.
    pub fn is_text(source: &str) -> bool {
        source.starts_with(SCHEME)
    }

    /// Reads back what [`Utterance::to_text`] wrote.
    ///
    /// # Errors
    /// [`SpeechError::Record`]: it is something else, or damaged. One that is read is spelled as it would be written.
    pub fn parse(source: &str) -> Result<Utterance, SpeechError> {
        let encoded = source.strip_prefix(SCHEME).ok_or(SpeechError::Record)?;
        if RECORD_BYTES_MAX < encoded.len() / 4 * 3 {
            return Err(SpeechError::Record);
        }
        let record = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SpeechError::Record)?;
        let record = String::from_utf8(record).map_err(|_| SpeechError::Record)?;
        Utterance::parse_record(&record)
    }

    /// Reads a canonical record.
    ///
    /// # Errors
    /// [`SpeechError::Record`].
    pub fn parse_record(record: &str) -> Result<Utterance, SpeechError> {
        let (head, text) = record.split_once("\n\n").ok_or(SpeechError::Record)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FORM) {
            return Err(SpeechError::Record);
        }
        let mut value = |name: &str| {
            let line = lines.next().and_then(|line| line.split_once('='));
            line.filter(|(found, _)| *found == name).map(|(_, value)| Box::from(value)).ok_or(SpeechError::Record)
        };
        let speaker = Speaker {
            engine: value("engine")?,
            version: value("version")?,
            voice: value("voice")?,
            language: value("language")?,
        };
        let mut manner = Manner::default();
        for line in lines {
            let (name, value) = line.split_once('=').ok_or(SpeechError::Record)?;
            let percent = || value.parse().map(Percent).map_err(|_| SpeechError::Record);
            match name {
                "pitch" => manner.pitch = percent()?,
                "private" if value == "true" => manner.is_private = true,
                "speed" => manner.speed = percent()?,
                "ssml" if value == "true" => manner.markup = Markup::Ssml,
                _ => return Err(SpeechError::Record),
            }
        }
        let utterance = Utterance::new(speaker, manner, text, super::config::TEXT_CEILING);
        let utterance = utterance.map_err(|_| SpeechError::Record)?;
        // There is one spelling: two records of the same speech would be two originals.
        if utterance.record() == record { Ok(utterance) } else { Err(SpeechError::Record) }
    }

    /// The same speaker with the sentences of the text, in order, each of which is kept and shared by itself: what has one sentence is its
    /// own only piece. SSML is not split.
    pub fn pieces(&self) -> Vec<Utterance> {
        match self.manner.markup {
            Markup::Ssml => vec![self.clone()],
            Markup::Plain => split::split(&self.text).into_iter().map(|piece| self.with_text(piece)).collect(),
        }
    }

    /// A part of a text in normal form is in normal form.
    fn with_text(&self, text: &str) -> Utterance {
        Utterance { speaker: self.speaker.clone(), manner: self.manner, text: text.into() }
    }
}

/// Says who speaks and how much, never what.
impl fmt::Debug for Utterance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Utterance")
            .field("engine", &self.speaker.engine)
            .field("voice", &self.speaker.voice)
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// The text as it is hashed and spoken.
fn normal_text(text: &str, text_max: usize) -> Result<Box<str>, SpeechError> {
    let too_long = SpeechError::TooLong { max: text_max };
    // Composing makes one character of up to a few; more bytes than this is too long whatever comes of it, and is not worth the work.
    if text_max.saturating_mul(4 * 4) < text.len() {
        return Err(too_long);
    }
    let text: Cow<'_, str> =
        if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n").into() } else { text.into() };
    if let Some(control) = text.chars().find(|character| character.is_control() && !matches!(character, '\n' | '\t')) {
        return Err(SpeechError::Control { character: control });
    }
    let text = nfc(text.trim());
    if text.is_empty() {
        return Err(SpeechError::Empty);
    }
    if text_max < text.chars().count() {
        return Err(too_long);
    }
    Ok(text.into())
}

fn normal_value(name: &'static str, value: &str) -> Result<Box<str>, SpeechError> {
    let value = nfc(value.trim());
    if VALUE_BYTES_MAX < value.len() || value.chars().any(char::is_control) {
        return Err(SpeechError::BadOption { name, expected: "up to 128 bytes without control characters" });
    }
    Ok(value.into())
}

fn nfc(text: &str) -> Cow<'_, str> {
    const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
    NFC.normalize(text)
}
