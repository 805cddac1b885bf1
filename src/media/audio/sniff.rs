//! What an original is: by its content, and only where that says nothing by what it is declared to be.

use super::{AudioError, Kind, source::Source};
use crate::media::format::Headerless;

/// Bytes that decide for every kind with a signature.
const SIGNATURE_SIZE: usize = 64;
/// Bytes searched for frames, in steps, so that a trickling source is recognised as soon as its first frames are there. The last
/// says how far into the stream they may be: encoders and editors leave padding after tags.
const FRAME_SEARCH_STEPS: [usize; 4] = [2 * 1024, 8 * 1024, 24 * 1024, 80 * 1024];
/// How many of these steps are taken where something is declared: enough for a run of frames of any size from the start. More would
/// keep a body that is spoken as it comes waiting for longer than its first second.
const FRAME_SEARCH_STEPS_DECLARED: usize = 2;
/// Bytes that tell markup from audio.
const MARKUP_SIZE: usize = 512;
/// Fewer are no page, and may well be samples.
const MARKUP_SIZE_MIN: usize = 8;
/// Consecutive consistent headers that make MPEG or ADTS audio. At random, one run of four starts in 10¹⁸ bytes.
const FRAMES_NEEDED: usize = 4;
/// Tags one after another at most.
const TAGS_MAX: usize = 16;

/// What was found, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sniffed {
    pub(super) kind: Kind,
    /// Offset behind leading ID3v2 tags.
    pub(super) start: u64,
}

/// Decides what the original is. What is declared counts only if there is no container, and never makes audio of nothing or of a page.
/// Leaves the source at an unspecified place.
///
/// # Errors
/// [`AudioError::NotAudio`], or [`AudioError::Unsupported`] for audio that is recognised and not read.
pub(super) fn sniff(source: &mut Source, declared: Option<Headerless>) -> Result<Sniffed, AudioError> {
    let Some(headerless) = declared else { return by_content(source, &FRAME_SEARCH_STEPS) };
    let (steps, _) = FRAME_SEARCH_STEPS.split_at(FRAME_SEARCH_STEPS_DECLARED);
    match by_content(source, steps) {
        Err(AudioError::NotAudio) if could_be_samples(source)? => {
            Ok(Sniffed { kind: Kind::Headerless(headerless), start: 0 })
        }
        other => other,
    }
}

/// Whether a body that is no container could be one of bare samples. What has a tag of its own is something else that was damaged.
fn could_be_samples(source: &mut Source) -> Result<bool, AudioError> {
    source.seek_to(0)?;
    let head = source.peek(MARKUP_SIZE)?;
    Ok(!head.is_empty() && id3v2_length(head).is_none() && !is_markup(head))
}

/// Whether bytes are the beginning of an HTML, XML or JSON text: it begins with a bracket, behind a byte order mark perhaps, and goes
/// on as text, which sound never does for so long: of its samples, half have the highest bit set.
fn is_markup(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let opens = matches!(head.trim_ascii_start().first(), Some(b'<' | b'{' | b'['));
    let printable = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    // The last character may be cut.
    let is_text = || std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    opens && MARKUP_SIZE_MIN <= head.len() && head.iter().all(printable) && is_text()
}

fn by_content(source: &mut Source, frame_search_steps: &[usize]) -> Result<Sniffed, AudioError> {
    for _ in 0..TAGS_MAX {
        let Some(tag) = id3v2_length(source.peek(10)?) else { break };
        source.skip(tag)?;
    }
    let start = source.position();
    let head = source.peek(SIGNATURE_SIZE)?;
    if let Some(kind) = by_signature(head)? {
        return Ok(Sniffed { kind, start });
    }
    // Markup is told at once, without waiting for the rest of a slow error page.
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    if matches!(first, None | Some(b'<' | b'{' | b'[')) {
        return Err(AudioError::NotAudio);
    }
    by_frames(source, start, frame_search_steps)
}

