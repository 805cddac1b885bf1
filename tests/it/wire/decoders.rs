//! Which decoder a router takes for an extension, and what becomes of our bodies in it.

/// How a decoder takes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    Ulaw,
    Alaw,
    G722,
    /// Samples without a header: bits of each, and their rate in Hz.
    Linear(u32, u32),
    /// RIFF WAVE with 16-bit samples, of this rate or of any.
    Wav(Option<u32>),
    /// An Ogg stream of Vorbis.
    OggVorbis,
    /// An Ogg stream of anything that the library knows.
    Ogg,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Ulaw,
    Alaw,
    G722,
    /// 16-bit samples without a header, and their rate.
    Linear(u32),
    Wav(u32),
    OggOpus,
    /// Whatever the origin had: an MP3, say.
    Original,
}

/// What a caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Audio,
    /// Nothing: the router says that it cannot play this.
    Nothing,
    /// The bytes of one thing taken for another.
    Noise,
}

/// What the body under each of our extensions is, without options.
pub(super) const BODIES: &[(&str, Is)] = &[
    ("ulaw", Is::Ulaw),
    ("ul", Is::Ulaw),
    ("PCMU", Is::Ulaw),
    ("alaw", Is::Alaw),
    ("al", Is::Alaw),
    ("PCMA", Is::Alaw),
    ("wav", Is::Wav(8_000)),
    ("wav16", Is::Wav(16_000)),
    ("sln", Is::Linear(8_000)),
    ("sln16", Is::Linear(16_000)),
    ("sln24", Is::Linear(24_000)),
    ("sln32", Is::Linear(32_000)),
    ("sln48", Is::Linear(48_000)),
    ("r8", Is::Linear(8_000)),
    ("r16", Is::Linear(16_000)),
    ("r24", Is::Linear(24_000)),
    ("r32", Is::Linear(32_000)),
    ("r48", Is::Linear(48_000)),
    ("g722", Is::G722),
    ("G722", Is::G722),
    ("opus", Is::OggOpus),
    ("ogg", Is::OggOpus),
    ("raw", Is::Original),
];

/// What a caller hears of a body in a decoder; none is no decoder.
pub(super) fn heard(reads: Option<Reads>, is: Is) -> Heard {
    match (reads, is) {
        (None, _) => Heard::Nothing,
        (Some(Reads::Wav(rate)), Is::Wav(found)) if rate.is_none_or(|rate| rate == found) => Heard::Audio,
        (Some(Reads::Ogg), Is::OggOpus)
        | (Some(Reads::Ulaw), Is::Ulaw)
        | (Some(Reads::Alaw), Is::Alaw)
        | (Some(Reads::G722), Is::G722) => Heard::Audio,
        // Who reads a header sees that it is another's.
        (Some(Reads::Wav(_) | Reads::Ogg | Reads::OggVorbis), _) => Heard::Nothing,
        (Some(Reads::Linear(16, rate)), Is::Linear(found)) if rate == found => Heard::Audio,
        (Some(_), _) => Heard::Noise,
    }
}

/// Holds what callers hear of each body against what is expected; extensions that are not named are silence.
pub(super) fn check(router: &str, decoder: impl Fn(&str) -> Option<Reads>, plays: &[&str], noise: &[&str]) {
    for (extension, is) in BODIES {
        let expected = match (plays.contains(extension), noise.contains(extension)) {
            (true, _) => Heard::Audio,
            (_, true) => Heard::Noise,
            _ => Heard::Nothing,
        };
        assert_eq!(heard(decoder(extension), *is), expected, "{router}, .{extension}");
    }
}
