//! MP4 and M4A (ISO/IEC 14496-12, -14): where the sample tables are, and what of the audio is to be heard.
//!
//! A file whose `moov` comes before its samples streams; otherwise the whole original is waited for. Priming and padding are cut by
//! `iTunSMPB` or the edit list, which symphonia does not do.

use std::time::Duration;

use symphonia::{
    core::{
        codecs::audio::{
            AudioCodecId,
            well_known::{CODEC_ID_AAC, CODEC_ID_FLAC},
        },
        errors::Error,
        formats::{FormatOptions, FormatReader},
    },
    default::formats::IsoMp4Reader,
};

use super::{
    Block, Decode, aac, flac,
    foreign::{Fed, Foreign, Span, Stream, scale, translate},
    trim,
};
use crate::{
    media::{
        audio::{
            AudioError, Kind,
            source::{STALL_MAX, Source, Watch},
        },
        format::Channel,
    },
    units::SampleRate,
};

/// Atoms at the top level before the samples at most.
const TOP_ATOMS_MAX: usize = 10_000;
/// Bytes of `moov` at most: an hour of AAC needs one megabyte.
const MOOV_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of one sample at most.
const SAMPLE_MAX: u32 = 16 * 1024 * 1024;

pub(super) fn open(mut source: Source, target: SampleRate, channel: Channel) -> Result<Box<dyn Decode>, AudioError> {
    let start = source.position();
    let found = find_moov(&mut source)?;
    let movie = Movie::parse(&found.moov)?;
    let (tap, watch) = source.into_tap(start, STALL_MAX)?;
    let fed = match found.whole {
        Some(length) => Fed::whole(tap, length.saturating_sub(start)),
        None => Fed::streamed(tap),
    };
    let reader = IsoMp4Reader::try_new(fed.into_stream(), FormatOptions::default())
        .map_err(|error| translate(Kind::Mp4, &watch, &error))?;
    let declared = Duration::try_from_secs_f64(movie.ticks as f64 / f64::from(movie.span.ticks_per_second)).ok();
    if let Some(config) = setup(&reader, movie.track, CODEC_ID_AAC) {
        let config = aac::Config::parse(config, channel).map_err(AudioError::unsupported)?;
        let rate = config.frequency;
        let of_rate = |ticks: u64| scale(ticks, rate, movie.span.ticks_per_second);
        let heard = aac::Heard { start: of_rate(movie.span.start), length: movie.span.length.map(of_rate) };
        let stream = aac::Stream::new(Kind::Mp4, &config, target, heard)?;
        let (reader, codec) = (Box::new(reader), Codec::Aac(Box::new(stream)));
        return Ok(Box::new(Coded { reader, track: movie.track, watch, codec, declared, truncated: false }));
    }
    if let Some(streaminfo) = setup(&reader, movie.track, CODEC_ID_FLAC) {
        let packets = flac::Packets::open(Kind::Mp4, streaminfo, channel)?;
        let rate = packets.rate();
        let of_rate = |ticks: u64| scale(ticks, rate.hz(), movie.span.ticks_per_second);
        let (reader, codec) = (Box::new(reader), Codec::Flac(packets));
        let coded = Box::new(Coded { reader, track: movie.track, watch, codec, declared, truncated: false });
        return Ok(match movie.span.length {
            Some(length) => {
                trim::open(coded, trim::Heard { skip: of_rate(movie.span.start), frames: of_rate(length), rate })
            }
            None => coded,
        });
    }
    let stream = Stream {
        kind: Kind::Mp4,
        watch,
        track: Some(movie.track),
        span: Some(movie.span),
        declared_frames: None,
        declared,
    };
    Foreign::open(stream, Box::new(reader))
}

/// What the decoder of a track must know before its samples, if it is of a codec.
fn setup(reader: &dyn FormatReader, track: u32, codec: AudioCodecId) -> Option<&[u8]> {
    let track = reader.tracks().iter().find(|candidate| candidate.id == track)?;
    let parameters = track.codec_params.as_ref()?.audio()?;
    if parameters.codec == codec { parameters.extra_data.as_deref() } else { None }
}

/// A codec of our own in MP4.
struct Coded {
    reader: Box<dyn FormatReader>,
    track: u32,
    watch: Watch,
    codec: Codec,
    declared: Option<Duration>,
    truncated: bool,
}

enum Codec {
    /// Each sample is one raw data block.
    Aac(Box<aac::Stream>),
    /// Each sample is one frame.
    Flac(flac::Packets),
}

impl Codec {
    /// Makes a block empty.
    fn begin(&self, block: &mut Block) {
        match self {
            Codec::Aac(stream) => stream.begin(block),
            Codec::Flac(_) => block.samples.clear(),
        }
    }

    /// Decodes a sample.
    fn decode(&mut self, sample: &[u8], block: &mut Block) -> Result<(), AudioError> {
        match self {
            Codec::Aac(stream) => stream.decode(sample, aac::Until::Heard, block).map(|_| ()),
            Codec::Flac(packets) => packets.decode(sample, block),
        }
    }

