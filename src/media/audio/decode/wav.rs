//! RIFF and RF64 WAVE with uncompressed or G.711 samples (Microsoft RIFF 1991, WAVEFORMATEXTENSIBLE, EBU Tech 3306).
//!
//! ```text
//! "RIFF" length:u32 "WAVE" { id:4 length:u32 body pad-to-even }*      all little-endian
//! fmt: tag:u16 channels:u16 rate:u32 byte-rate:u32 block:u16 bits:u16 [extra:u16 valid-bits:u16 mask:u32 subformat:16]
//! ```
//! Lengths are believed only as far as the bytes go: 0xFFFFFFFF, and 0 where the writer never came back to fill it in, mean "to the end".

use std::time::Duration;

use super::{Block, Decode, adpcm, checked_channels, checked_rate, mp3};
use crate::{
    media::audio::{AudioError, Kind, encode::g711, mix::Layout, source::Source, timeline::frames_duration},
    units::SampleRate,
};

/// Blocks per second of audio.
const BLOCKS_PER_SECOND: u32 = 25;
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
const TAG_MP3: u16 = 0x55;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// How one sample lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
    Alaw,
    Ulaw,
}

impl Coding {
    fn bytes(self) -> usize {
        match self {
            Coding::Unsigned8 | Coding::Alaw | Coding::Ulaw => 1,
            Coding::Signed16 => 2,
            Coding::Signed24 => 3,
            Coding::Signed32 | Coding::Float32 => 4,
            Coding::Float64 => 8,
        }
    }

    /// Full scale is 1 for every coding.
    fn decode(self, raw: &[u8], samples: &mut Vec<f32>) {
        match self {
            Coding::Unsigned8 => samples.extend(raw.iter().map(|byte| (f32::from(*byte) - 128.0) / 128.0)),
            Coding::Alaw => samples.extend(raw.iter().map(|byte| from_i16(g711::alaw_to_linear(*byte)))),
            Coding::Ulaw => samples.extend(raw.iter().map(|byte| from_i16(g711::ulaw_to_linear(*byte)))),
            Coding::Signed16 => samples.extend(raw.as_chunks().0.iter().map(|b| from_i16(i16::from_le_bytes(*b)))),
            Coding::Signed24 => samples.extend(raw.as_chunks().0.iter().map(|[a, b, c]| {
                // In the upper three bytes of an i32 the sign needs no care.
                i32::from_le_bytes([0, *a, *b, *c]) as f32 / 2_147_483_648.0
            })),
            Coding::Signed32 => {
                samples.extend(raw.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b) as f32 / 2_147_483_648.0));
            }
            Coding::Float32 => samples.extend(raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
            Coding::Float64 => samples.extend(raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32)),
        }
    }
}

fn from_i16(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

/// What a `fmt ` chunk says, checked.
#[derive(Clone, Copy, Debug)]
struct FormatChunk {
    tag: u16,
    rate: SampleRate,
    layout: Layout,
    /// Bytes of a frame.
    block: usize,
}

/// Opens the WAVE file that starts where the source stands.
pub(super) fn open(mut source: Source) -> Result<Box<dyn Decode>, AudioError> {
    let start = source.position();
    let mut head = [0; 12];
    source.read_full(&mut head)?;
    let riff_length = u32_at(&head, 4);
    let riff_end = source.position() - 4 + u64::from(riff_length);
    let is_rf64 = head.starts_with(b"RF64");
    let mut long_data_length = None;
    let mut format = None;
    let mut fact = None;
    for _ in 0..CHUNKS_MAX {
        let mut chunk = [0; 8];
        if source.read_full(&mut chunk)? < chunk.len() {
            break;
        }
        let length = u32_at(&chunk, 4);
        let body_start = source.position();
        match &chunk[..4] {
            b"ds64" if is_rf64 => {
                let mut body = [0; 16];
                source.read_full(&mut body)?;
                long_data_length = body.last_chunk().map(|bytes| u64::from_le_bytes(*bytes));
            }
            b"fmt " => {
                let mut body = [0; 40];
                let size = body.len().min(length as usize);
                let read = source.read_full(body.get_mut(..size).unwrap_or_default())?;
                format = Some(parse_format(body.get(..read).unwrap_or_default())?);
            }
            b"fact" => {
                let mut body = [0; 4];
                source.read_full(&mut body)?;
                fact = Some(u64::from(u32::from_le_bytes(body))).filter(|frames| *frames != 0);
            }
            b"data" => {
                let format: FormatChunk = format.ok_or_else(|| damaged("its data comes before its format"))?;
                match format.tag {
                    TAG_MS_ADPCM | TAG_IMA_ADPCM => return adpcm::open(source, start, format.rate, fact),
                    TAG_MP3 => return Ok(mp3::open(source)),
                    _ => {}
                }
                let unfinished = length == 0 && (matches!(riff_length, 0 | UNKNOWN) || riff_end <= source.position());
                let data = match length {
                    UNKNOWN => long_data_length,
                    UNKNOWN_TO_SOX => None,
                    _ if unfinished => None,
                    _ => Some(u64::from(length)),
                };
                return open_data(source, format, data);
            }
            _ => {}
        }
        let padded = u64::from(length) + u64::from(length % 2);
        source.skip((body_start + padded).saturating_sub(source.position()))?;
    }
    Err(damaged("it has no data"))
}

fn open_data(source: Source, format: FormatChunk, data: Option<u64>) -> Result<Box<dyn Decode>, AudioError> {
    let channels = format.layout.channels().count();
    let sample_size = format.block / channels;
    let coding = match (format.tag, sample_size) {
        (TAG_PCM, 1) => Coding::Unsigned8,
        (TAG_PCM, 2) => Coding::Signed16,
        (TAG_PCM, 3) => Coding::Signed24,
        (TAG_PCM, 4) => Coding::Signed32,
        (TAG_FLOAT, 4) => Coding::Float32,
        (TAG_FLOAT, 8) => Coding::Float64,
        (TAG_ALAW, 1) => Coding::Alaw,
        (TAG_ULAW, 1) => Coding::Ulaw,
        (tag, size) => {
            return Err(AudioError::unsupported(format!("WAV with format tag {tag} and {size} bytes a sample")));
        }
    };
    let frames_per_block = (format.rate.hz() / BLOCKS_PER_SECOND) as usize;
    let buffer = vec![0; frames_per_block * channels * coding.bytes()];
    Ok(Box::new(Wav { source, format, coding, data, left: data, buffer, truncated: false }))
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

/// Samples of the data chunk.
struct Wav {
    source: Source,
    format: FormatChunk,
    coding: Coding,
    /// Declared bytes of data; `None` is "to the end".
    data: Option<u64>,
    /// Those not read yet.
    left: Option<u64>,
    buffer: Vec<u8>,
    truncated: bool,
}

impl Decode for Wav {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        block.rate = self.format.rate;
        block.layout = self.format.layout;
        let want =
            self.buffer.len().min(self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX)));
        let room = self.buffer.get_mut(..want).unwrap_or_default();
        let read = self.source.read_full(room)?;
        if read < want && self.left.is_some() {
            self.truncated = true;
        }
        if let Some(left) = &mut self.left {
            *left = if read < want { 0 } else { left.saturating_sub(read as u64) };
        }
        // A piece of a frame at the end is no frame.
        let whole = read - read % self.format.block;
        self.coding.decode(self.buffer.get(..whole).unwrap_or_default(), &mut block.samples);
        Ok(whole > 0)
    }

    fn declared(&self) -> Option<Duration> {
        self.data.map(|bytes| frames_duration(bytes / self.format.block as u64, self.format.rate))
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}
