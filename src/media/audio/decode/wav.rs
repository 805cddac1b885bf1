//! RIFF, RF64 and BW64 WAVE: samples as they are, and what else is put into it (Microsoft RIFF 1991, WAVEFORMATEXTENSIBLE, EBU Tech 3306).
//!
//! ```text
//! "RIFF" length:u32 "WAVE" { id:4 length:u32 body pad-to-even }*      all little-endian
//! fmt: tag:u16 channels:u16 rate:u32 byte-rate:u32 block:u16 bits:u16 [extra:u16 valid-bits:u16 mask:u32 subformat:16]
//! ```
//! Lengths are believed only as far as the bytes go: 0xFFFFFFFF, and 0 where the writer never came back to fill it in, mean "to the end".

use super::{
    Decode, adpcm, checked_channels, checked_rate, g722, gsm, mp3,
    pcm::{self, Coding, Order, Shape},
    trim::{self, Heard},
};
use crate::{
    media::{
        audio::{AudioError, Kind, mix::Layout, source::Source},
        format::Channel,
    },
    units::{Channels, SampleRate},
};

/// Chunks before the data at most.
const CHUNKS_MAX: usize = 1_000;
/// A length that says nothing.
const UNKNOWN: u32 = u32::MAX;
/// What sox writes into a pipe, where it cannot come back to say how much it was.
const UNKNOWN_TO_SOX: u32 = 0x7fff_f000;

const TAG_PCM: u16 = 1;
const TAG_MS_ADPCM: u16 = 2;
const TAG_FLOAT: u16 = 3;
const TAG_ALAW: u16 = 6;
const TAG_ULAW: u16 = 7;
const TAG_IMA_ADPCM: u16 = 0x11;
const TAG_GSM: u16 = 0x31;
const TAG_MPEG: u16 = 0x50;
const TAG_MP3: u16 = 0x55;
/// G.722 as some telephone systems and as Microsoft number it.
const TAG_G722: u16 = 0x028f;
const TAG_G722_ADPCM: u16 = 0x65;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// What a `fmt ` chunk says, checked.
#[derive(Clone, Copy, Debug)]
struct FormatChunk {
    tag: u16,
    rate: SampleRate,
    layout: Layout,
    /// Bytes of a frame.
    block: usize,
}

/// What stands before the data.
struct Header {
    format: FormatChunk,
    /// Frames to be heard.
    fact: Option<u64>,
    /// Bytes of data; `None` is "to the end".
    data: Option<u64>,
}

/// Opens the WAVE file that starts where the source stands.
pub(super) fn open(mut source: Source, target: SampleRate, channel: Channel) -> Result<Box<dyn Decode>, AudioError> {
    let start = source.position();
    let Header { format, fact, data } = read_header(&mut source)?;
    match format.tag {
        TAG_MS_ADPCM | TAG_IMA_ADPCM => return adpcm::open(source, start, format.rate, fact),
        _ => {}
    }
    if let Some(length) = data {
        source.end_after(length);
    }
    match format.tag {
        TAG_MP3 | TAG_MPEG => Ok(mp3::open(source, target, channel)),
        TAG_G722 | TAG_G722_ADPCM if format.layout.channels() == Channels::MONO => Ok(g722::open(source)),
        TAG_GSM if format.layout.channels() == Channels::MONO => {
            let frames = fact.filter(|frames| data.is_some_and(|bytes| ends_in_last_pair(*frames, bytes)));
            let decoder = gsm::open(source, Kind::Wav, gsm::Packing::Pairs, format.rate);
            Ok(match frames {
                Some(frames) => trim::open(decoder, Heard { skip: 0, frames, rate: format.rate }),
                None => decoder,
            })
        }
        _ => Ok(pcm::open(source, format.shape()?)),
    }
}