    fn is_silent_failure(&self, broken_off: bool) -> bool {
        match self {
            Codec::Aac(stream) => stream.is_silent_failure(broken_off),
            Codec::Flac(packets) => packets.is_silent_failure(broken_off),
        }
    }
}

impl Coded {
    fn end(&mut self, truncated: bool) -> Result<bool, AudioError> {
        self.truncated = truncated;
        // Tables without samples are an empty clip, which is audio; a stream that breaks off before its first block is not.
        if self.codec.is_silent_failure(truncated) {
            return Err(AudioError::undecodable(Kind::Mp4, "no part of it can be decoded"));
        }
        Ok(false)
    }
}

impl Decode for Coded {
    fn channels(&self) -> Option<usize> {
        match &self.codec {
            Codec::Aac(stream) => stream.channels(),
            Codec::Flac(_) => None,
        }
    }

    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        self.codec.begin(block);
        match self.reader.next_packet() {
            Ok(Some(packet)) => {
                self.watch.progressed();
                if packet.track_id == self.track {
                    self.codec.decode(&packet.data, block)?;
                }
                Ok(true)
            }
            Ok(None) => self.end(false),
            Err(Error::IoError(error)) => match self.watch.take_fault() {
                Some(fault) => Err(fault),
                None if error.kind() == std::io::ErrorKind::UnexpectedEof => self.end(true),
                None => Err(AudioError::undecodable(Kind::Mp4, error.to_string())),
            },
            Err(error) => Err(translate(Kind::Mp4, &self.watch, &error)),
        }
    }

    fn declared(&self) -> Option<Duration> {
        self.declared
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}

struct Found {
    moov: Vec<u8>,
    /// Length of the original where the samples stand before `moov`, so that all of it had to be waited for.
    whole: Option<u64>,
}

fn damaged(reason: &'static str) -> AudioError {
    AudioError::undecodable(Kind::Mp4, reason)
}

/// Walks the top level to `moov` and reads its body.
fn find_moov(source: &mut Source) -> Result<Found, AudioError> {
    let mut whole = None;
    for _ in 0..TOP_ATOMS_MAX {
        let position = source.position();
        let mut head = [0; 16];
        if source.read_full(&mut head[..8])? < 8 {
            break;
        }
        let (header_size, size) = match u32_at(&head, 0) {
            // "To the end": nothing comes behind it.
            0 => (8, u64::MAX),
            1 => {
                source.read_full(&mut head[8..])?;
                (16, u64_at(&head, 8))
            }
            size => (8, u64::from(size)),
        };
        let body = size.checked_sub(header_size).ok_or_else(|| damaged("an atom is shorter than its header"))?;
        match &head[4..8] {
            b"moov" => {
                if body > MOOV_MAX {
                    return Err(AudioError::over_limit(format!("{} MiB of sample tables", MOOV_MAX >> 20)));
                }
                let mut moov = Vec::new();
                while (moov.len() as u64) < body {
                    let step = usize::try_from(body - moov.len() as u64).unwrap_or(usize::MAX);
                    let bytes = source.peek(step.min(16 * 1024))?;
                    if bytes.is_empty() {
                        return Err(damaged("its sample tables are cut short"));
                    }
                    moov.extend_from_slice(bytes);
                    let taken = bytes.len();
                    source.consume(taken);
                }
                return Ok(Found { moov, whole });
            }
            b"mdat" | b"moof" if whole.is_none() => {
                let length = source.wait_complete()?;
                whole = Some(length);
                if position.saturating_add(size) > length {
                    return Err(damaged("it ends before its sample tables"));
                }
            }
            _ => {}
        }
        source.seek_to(position.saturating_add(size))?;
    }
    Err(damaged("it has no sample tables"))
}

/// What `moov` says about the audio track.
#[derive(Debug)]
struct Movie {
    track: u32,
    /// Length of all samples in ticks; 0 if the file is fragmented.
    ticks: u64,
    span: Span,
}

impl Movie {
    fn parse(moov: &[u8]) -> Result<Movie, AudioError> {
        let movie_ticks_per_second = find(moov, &[b"mvhd"]).map_or(0, |mvhd| u32_at(mvhd, versioned(mvhd, 12, 20)));
        let track = atoms(moov)
            .filter(|(name, _)| name == b"trak")
            .map(|(_, body)| body)
            .find(|track| find(track, &[b"mdia", b"hdlr"]).is_some_and(|hdlr| hdlr.get(8..12) == Some(b"soun")))
            .ok_or_else(|| damaged("it has no audio track"))?;
        let tkhd = find(track, &[b"tkhd"]).unwrap_or_default();
        let mdhd = find(track, &[b"mdia", b"mdhd"]).unwrap_or_default();
        let ticks_per_second = u32_at(mdhd, versioned(mdhd, 12, 20));
        if ticks_per_second == 0 {
            return Err(damaged("its time scale is 0"));
        }
        let table = find(track, &[b"mdia", b"minf", b"stbl"]).unwrap_or_default();
        check_sample_sizes(find(table, &[b"stsz"]).unwrap_or_default())?;
        let ticks = total_ticks(find(table, &[b"stts"]).unwrap_or_default());
        let edit =
            find(track, &[b"edts", b"elst"]).and_then(|elst| edit(elst, movie_ticks_per_second, ticks_per_second));
        let gapless = find(moov, &[b"udta", b"meta", b"ilst"]).and_then(itunes_gapless);
        let (start, length) = match (gapless, edit) {
            (Some((delay, length)), _) => (delay, Some(length)),
            (None, Some((start, length))) => {
                (start, heard(ticks, start, length, ticks_per_second, movie_ticks_per_second))
            }
            (None, None) => (0, None),
        };
        let track = u32_at(tkhd, versioned(tkhd, 12, 20));
        Ok(Movie { track, ticks, span: Span { start, length, ticks_per_second } })
    }
}

