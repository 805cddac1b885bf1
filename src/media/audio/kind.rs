//! The kinds of originals that are read.

use std::borrow::Cow;

use crate::media::format::Headerless;

/// Container and codec family of an original, found by its content, or declared where that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// MPEG-1/2/2.5 audio layer III (and II).
    Mp3,
    /// RIFF or RF64 WAVE.
    Wav,
    /// Native FLAC.
    Flac,
    /// FLAC in Ogg.
    OggFlac,
    /// Vorbis in Ogg.
    OggVorbis,
    /// Opus in Ogg.
    OggOpus,
    /// AAC in ADTS frames.
    Adts,
    /// AAC or FLAC in MP4 (M4A).
    Mp4,
    /// Sun AU.
    Au,
    /// AIFF and AIFF-C.
    Aiff,
    /// Apple's Core Audio Format.
    Caf,
    /// Opus in WebM or Matroska.
    WebM,
    /// No container, and what was declared.
    Headerless(Headerless),
}

impl Kind {
    /// Every kind that is found by its content.
    pub const ALL: [Kind; 12] = [
        Kind::Mp3,
        Kind::Wav,
        Kind::Flac,
        Kind::OggFlac,
        Kind::OggVorbis,
        Kind::OggOpus,
        Kind::Adts,
        Kind::Mp4,
        Kind::Au,
        Kind::Aiff,
        Kind::Caf,
        Kind::WebM,
    ];

    /// Content-Type of the unconverted original.
    pub fn content_type(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Kind::Mp3 => "audio/mpeg",
            Kind::Wav => "audio/wav",
            Kind::Flac => "audio/flac",
            Kind::OggFlac | Kind::OggVorbis | Kind::OggOpus => "audio/ogg",
            Kind::Adts => "audio/aac",
            Kind::Mp4 => "audio/mp4",
            Kind::Au => "audio/x-au",
            Kind::Aiff => "audio/aiff",
            Kind::Caf => "audio/x-caf",
            Kind::WebM => "audio/webm",
            Kind::Headerless(headerless) => return headerless.content_type(),
        })
    }

    /// Name in logs, metrics labels and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Mp3 => "mp3",
            Kind::Wav => "wav",
            Kind::Flac => "flac",
            Kind::OggFlac => "ogg-flac",
            Kind::OggVorbis => "ogg-vorbis",
            Kind::OggOpus => "ogg-opus",
            Kind::Adts => "adts",
            Kind::Mp4 => "mp4",
            Kind::Au => "au",
            Kind::Aiff => "aiff",
            Kind::Caf => "caf",
            Kind::WebM => "webm",
            Kind::Headerless(headerless) => headerless.coding().as_str(),
        }
    }

    /// Reads [`as_str`](Kind::as_str) back, of what is found by its content.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What it was taken for because it was declared; none where its content says what it is.
    pub const fn headerless(self) -> Option<Headerless> {
        match self {
            Kind::Headerless(headerless) => Some(headerless),
            _ => None,
        }
    }
}
