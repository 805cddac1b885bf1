//! Core Audio Format (Apple, Core Audio Format Specification 1.0).
//!
//! ```text
//! "caff" version:u16 flags:u16 { id:4 length:i64 body }*      all big-endian; no padding
//! desc: rate:f64 coding:4 flags:u32 packet-bytes:u32 packet-frames:u32 channels:u32 bits:u32
//! chan: layout:u32 speakers:u32 …
//! pakt: packets:i64 frames:i64 priming:i32 remainder:i32 …
//! data: edits:u32 bytes      a length of −1 goes to the end
//! ```
//! A packet table behind the data is looked for only where audio comes in packets of more than a frame, whose last may be padded: such
//! a file is heard once it is all there.

use super::{
    Decode, checked_channels, checked_rate, gsm, ima,
    pcm::{self, Coding, Order, Shape},
    trim::{self, Heard},
};
use crate::{
    media::audio::{AudioError, Kind, mix::Layout, source::Source},
    units::{Channels, SampleRate},
};

/// Chunks before the data, and behind it, at most.
const CHUNKS_MAX: usize = 1_000;
/// Bytes of the file's header.
const FILE_HEAD_SIZE: u64 = 8;
/// A length that says nothing.
const UNKNOWN: i64 = -1;
/// Bytes of the count of edits before the data.
const EDITS_SIZE: u64 = 4;
/// Bytes of the count of packets in a packet table.
const PACKET_COUNT_SIZE: u64 = 8;
/// Of lpcm: whether its samples are floating-point, and whether little-endian.
const FLAG_FLOAT: u32 = 1;
const FLAG_LITTLE: u32 = 2;
/// The layout that is told by a bit for each speaker, as in WAVE.
const LAYOUT_BY_SPEAKERS: u32 = 0x1_0000;

/// What desc says, checked.
struct Description {
    rate: SampleRate,
    coding: [u8; 4],
    flags: u32,
    packet_bytes: u32,
    packet_frames: u32,
    channels: Channels,
}

/// What stands before the data, and where that is.
struct Header {
    description: Description,
    layout: Layout,
    heard: Option<Heard>,
    /// Bytes of data; `None` is "to the end".
    data: Option<u64>,
}

/// Opens the file that starts where the source stands.
pub(super) fn open(mut source: Source) -> Result<Box<dyn Decode>, AudioError> {
    let Header { description, layout, mut heard, data } = read_header(&mut source)?;
    if let Some(length) = data {
        if heard.is_none() && description.packet_frames > 1 {
            heard = heard_behind(&mut source, length, description.rate)?;
        }
        source.end_after(length);
    }
    let rate = description.rate;
    let decoder = match &description.coding {
        b"ima4" => ima::open(source, rate, layout),
        b"agsm" if description.channels == Channels::MONO => gsm::open(source, Kind::Caf, gsm::Packing::Frames, rate),
        _ => pcm::open(source, Shape { coding: description.samples()?, rate, layout }),
    };
    Ok(match heard {
        Some(heard) => trim::open(decoder, heard),
        None => decoder,
    })
}

/// Goes to where the data begins.
fn read_header(source: &mut Source) -> Result<Header, AudioError> {
    source.skip(FILE_HEAD_SIZE)?;
    let (mut description, mut layout, mut heard) = (None, None, None);
    for _ in 0..CHUNKS_MAX {
        let Some(Chunk { id, length }) = Chunk::read(source)? else { break };
        let body_start = source.position();
        match (&id, &description) {
            (b"desc", None) => description = Some(read_description(source)?),
            (b"chan", Some(description)) => layout = read_layout(source, description.channels)?,
            (b"pakt", Some(description)) => heard = read_heard(source, description.rate)?,
            (b"data", _) => {
                let description = description.ok_or_else(|| damaged("its data comes before its description"))?;
                source.skip(EDITS_SIZE)?;
                let layout = layout.unwrap_or_else(|| Layout::wave_default(description.channels));
                let data = length.map(|length| length.saturating_sub(EDITS_SIZE));
                return Ok(Header { description, layout, heard, data });
            }
            _ => {}
        }
        let Some(length) = length else { break };
        source.skip(body_start.saturating_add(length).saturating_sub(source.position()))?;
    }
    Err(damaged("it has no data"))
}

