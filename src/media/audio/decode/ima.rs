//! IMA ADPCM as QuickTime packs it (`ima4`), in AIFF-C and CAF.
//!
//! ```text
//! packet, 34 bytes: state:u16 big-endian { code:4 code:4 }×32, the lower half of each byte first      64 samples of one channel
//! state: the upper 9 bits of the sample before, 7 bits of step index
//! ```
//! Packets of the channels take turns. The arithmetic is that of the IMA's Recommended Practices for Enhancing Digital Audio
//! Compatibility (1992).

use std::time::Duration;

use super::{Block, Decode, pcm};
use crate::{
    media::audio::{AudioError, mix::Layout, source::Source, timeline::frames_duration},
    units::{Channels, SampleRate},
};

/// Bytes of a packet.
const PACKET_SIZE: usize = 34;
/// Samples of a packet.
pub(super) const PACKET_SAMPLES: usize = 64;
/// Packets of each channel in a block.
const BLOCK_PACKETS: usize = 16;
/// Bits of a packet's state that are the step index.
const INDEX_MASK: u16 = 0x7f;

/// Quantiser steps.
const STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1_060, 1_166, 1_282, 1_411, 1_552, 1_707, 1_878, 2_066, 2_272, 2_499, 2_749, 3_024, 3_327, 3_660, 4_026, 4_428,
    4_871, 5_358, 5_894, 6_484, 7_132, 7_845, 8_630, 9_493, 10_442, 11_487, 12_635, 13_899, 15_289, 16_818, 18_500,
    20_350, 22_385, 24_623, 27_086, 29_794, 32_767,
];
/// How far the step index goes up or down after a code's magnitude.
const INDEX_STEPS: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];

/// Opens the packets that begin where the source stands and end where it does.
pub(super) fn open(source: Source, rate: SampleRate, layout: Layout) -> Box<dyn Decode> {
    let channels = layout.channels().count();
    let declared = source.left().map(|bytes| {
        let packets = bytes / (PACKET_SIZE * channels) as u64;
        frames_duration(packets * PACKET_SAMPLES as u64, rate)
    });
    let buffer = vec![0; BLOCK_PACKETS * PACKET_SIZE * channels];
    let voices = [Voice { sample: 0, index: 0 }; Channels::MAX.count()];
    Box::new(Ima { source, rate, layout, declared, buffer, voices, truncated: false })
}

struct Ima {
    source: Source,
    rate: SampleRate,
    layout: Layout,
    declared: Option<Duration>,
    /// The bytes of a block.
    buffer: Vec<u8>,
    voices: [Voice; Channels::MAX.count()],
    truncated: bool,
}

impl Decode for Ima {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        block.rate = self.rate;
        block.layout = self.layout;
        let channels = self.layout.channels().count();
        let read = self.source.read_full(&mut self.buffer)?;
        let packets = self.buffer.get(..read).unwrap_or_default().as_chunks::<PACKET_SIZE>().0;
        for turn in packets.chunks_exact(channels) {
            let start = block.samples.len();
            block.samples.resize(start + PACKET_SAMPLES * channels, 0.0);
            for (channel, (packet, voice)) in turn.iter().zip(&mut self.voices).enumerate() {
                let samples = block.samples.iter_mut().skip(start + channel).step_by(channels);
                voice.decode(packet, samples);
            }
        }
        self.truncated = read < self.buffer.len() && self.source.ends_short();
        Ok(!block.samples.is_empty())
    }

    fn declared(&self) -> Option<Duration> {
        self.declared
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}

/// Where the prediction of a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Voice {
    sample: i32,
    index: i32,
}

impl Voice {
    fn decode<'a>(&mut self, packet: &[u8; PACKET_SIZE], samples: impl Iterator<Item = &'a mut f32>) {
        let [high, low, codes @ ..] = packet;
        self.start(u16::from_be_bytes([*high, *low]));
        let codes = codes.iter().flat_map(|byte| [byte & 0x0f, byte >> 4]);
        for (sample, code) in samples.zip(codes) {
            *sample = pcm::from_i16(self.next(code));
        }
    }

    /// Takes over the state of a packet. It has the last sample without its lower bits: where it agrees with the one that was decoded,
    /// that one is better.
    fn start(&mut self, state: u16) {
        let index = i32::from(state & INDEX_MASK).min(STEPS.len() as i32 - 1);
        let sample = i32::from((state & !INDEX_MASK).cast_signed());
        if self.index != index || (self.sample - sample).abs() > i32::from(INDEX_MASK) {
            *self = Voice { sample, index };
        }
    }

    fn next(&mut self, code: u8) -> i16 {
        let step = STEPS.get(self.index as usize).copied().unwrap_or_default();
        let mut change = step >> 3;
        for (bit, part) in [(4, step), (2, step >> 1), (1, step >> 2)] {
            if code & bit != 0 {
                change += part;
            }
        }
        let change = if code & 8 != 0 { -change } else { change };
        self.sample = (self.sample + change).clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        self.index = (self.index + INDEX_STEPS[usize::from(code & 7)]).clamp(0, STEPS.len() as i32 - 1);
        self.sample as i16
    }
}
