//! GSM 06.10 full-rate speech (ETSI EN 300 961), 8 kHz mono, 13 kbit/s: the decoder of the standard, bit by bit.
//!
//! A frame of 20 ms travels as a filter of eight stages and four times 5 ms of what excites it: thirteen pulses on a grid, and an echo
//! of the excitation before. All of it is 16-bit arithmetic that saturates, so every decoder gives the same samples. Homing frames,
//! which serve the test of equipment, are decoded like all others. Clauses and tables are numbered here as in GSM 06.10, chapter 4;
//! EN 300 961 has the same in its chapter 5.

mod frame;
mod stream;
mod synthesis;
#[cfg(test)]
mod tests;

pub(in crate::media::audio) use frame::{FRAME_SIZE, Frame, PAIR_SIZE};
pub(in crate::media::audio) use stream::{Packing, open};

use frame::Subframe;
use synthesis::{Synthesis, multiply};

/// Samples of a frame.
pub(in crate::media::audio) const FRAME_SAMPLES: usize = 160;
/// Samples of a quarter of a frame.
const SUBFRAME_SAMPLES: usize = 40;
/// How far back an echo lies, in samples: a lag outside is an error of transmission.
const LAGS: std::ops::RangeInclusive<usize> = SUBFRAME_SAMPLES..=LAG_MAX;
const LAG_MAX: usize = 120;
/// Gains of the echo in 2⁻¹⁵ (table 4.3b).
const ECHO_GAINS: [i16; 4] = [3_277, 11_469, 21_299, 32_767];
/// Mantissas of the largest pulse in 2⁻¹⁵ (table 4.6).
const MANTISSAS: [i16; 8] = [18_431, 20_479, 22_527, 24_575, 26_623, 28_671, 30_719, 32_767];
/// Pulses stand on every third sample.
const GRID_STEP: usize = 3;

/// Decodes frames one after another; each builds on those before it.
#[derive(Debug)]
pub(in crate::media::audio) struct Decoder {
    /// The excitation of the last [`LAG_MAX`] samples, and room for that of a frame.
    excitation: [i16; LAG_MAX + FRAME_SAMPLES],
    /// The last lag that was a valid one.
    lag: usize,
    synthesis: Synthesis,
}

impl Decoder {
    pub(in crate::media::audio) fn new() -> Decoder {
        // Nothing was heard, and the lag is the smallest (clause 4.5, home state).
        Decoder { excitation: [0; LAG_MAX + FRAME_SAMPLES], lag: *LAGS.start(), synthesis: Synthesis::new() }
    }

    /// The samples of a frame: 13 bits, left-aligned in 16.
    pub(in crate::media::audio) fn decode(&mut self, frame: &Frame) -> [i16; FRAME_SAMPLES] {
        for (nth, subframe) in frame.subframes.iter().enumerate() {
            self.excite(nth * SUBFRAME_SAMPLES, subframe);
        }
        let mut samples = [0; FRAME_SAMPLES];
        let (_, excitation) = self.excitation.split_at(LAG_MAX);
        self.synthesis.run(&frame.areas, excitation, &mut samples);
        self.excitation.copy_within(FRAME_SAMPLES.., 0);
        samples
    }

    /// Long-term synthesis (clause 4.3.2) of the quarter that starts `at` samples into the frame.
    fn excite(&mut self, at: usize, subframe: &Subframe) {
        if LAGS.contains(&usize::from(subframe.lag)) {
            self.lag = usize::from(subframe.lag);
        }
        let (past, future) = self.excitation.split_at_mut(LAG_MAX + at);
        let echo = past.get(past.len() - self.lag..).unwrap_or_default();
        let gain = ECHO_GAINS[usize::from(subframe.gain & 3)];
        for ((sample, pulse), echo) in future.iter_mut().zip(pulses(subframe)).zip(echo) {
            *sample = pulse.saturating_add(multiply(gain, *echo));
        }
    }
}

/// The pulses on their places (clauses 4.2.15 to 4.2.17).
fn pulses(subframe: &Subframe) -> [i16; SUBFRAME_SAMPLES] {
    let (mantissa, shift) = largest(subframe.largest);
    let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
    let mut samples = [0; SUBFRAME_SAMPLES];
    let places = samples.iter_mut().skip(usize::from(subframe.grid & 3)).step_by(GRID_STEP);
    for (place, code) in places.zip(&subframe.pulses) {
        // Eight levels of odd multiples, from −7 to 7.
        let level = (2 * i16::from(code & 7) - 7) << 12;
        *place = multiply(mantissa, level).saturating_add(half) >> shift;
    }
    samples
}

/// The largest pulse as a mantissa and the bits to shift it down by (clause 4.2.15): a floating-point number of which the small ones have
/// no leading one.
fn largest(code: u8) -> (i16, u32) {
    let code = u32::from(code & 63);
    let (mut mantissa, mut shift) = if code < 16 { (code, 6) } else { (code & 7 | 8, 7 - (code >> 3)) };
    while mantissa < 8 {
        mantissa = mantissa << 1 | 1;
        shift += 1;
    }
    (MANTISSAS[(mantissa & 7) as usize], shift)
}