fn by_signature(head: &[u8]) -> Result<Option<Kind>, AudioError> {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if [&b"RIFF"[..], b"RF64", b"BW64"].into_iter().any(|magic| at(0, magic)) && at(8, b"WAVE") {
        return Ok(Some(Kind::Wav));
    }
    if at(0, b"fLaC") {
        return Ok(Some(Kind::Flac));
    }
    if at(4, b"ftyp") {
        return Ok(Some(Kind::Mp4));
    }
    if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) {
        return Ok(Some(Kind::Aiff));
    }
    if at(0, b"caff") {
        return Ok(Some(Kind::Caf));
    }
    if at(0, b"\x1a\x45\xdf\xa3") {
        return Ok(Some(Kind::WebM));
    }
    if super::decode::au::is_signature(head) {
        return Ok(Some(Kind::Au));
    }
    if at(0, b"OggS") {
        // The first page holds one packet, behind 27 bytes and one lacing value.
        return match () {
            () if at(28, b"OpusHead") => Ok(Some(Kind::OggOpus)),
            () if at(28, b"\x01vorbis") => Ok(Some(Kind::OggVorbis)),
            () if at(28, b"\x7fFLAC") => Ok(Some(Kind::OggFlac)),
            () if at(28, b"Speex   ") => Err(AudioError::unsupported("Speex")),
            () => Err(AudioError::unsupported("this Ogg content")),
        };
    }
    let other = [
        (0, &b"#!AMR"[..], "AMR"),
        (0, b"MAC ", "Monkey's Audio"),
        (0, b"wvpk", "WavPack"),
        (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF and WMA"),
    ];
    match other.iter().find(|(offset, magic, _)| at(*offset, magic)) {
        Some((_, _, what)) => Err(AudioError::unsupported(*what)),
        None => Ok(None),
    }
}

/// Total length of an ID3v2 tag that starts here (id3.org, ID3v2.4 §3.1), if one does.
pub(super) fn id3v2_length(head: &[u8]) -> Option<u64> {
    let [b'I', b'D', b'3', major, minor, flags, a, b, c, d] = *head.first_chunk::<10>()? else { return None };
    if major == 0xff || minor == 0xff || [a, b, c, d].iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let size = u64::from(a) << 21 | u64::from(b) << 14 | u64::from(c) << 7 | u64::from(d);
    let footer = if flags & 0x10 != 0 { 10 } else { 0 };
    Some(10 + size + footer)
}

/// Looks for a run of MPEG or ADTS frames. A run that begins where the stream does may be shorter if it ends where the stream ends.
fn by_frames(source: &mut Source, start: u64, steps: &[usize]) -> Result<Sniffed, AudioError> {
    for step in steps {
        let bytes = source.peek(*step)?;
        let ended = bytes.len() < *step;
        for (offset, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == 0xff) {
            let rest = bytes.get(offset..).unwrap_or_default();
            let whole = offset == 0 && ended;
            if is_run(rest, whole, mpeg_frame) {
                return Ok(Sniffed { kind: Kind::Mp3, start });
            }
            if is_run(rest, whole, adts_frame) {
                return Ok(Sniffed { kind: Kind::Adts, start: start + offset as u64 });
            }
        }
        if ended {
            break;
        }
    }
    Err(AudioError::NotAudio)
}

/// Whether frames with one signature follow each other from the start of `bytes`. `frame` gives length and signature.
fn is_run(bytes: &[u8], whole: bool, frame: impl Fn(&[u8]) -> Option<(usize, u32)>) -> bool {
    let mut at = 0;
    let mut first = None;
    for count in 0..FRAMES_NEEDED {
        let rest = bytes.get(at..).unwrap_or_default();
        let ends_here =
            whole && count > 0 && (rest.is_empty() || rest.starts_with(b"TAG") || rest.starts_with(b"APETAGEX"));
        match frame(rest) {
            Some((length, signature)) if *first.get_or_insert(signature) == signature => at += length,
            _ => return ends_here,
        }
    }
    true
}

fn mpeg_frame(head: &[u8]) -> Option<(usize, u32)> {
    let header = super::decode::mpeg::Header::parse(head)?;
    Some((header.frame_size(), header.signature()))
}

/// Length and constant fields of an ADTS frame header (ISO/IEC 13818-7 §6.2).
fn adts_frame(head: &[u8]) -> Option<(usize, u32)> {
    let [a, b, c, d, e, f, _] = *head.first_chunk::<7>()?;
    let rate_index = (c >> 2) & 0x0f;
    if a != 0xff || b & 0xf6 != 0xf0 || rate_index > 12 {
        return None;
    }
    let length = usize::from(d & 0x03) << 11 | usize::from(e) << 3 | usize::from(f >> 5);
    let signature = u32::from(b) << 16 | u32::from(c & 0xfd) << 8 | u32::from(d & 0xc0);
    (length > 7).then_some((length, signature))
}
