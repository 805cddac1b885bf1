//! AIFF and AIFF-C (Apple, 1989 and 1991), with the codings that QuickTime and Silicon Graphics added.
//!
//! ```text
//! "FORM" length:u32 ("AIFF" | "AIFC") { id:4 length:u32 body pad-to-even }*      all big-endian
//! COMM: channels:u16 frames:u32 bits:u16 rate:80-bit-float [coding:4 name]
//! SSND: offset:u32 block:u32 gap:offset data
//! ```
//! The chunks may come in any order; where the sound comes before what describes it, it is heard only once both are there. A sound of
//! length 0 is one whose writer never came back to fill it in and goes to the end.

use super::{
    Decode, checked_channels, checked_rate, g722, gsm, ima,
    pcm::{self, Coding, Order, Shape},
};
use crate::{
    media::audio::{AudioError, Kind, mix::Layout, source::Source},
    units::{Channels, SampleRate},
};

/// Chunks at most until format and sound are found.
const CHUNKS_MAX: usize = 1_000;
/// Bytes of `FORM`, its length and type.
const FORM_SIZE: u64 = 12;
/// Bytes of COMM up to the coding.
const COMM_SIZE: usize = 18;
/// Bytes of SSND before its gap and data, and those that say how they are aligned.
const SOUND_HEAD_SIZE: u64 = 8;
const SOUND_BLOCK_SIZE: u64 = 4;
/// What plain AIFF has for a coding.
const UNCOMPRESSED: [u8; 4] = *b"NONE";
/// Bits of a linear sample at most.
const BITS_MAX: usize = 32;

/// What COMM says, checked.
struct Common {
    layout: Layout,
    bits: usize,
    rate: SampleRate,
    coding: [u8; 4],
}

/// Where the samples are.
struct Sound {
    start: u64,
    /// Bytes; `None` is "to the end".
    length: Option<u64>,
}

/// Opens the file that starts where the source stands.
pub(super) fn open(mut source: Source) -> Result<Box<dyn Decode>, AudioError> {
    let (common, sound) = read_chunks(&mut source)?;
    match sound.start.checked_sub(source.position()) {
        Some(ahead) => source.skip(ahead)?,
        None => source.seek_to(sound.start)?,
    }
    if let Some(length) = sound.length {
        source.end_after(length);
    }
    let Common { layout, rate, .. } = common;
    match &common.coding {
        b"ima4" => Ok(ima::open(source, rate, layout)),
        b"GSM " if layout.channels() == Channels::MONO => Ok(gsm::open(source, Kind::Aiff, gsm::Packing::Frames, rate)),
        b"G722" if layout.channels() == Channels::MONO && rate == SampleRate::HZ_16000 => Ok(g722::open(source)),
        b"G722" => Err(AudioError::unsupported("G.722 in AIFF that is not mono at 16 kHz")),
        _ => Ok(pcm::open(source, Shape { coding: common.samples()?, rate, layout })),
    }
}

/// Reads on until both what describes the sound and the sound are found.
fn read_chunks(source: &mut Source) -> Result<(Common, Sound), AudioError> {
    source.skip(FORM_SIZE)?;
    let (mut common, mut sound) = (None, None);
    for _ in 0..CHUNKS_MAX {
        let Some([a, b, c, d, length @ ..]) = source.take::<8>()? else { break };
        let length = u64::from(u32::from_be_bytes(length));
        let body_start = source.position();
        match &[a, b, c, d] {
            b"COMM" if common.is_none() => common = Some(read_common(source, length)?),
            b"SSND" if sound.is_none() => sound = Some(read_sound(source, length)?),
            _ => {}
        }
        match (common, sound) {
            (Some(common), Some(sound)) => return Ok((common, sound)),
            // Behind a sound that goes to the end there is nothing.
            (None, Some(Sound { length: None, .. })) => break,
            so_far => (common, sound) = so_far,
        }
        let next = body_start + length + length % 2;
        source.skip(next.saturating_sub(source.position()))?;
    }
    Err(damaged("it has no sound, or nothing that describes it"))
}

fn read_common(source: &mut Source, length: u64) -> Result<Common, AudioError> {
    let body = source.take::<COMM_SIZE>()?.filter(|_| length >= COMM_SIZE as u64);
    let [channels_high, channels_low, _, _, _, _, bits_high, bits_low, rate @ ..] =
        body.ok_or_else(|| damaged("its description is cut short"))?;
    let mut coding = UNCOMPRESSED;
    if length >= (COMM_SIZE + coding.len()) as u64 {
        coding = source.take()?.unwrap_or(UNCOMPRESSED);
    }
    let channels = u16::from_be_bytes([channels_high, channels_low]);
    Ok(Common {
        layout: Layout::wave_default(checked_channels(Kind::Aiff, usize::from(channels))?),
        bits: usize::from(u16::from_be_bytes([bits_high, bits_low])),
        rate: checked_rate(Kind::Aiff, whole_hertz(rate))?,
        coding,
    })
}

fn read_sound(source: &mut Source, length: u64) -> Result<Sound, AudioError> {
    let gap = u64::from(source.take()?.map_or(0, u32::from_be_bytes));
    let start = source.position() + SOUND_BLOCK_SIZE + gap;
    let length = (length > 0).then(|| length.saturating_sub(SOUND_HEAD_SIZE + gap));
    Ok(Sound { start, length })
}

impl Common {
    /// How samples lie that are stored as they are.
    fn samples(&self) -> Result<Coding, AudioError> {
        use Order::{Big, Little};
        let signed = |order| Coding::signed(self.bits.div_ceil(8), order).filter(|_| self.bits <= BITS_MAX);
        let coding = match &self.coding {
            b"NONE" | b"twos" => signed(Big),
            b"sowt" => signed(Little),
            b"raw " => Some(Coding::Unsigned8),
            b"in24" => Some(Coding::Signed24(Big)),
            b"in32" => Some(Coding::Signed32(Big)),
            b"42ni" => Some(Coding::Signed24(Little)),
            b"23ni" => Some(Coding::Signed32(Little)),
            b"fl32" | b"FL32" => Some(Coding::Float32(Big)),
            b"fl64" | b"FL64" => Some(Coding::Float64(Big)),
            b"ulaw" | b"ULAW" => Some(Coding::Ulaw),
            b"alaw" | b"ALAW" => Some(Coding::Alaw),
            _ => None,
        };
        coding.ok_or_else(|| {
            let name = self.coding.escape_ascii();
            AudioError::unsupported(format!("AIFF with coding \"{name}\" and {} bits a sample", self.bits))
        })
    }
}

/// A rate in IEEE 754 double-extended precision (sign and exponent in 16 bits, mantissa with its leading one in 64), rounded to Hz;
/// 0 where it is negative or nothing, the largest number where it does not fit.
fn whole_hertz([high, low, mantissa @ ..]: [u8; 10]) -> u32 {
    const BIAS: u16 = 16_383;
    let (exponent, mantissa) = (u16::from_be_bytes([high, low]), u64::from_be_bytes(mantissa));
    // Of the mantissa's 64 bits, one is before the point of a number of exponent 0. A sign makes the exponent too large: no rate.
    let Some(shift) = (BIAS + 63).checked_sub(exponent) else { return u32::MAX };
    let rounded = match shift {
        0 => mantissa,
        1..=63 => (mantissa >> shift) + (mantissa >> (shift - 1) & 1),
        _ => 0,
    };
    u32::try_from(rounded).unwrap_or(u32::MAX)
}

fn damaged(reason: &'static str) -> AudioError {
    AudioError::undecodable(Kind::Aiff, reason)
}