/// Looks for a packet table behind `length` bytes of data, and comes back.
fn heard_behind(source: &mut Source, length: u64, rate: SampleRate) -> Result<Option<Heard>, AudioError> {
    let start = source.position();
    let mut heard = None;
    source.skip(length)?;
    for _ in 0..CHUNKS_MAX {
        let Some(Chunk { id, length: Some(length) }) = Chunk::read(source)? else { break };
        if &id == b"pakt" {
            heard = read_heard(source, rate)?;
            break;
        }
        source.skip(length)?;
    }
    source.seek_to(start)?;
    Ok(heard)
}

/// The beginning of a chunk.
struct Chunk {
    id: [u8; 4],
    /// Bytes of its body; `None` is "to the end".
    length: Option<u64>,
}

impl Chunk {
    /// `None` at the end.
    fn read(source: &mut Source) -> Result<Option<Chunk>, AudioError> {
        let Some([a, b, c, d, length @ ..]) = source.take::<12>()? else { return Ok(None) };
        let length = match i64::from_be_bytes(length) {
            UNKNOWN => None,
            length => Some(u64::try_from(length).map_err(|_| damaged("a length in it is negative"))?),
        };
        Ok(Some(Chunk { id: [a, b, c, d], length }))
    }
}

fn read_description(source: &mut Source) -> Result<Description, AudioError> {
    let (Some(rate), Some(fields)) = (source.take::<8>()?, source.take::<24>()?) else {
        return Err(damaged("its description is cut short"));
    };
    let mut numbers = [0; 6];
    for (number, bytes) in numbers.iter_mut().zip(fields.as_chunks().0) {
        *number = u32::from_be_bytes(*bytes);
    }
    let [coding, flags, packet_bytes, packet_frames, channels, _bits] = numbers;
    // Saturates, and what is no number is 0.
    let rate = f64::from_be_bytes(rate).round() as u32;
    Ok(Description {
        rate: checked_rate(Kind::Caf, rate)?,
        coding: coding.to_be_bytes(),
        flags,
        packet_bytes,
        packet_frames,
        channels: checked_channels(Kind::Caf, channels as usize)?,
    })
}

fn read_layout(source: &mut Source, channels: Channels) -> Result<Option<Layout>, AudioError> {
    let Some([a, b, c, d, speakers @ ..]) = source.take::<8>()? else { return Ok(None) };
    let by_speakers = u32::from_be_bytes([a, b, c, d]) == LAYOUT_BY_SPEAKERS;
    Ok(by_speakers.then(|| Layout::wave_mask(channels, u32::from_be_bytes(speakers))))
}

/// What of the audio is to be heard; `None` where the table says nothing of it.
fn read_heard(source: &mut Source, rate: SampleRate) -> Result<Option<Heard>, AudioError> {
    source.skip(PACKET_COUNT_SIZE)?;
    let (Some(frames), Some(priming)) = (source.take()?, source.take()?) else { return Ok(None) };
    let frames = u64::try_from(i64::from_be_bytes(frames)).ok().filter(|frames| *frames != 0);
    let skip = u64::try_from(i32::from_be_bytes(priming)).unwrap_or(0);
    Ok(frames.map(|frames| Heard { skip, frames, rate }))
}

impl Description {
    /// How samples lie that are stored as they are.
    fn samples(&self) -> Result<Coding, AudioError> {
        let name = self.coding.escape_ascii();
        let order = if self.flags & FLAG_LITTLE != 0 { Order::Little } else { Order::Big };
        let size = self.packet_bytes as usize / self.channels.count();
        let coding = match &self.coding {
            b"lpcm" if self.flags & FLAG_FLOAT != 0 => Coding::float(size, order),
            b"lpcm" => Coding::signed(size, order),
            b"ulaw" => Some(Coding::Ulaw),
            b"alaw" => Some(Coding::Alaw),
            _ => return Err(AudioError::unsupported(format!("CAF with coding \"{name}\""))),
        };
        let whole = self.packet_bytes as usize == size * self.channels.count() && self.packet_frames == 1;
        coding.filter(|_| whole).ok_or_else(|| {
            AudioError::unsupported(format!("CAF with coding \"{name}\" and {} bytes a packet", self.packet_bytes))
        })
    }
}

fn damaged(reason: &'static str) -> AudioError {
    AudioError::undecodable(Kind::Caf, reason)
}
