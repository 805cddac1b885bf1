//! The kinds of originals that are read.

/// Container and codec family of an original, found by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// MPEG-1/2/2.5 audio layer III (and II).
    Mp3,
    /// RIFF or RF64 WAVE.
    Wav,
    /// Native FLAC.
    Flac,
    /// Vorbis in Ogg.
    OggVorbis,
    /// Opus in Ogg.
    OggOpus,
    /// AAC in ADTS frames.
    Adts,
    /// AAC in MP4 (M4A).
    Mp4,
    /// Sun AU.
    Au,
    /// AIFF and AIFF-C.
    Aiff,
    /// Apple's Core Audio Format.
    Caf,
    /// Opus in WebM or Matroska.
    WebM,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 11] = [
        Kind::Mp3,
        Kind::Wav,
        Kind::Flac,
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
    pub const fn content_type(self) -> &'static str {
        match self {
            Kind::Mp3 => "audio/mpeg",
            Kind::Wav => "audio/wav",
            Kind::Flac => "audio/flac",
            Kind::OggVorbis | Kind::OggOpus => "audio/ogg",
            Kind::Adts => "audio/aac",
            Kind::Mp4 => "audio/mp4",
            Kind::Au => "audio/basic",
            Kind::Aiff => "audio/aiff",
            Kind::Caf => "audio/x-caf",
            Kind::WebM => "audio/webm",
        }
    }

    /// Name in logs, metrics labels and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Mp3 => "mp3",
            Kind::Wav => "wav",
            Kind::Flac => "flac",
            Kind::OggVorbis => "ogg-vorbis",
            Kind::OggOpus => "ogg-opus",
            Kind::Adts => "adts",
            Kind::Mp4 => "mp4",
            Kind::Au => "au",
            Kind::Aiff => "aiff",
            Kind::Caf => "caf",
            Kind::WebM => "webm",
        }
    }

    /// Reads [`as_str`](Kind::as_str) back.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}
