//! Bodies without a container, as they were declared.

use super::{Block, Decode, g722};
use crate::{
    media::{
        audio::{AudioError, encode::g711, mix::Layout, source::Source},
        format::{Headerless, HeaderlessCoding},
    },
    units::SampleRate,
};

/// Blocks per second of audio.
const BLOCKS_PER_SECOND: u32 = 25;

/// Opens the body that begins where the source stands and goes on to its end.
pub(super) fn open(source: Source, headerless: Headerless) -> Result<Box<dyn Decode>, AudioError> {
    let (size, decode): (usize, fn(&[u8], &mut Vec<f32>)) = match headerless.coding() {
        HeaderlessCoding::Ulaw => (1, |raw, samples| samples.extend(raw.iter().map(|code| ulaw(*code)))),
        HeaderlessCoding::Alaw => (1, |raw, samples| samples.extend(raw.iter().map(|code| alaw(*code)))),
        HeaderlessCoding::L16 => (2, |raw, samples| {
            samples.extend(raw.as_chunks().0.iter().map(|bytes| from_i16(i16::from_le_bytes(*bytes))));
        }),
        HeaderlessCoding::L16BigEndian => (2, |raw, samples| {
            samples.extend(raw.as_chunks().0.iter().map(|bytes| from_i16(i16::from_be_bytes(*bytes))));
        }),
        HeaderlessCoding::G722 => return Ok(g722::open(source)),
        HeaderlessCoding::Gsm => return Err(AudioError::unsupported("GSM 06.10 without a container")),
    };
    let (rate, layout) = (headerless.rate(), Layout::wave_default(headerless.channels()));
    let frame_size = size * headerless.channels().count();
    let buffer = vec![0; (rate.hz() / BLOCKS_PER_SECOND) as usize * frame_size];
    Ok(Box::new(Samples { source, rate, layout, frame_size, decode, buffer }))
}

fn ulaw(code: u8) -> f32 {
    from_i16(g711::ulaw_to_linear(code))
}

fn alaw(code: u8) -> f32 {
    from_i16(g711::alaw_to_linear(code))
}

fn from_i16(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

/// Samples that each stand for themselves.
struct Samples {
    source: Source,
    rate: SampleRate,
    layout: Layout,
    frame_size: usize,
    decode: fn(&[u8], &mut Vec<f32>),
    buffer: Vec<u8>,
}

impl Decode for Samples {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        block.rate = self.rate;
        block.layout = self.layout;
        let read = self.source.read_full(&mut self.buffer)?;
        // A piece of a frame at the end is no frame.
        let whole = read - read % self.frame_size;
        (self.decode)(self.buffer.get(..whole).unwrap_or_default(), &mut block.samples);
        Ok(whole > 0)
    }

    fn truncated(&self) -> bool {
        false
    }
}
