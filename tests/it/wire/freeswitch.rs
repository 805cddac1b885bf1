//! What FreeSWITCH's file modules take an extension for: mod_sndfile and mod_native_file, as its usual configuration loads them, without
//! mod_opusfile and mod_shout. Extensions are compared with case.

use super::decoders::{Reads, check};

/// The decoder of an extension.
///
/// mod_sndfile reads `r24` and `r32` as samples of 24 and 32 bits. Opus has packets of no fixed size, so that mod_native_file leaves it out.
pub(super) fn decoder(extension: &str) -> Option<Reads> {
    Some(match extension {
        "ul" | "ulaw" | "PCMU" => Reads::Ulaw,
        "al" | "alaw" | "PCMA" => Reads::Alaw,
        "G722" => Reads::G722,
        "wav" => Reads::Wav(None),
        "raw" | "r8" => Reads::Linear(16, 8_000),
        "r16" => Reads::Linear(16, 16_000),
        "r24" => Reads::Linear(24, 24_000),
        "r32" => Reads::Linear(32, 32_000),
        "ogg" | "oga" => Reads::Ogg,
        _ => return None,
    })
}

/// The extension of a type, by the `mime.types` that comes with it, as far as it concerns us.
pub(super) fn extension_of_type(content_type: &str) -> Option<&'static str> {
    Some(match content_type.to_ascii_lowercase().as_str() {
        "audio/wav" | "audio/wave" | "audio/x-wav" | "audio/x-wave" => "wav",
        "audio/mpeg" | "audio/mp3" | "audio/mpeg3" | "audio/x-mpeg" | "audio/x-mp3" => "mp3",
        "audio/basic" => "au",
        "audio/ogg" => "oga",
        _ => return None,
    })
}

/// `.raw` is whatever the origin had; `.r24` and `.r32` are 16 bits here. The documents say so.
#[test]
fn what_it_hears_of_each_extension() {
    let plays = ["ulaw", "ul", "PCMU", "alaw", "al", "PCMA", "wav", "r8", "r16", "G722", "ogg"];
    check("FreeSWITCH", decoder, &plays, &["raw", "r24", "r32"]);
}
