//! Samples as they are: linear of any width and byte order, floating-point, G.711. What WAV, AU, AIFF and CAF have in common.

use std::{sync::LazyLock, time::Duration};

use super::{Block, Decode};
use crate::{
    media::audio::{AudioError, encode::g711, mix::Layout, source::Source, timeline::frames_duration},
    units::SampleRate,
};

/// Blocks per second of audio.
const BLOCKS_PER_SECOND: u32 = 25;
/// What full scale of 32 bits is divided by.
const FULL_SCALE: f32 = 2_147_483_648.0;

/// Order of the bytes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Lowest first.
    Little,
    /// Highest first.
    Big,
}

/// How one sample lies in the file. Linear ones with fewer bits than their bytes have are aligned to the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Unsigned8,
    Signed8,
    Signed16(Order),
    Signed24(Order),
    Signed32(Order),
    Float32(Order),
    Float64(Order),
    Alaw,
    Ulaw,
}

impl Coding {
    /// Signed linear samples of so many bytes.
    pub(super) fn signed(bytes: usize, order: Order) -> Option<Coding> {
        match bytes {
            1 => Some(Coding::Signed8),
            2 => Some(Coding::Signed16(order)),
            3 => Some(Coding::Signed24(order)),
            4 => Some(Coding::Signed32(order)),
            _ => None,
        }
    }

    /// Floating-point samples of so many bytes.
    pub(super) fn float(bytes: usize, order: Order) -> Option<Coding> {
        match bytes {
            4 => Some(Coding::Float32(order)),
            8 => Some(Coding::Float64(order)),
            _ => None,
        }
    }

    /// Bytes of a sample.
    pub(super) fn bytes(self) -> usize {
        match self {
            Coding::Unsigned8 | Coding::Signed8 | Coding::Alaw | Coding::Ulaw => 1,
            Coding::Signed16(_) => 2,
            Coding::Signed24(_) => 3,
            Coding::Signed32(_) | Coding::Float32(_) => 4,
            Coding::Float64(_) => 8,
        }
    }

    /// Appends the samples of `raw`. Full scale is 1 for every coding.
    fn decode(self, raw: &[u8], samples: &mut Vec<f32>) {
        use Order::{Big, Little};
        match self {
            Coding::Unsigned8 => each(raw, samples, |[byte]| (f32::from(byte) - 128.0) / 128.0),
            Coding::Signed8 => each(raw, samples, |[byte]| f32::from(byte.cast_signed()) / 128.0),
            Coding::Alaw => look_up(raw, samples, &ALAW),
            Coding::Ulaw => look_up(raw, samples, &ULAW),
            Coding::Signed16(Little) => each(raw, samples, |bytes| from_i16(i16::from_le_bytes(bytes))),
            Coding::Signed16(Big) => each(raw, samples, |bytes| from_i16(i16::from_be_bytes(bytes))),
            // In the upper three bytes of an i32 the sign needs no care.
            Coding::Signed24(Little) => each(raw, samples, |[a, b, c]| from_i32(i32::from_le_bytes([0, a, b, c]))),
            Coding::Signed24(Big) => each(raw, samples, |[a, b, c]| from_i32(i32::from_be_bytes([a, b, c, 0]))),
            Coding::Signed32(Little) => each(raw, samples, |bytes| from_i32(i32::from_le_bytes(bytes))),
            Coding::Signed32(Big) => each(raw, samples, |bytes| from_i32(i32::from_be_bytes(bytes))),
            Coding::Float32(Little) => each(raw, samples, f32::from_le_bytes),
            Coding::Float32(Big) => each(raw, samples, f32::from_be_bytes),
            Coding::Float64(Little) => each(raw, samples, |bytes| f64::from_le_bytes(bytes) as f32),
            Coding::Float64(Big) => each(raw, samples, |bytes| f64::from_be_bytes(bytes) as f32),
        }
    }
}

/// One loop for each coding, with the size of its samples known: this is what a lossless transcode spends its time on beside the
/// resampler.
fn each<const N: usize>(raw: &[u8], samples: &mut Vec<f32>, sample: impl Fn([u8; N]) -> f32) {
    samples.extend(raw.as_chunks().0.iter().map(|bytes| sample(*bytes)));
}

fn look_up(raw: &[u8], samples: &mut Vec<f32>, table: &[f32; 256]) {
    samples.extend(raw.iter().map(|code| table[usize::from(*code)]));
}

pub(super) fn from_i16(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

fn from_i32(sample: i32) -> f32 {
    sample as f32 / FULL_SCALE
}

/// The samples of all codes.
static ALAW: LazyLock<[f32; 256]> = LazyLock::new(|| table(g711::alaw_to_linear));
static ULAW: LazyLock<[f32; 256]> = LazyLock::new(|| table(g711::ulaw_to_linear));

fn table(decode: impl Fn(u8) -> i16) -> [f32; 256] {
    std::array::from_fn(|code| from_i16(decode(code as u8)))
}

/// Samples as a file's header describes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) coding: Coding,
    pub(super) rate: SampleRate,
    pub(super) layout: Layout,
}

impl Shape {
    /// Bytes of a frame.
    pub(super) fn frame_size(&self) -> usize {
        self.coding.bytes() * self.layout.channels().count()
    }
}

/// Opens the samples that begin where the source stands and end where it does.
pub(super) fn open(source: Source, shape: Shape) -> Box<dyn Decode> {
    let frame_size = shape.frame_size();
    let declared = source.left().map(|bytes| frames_duration(bytes / frame_size as u64, shape.rate));
    let buffer = vec![0; (shape.rate.hz() / BLOCKS_PER_SECOND) as usize * frame_size];
    Box::new(Pcm { source, shape, declared, buffer, truncated: false })
}

struct Pcm {
    source: Source,
    shape: Shape,
    declared: Option<Duration>,
    /// The bytes of a block.
    buffer: Vec<u8>,
    truncated: bool,
}

impl Decode for Pcm {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        block.rate = self.shape.rate;
        block.layout = self.shape.layout;
        let read = self.source.read_full(&mut self.buffer)?;
        // A piece of a frame at the end is no frame.
        let whole = read - read % self.shape.frame_size();
        self.shape.coding.decode(self.buffer.get(..whole).unwrap_or_default(), &mut block.samples);
        self.truncated = read < self.buffer.len() && self.source.ends_short();
        Ok(whole > 0)
    }

    fn declared(&self) -> Option<Duration> {
        self.declared
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}
