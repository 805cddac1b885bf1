//! G.722 at 64 kbit/s (ITU-T G.722, clause 3): two samples at 16 kHz are a byte.

use super::{Encode, to_i16};
use crate::media::audio::{
    AudioError,
    g722::{Higher, Lower, TAPS, phases},
};

/// Decision levels of the lower band, in Q12 of its scale (block QUANTL, Q6).
const LOWER_LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219, 1_339,
    1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// The decision level of the higher band (block QUANTH, Q2).
const HIGHER_LEVEL: i32 = 564;

/// Encodes mono at 16 kHz.
pub(super) struct G722 {
    lower: Lower,
    higher: Higher,
    /// The last samples, oldest first, and those that are to be encoded.
    history: Vec<i16>,
}

impl G722 {
    pub(super) fn new() -> G722 {
        G722 { lower: Lower::new(), higher: Higher::new(), history: vec![0; TAPS - 2] }
    }

    /// Encodes the pairs that are there.
    fn drain(&mut self, body: &mut Vec<u8>) {
        let pairs = self.history.array_windows().step_by(2);
        let taken = 2 * pairs.len();
        body.extend(pairs.map(|window| encode(&mut self.lower, &mut self.higher, window)));
        self.history.drain(..taken);
    }
}

impl Encode for G722 {
    fn push(&mut self, mono: &[f32], body: &mut Vec<u8>) -> Result<(), AudioError> {
        self.history.extend(mono.iter().map(|sample| to_i16(*sample)));
        self.drain(body);
        Ok(())
    }

    fn finish(&mut self, body: &mut Vec<u8>) -> Result<(), AudioError> {
        if self.history.len() % 2 == 1 {
            // Half a byte there is not: silence fills it.
            self.history.push(0);
            self.drain(body);
        }
        Ok(())
    }
}

fn encode(lower: &mut Lower, higher: &mut Higher, window: &[i16; TAPS]) -> u8 {
    let [even, odd] = phases(window);
    let (expected, scale) = lower.expected();
    let lower_code = lower_code(((odd + even) >> 14) - expected, scale);
    lower.follow(lower_code);
    let (expected, scale) = higher.expected();
    let higher_code = higher_code(((odd - even) >> 14) - expected, scale);
    higher.follow(higher_code);
    higher_code << 6 | lower_code
}

/// How far a sample is from what was expected, in 15 bits and a sign of its own (blocks SUBTRA and QUANTL).
fn magnitude(difference: i32) -> i32 {
    if difference < 0 { !difference } else { difference }.min(i32::from(i16::MAX))
}

/// Block QUANTL, with the codes of ILN and ILP: from 63 and 61 down, away from what was expected, where 32 to 61 are above it.
fn lower_code(difference: i32, scale: i32) -> u8 {
    // The first level that is over the magnitude, without a shift for each: level × scale ÷ 2¹² > magnitude.
    let bound = (magnitude(difference) + 1) << 12;
    let level = LOWER_LEVELS.partition_point(|level| level * scale < bound) as u8;
    match (difference < 0, level) {
        (true, 0 | 1) => 63 - level,
        (true, _) => 33 - level,
        (false, _) => 61 - level,
    }
}

/// Block QUANTH, with the codes of IHN and IHP.
fn higher_code(difference: i32, scale: i32) -> u8 {
    let is_far = magnitude(difference) >= (HIGHER_LEVEL * scale) >> 12;
    match (difference < 0, is_far) {
        (true, true) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (false, false) => 3,
    }
}