/// Goes to where the data begins.
fn read_header(source: &mut Source) -> Result<Header, AudioError> {
    let mut head = [0; 12];
    source.read_full(&mut head)?;
    let riff_length = u32_at(&head, 4);
    let riff_end = source.position() - 4 + u64::from(riff_length);
    let is_rf64 = !head.starts_with(b"RIFF");
    let mut long_data_length = None;
    let mut format = None;
    let mut fact = None;
    for _ in 0..CHUNKS_MAX {
        let Some([a, b, c, d, length @ ..]) = source.take::<8>()? else { break };
        let length = u32::from_le_bytes(length);
        let body_start = source.position();
        match &[a, b, c, d] {
            b"ds64" if is_rf64 => {
                long_data_length =
                    source.take::<16>()?.as_ref().and_then(|body| body.last_chunk().copied()).map(u64::from_le_bytes);
            }
            b"fmt " => {
                let mut body = [0; 40];
                let size = body.len().min(length as usize);
                let read = source.read_full(body.get_mut(..size).unwrap_or_default())?;
                format = Some(parse_format(body.get(..read).unwrap_or_default())?);
            }
            b"fact" => {
                fact = source.take()?.map(u32::from_le_bytes).map(u64::from).filter(|frames| *frames != 0);
            }
            b"data" => {
                let format = format.ok_or_else(|| damaged("its data comes before its format"))?;
                let unfinished = length == 0 && (matches!(riff_length, 0 | UNKNOWN) || riff_end <= body_start);
                let data = match length {
                    UNKNOWN => long_data_length,
                    UNKNOWN_TO_SOX => None,
                    _ if unfinished => None,
                    _ => Some(u64::from(length)),
                };
                return Ok(Header { format, fact, data });
            }
            _ => {}
        }
        let padded = u64::from(length) + u64::from(length % 2);
        source.skip((body_start + padded).saturating_sub(source.position()))?;
    }
    Err(damaged("it has no data"))
}

/// Whether audio of so many samples ends within the last two frames of GSM data: then the rest of them is padding, else the number
/// is wrong.
fn ends_in_last_pair(samples: u64, bytes: u64) -> bool {
    let held = gsm::Packing::Pairs.samples_in(bytes);
    (held.saturating_sub(2 * gsm::FRAME_SAMPLES as u64)..=held).contains(&samples)
}

impl FormatChunk {
    /// Of samples as they are.
    fn shape(&self) -> Result<Shape, AudioError> {
        let size = self.block / self.layout.channels().count();
        let coding = match (self.tag, size) {
            (TAG_PCM, 1) => Some(Coding::Unsigned8),
            (TAG_PCM, _) => Coding::signed(size, Order::Little),
            (TAG_FLOAT, _) => Coding::float(size, Order::Little),
            (TAG_ALAW, 1) => Some(Coding::Alaw),
            (TAG_ULAW, 1) => Some(Coding::Ulaw),
            _ => None,
        };
        let coding = coding.ok_or_else(|| {
            AudioError::unsupported(format!("WAV with format tag {} and {size} bytes a sample", self.tag))
        })?;
        Ok(Shape { coding, rate: self.rate, layout: self.layout })
    }
}

fn parse_format(body: &[u8]) -> Result<FormatChunk, AudioError> {
    if body.len() < 16 {
        return Err(damaged("its format is cut short"));
    }
    let tag = u16_at(body, 0);
    let channels = checked_channels(Kind::Wav, usize::from(u16_at(body, 2)))?;
    let rate = checked_rate(Kind::Wav, u32_at(body, 4))?;
    let block = usize::from(u16_at(body, 12));
    let bits = usize::from(u16_at(body, 14));
    let extended = tag == TAG_EXTENSIBLE && body.len() >= 40;
    let (tag, layout) = if extended {
        (u16_at(body, 24), Layout::wave_mask(channels, u32_at(body, 20)))
    } else {
        (tag, Layout::wave_default(channels))
    };
    if matches!(tag, TAG_PCM | TAG_FLOAT | TAG_ALAW | TAG_ULAW)
        && (block == 0 || block % channels.count() != 0 || block / channels.count() < bits.div_ceil(8))
    {
        return Err(damaged("its frame size contradicts its channels and bits"));
    }
    Ok(FormatChunk { tag, rate, layout, block })
}

fn damaged(reason: &'static str) -> AudioError {
    AudioError::undecodable(Kind::Wav, reason)
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