/// Length of the edit in media ticks. Movie ticks are coarse (often milliseconds): where the edit ends within one of them of the
/// samples' end, it means the samples' end.
fn heard(ticks: u64, start: u64, edit: u64, ticks_per_second: u32, movie_ticks_per_second: u32) -> Option<u64> {
    if ticks == 0 {
        return None;
    }
    let rest = ticks.saturating_sub(start);
    let tick = u64::from(ticks_per_second / movie_ticks_per_second.max(1)) + 1;
    Some(if edit == 0 || edit.saturating_add(tick) >= rest { rest } else { edit })
}

/// Start and length, in media ticks, of the only edit that shows anything.
fn edit(elst: &[u8], movie_ticks_per_second: u32, ticks_per_second: u32) -> Option<(u64, u64)> {
    let wide = elst.first() == Some(&1);
    let entry_size = if wide { 20 } else { 12 };
    let mut shown = elst.get(8..)?.chunks_exact(entry_size).take(u32_at(elst, 4) as usize).filter_map(|entry| {
        let (duration, time) = if wide {
            (u64_at(entry, 0), u64_at(entry, 8) as i64)
        } else {
            (u64::from(u32_at(entry, 0)), i64::from(u32_at(entry, 4) as i32))
        };
        // A negative time is an empty edit: a gap before the audio.
        u64::try_from(time).ok().map(|time| (time, duration))
    });
    let (time, duration) = shown.next()?;
    if shown.next().is_some() {
        return Some((time, 0));
    }
    let media = u128::from(duration) * u128::from(ticks_per_second) / u128::from(movie_ticks_per_second.max(1));
    Some((time, u64::try_from(media).unwrap_or(u64::MAX)))
}

/// Delay and length from iTunes' `iTunSMPB`: hexadecimal words, of which the second is the delay and the fourth the length.
fn itunes_gapless(ilst: &[u8]) -> Option<(u64, u64)> {
    let (_, item) = atoms(ilst)
        .filter(|(name, _)| name == b"----")
        .find(|(_, item)| find(item, &[b"name"]).is_some_and(|name| name.ends_with(b"iTunSMPB")))?;
    let text = std::str::from_utf8(find(item, &[b"data"])?.get(8..)?).ok()?;
    let mut words = text.split_ascii_whitespace().map(|word| u64::from_str_radix(word, 16));
    let delay = words.nth(1)?.ok()?;
    let length = words.nth(1)?.ok()?;
    (length > 0).then_some((delay, length))
}

fn check_sample_sizes(stsz: &[u8]) -> Result<(), AudioError> {
    let constant = u32_at(stsz, 4);
    let sizes = stsz.get(12..).unwrap_or_default().as_chunks::<4>().0.iter().map(|size| u32::from_be_bytes(*size));
    let largest = if constant != 0 { Some(constant) } else { sizes.max() };
    if largest.unwrap_or(0) > SAMPLE_MAX { Err(damaged("a sample is larger than any can be")) } else { Ok(()) }
}

/// Sum of all durations in a `stts` table.
fn total_ticks(stts: &[u8]) -> u64 {
    let entries = stts.get(8..).unwrap_or_default().as_chunks::<8>().0.iter().take(u32_at(stts, 4) as usize);
    entries.fold(0, |sum: u64, entry| {
        sum.saturating_add(u64::from(u32_at(entry, 0)).saturating_mul(u64::from(u32_at(entry, 4))))
    })
}

/// Names and bodies of the atoms in a row; stops where a length lies.
fn atoms(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let name = *rest.get(4..)?.first_chunk::<4>()?;
        let size = u32_at(rest, 0) as usize;
        let body = rest.get(8..size)?;
        rest = rest.get(size..)?;
        Some((name, body))
    })
}

/// The body of the atom at a path.
fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |inside, name| {
        // `meta` has a version and flags before its children.
        let body = atoms(inside).find(|(found, _)| found == *name).map(|(_, body)| body)?;
        if *name == b"meta" { body.get(4..) } else { Some(body) }
    })
}

/// The offset of a field in a full atom: `narrow` in version 0, `wide` in version 1.
fn versioned(atom: &[u8], narrow: usize, wide: usize) -> usize {
    if atom.first() == Some(&1) { wide } else { narrow }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
