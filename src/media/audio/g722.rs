//! What encoder and decoder of G.722 at 64 kbit/s (ITU-T G.722) have in common: the filter that splits and joins the bands, and what
//! follows the codes of a band.
//!
//! Sound at 16 kHz is split into two bands of 8 kHz. Each is ADPCM of its own, 6 bits a sample below 4 kHz and 2 bits above, whose
//! quantiser and predictor follow the codes that were sent, so that both ends stay equal without a word. A byte holds one code of each
//! band, the higher one's in its upper two bits.
//!
//! All is arithmetic of integers as clause 6.2 has it, and names its blocks (LOGSCL, UPPOL2, …): "Q15" is a fraction of 2¹⁵. No code
//! can take it beyond 32 bits, so nothing here overflows whatever the bytes are.

/// Taps of the filter that splits and joins the bands.
pub(super) const TAPS: usize = 24;
/// By how many samples encoder and decoder together delay: 11 and a half of the filter at either end, less the one of its own pair.
#[cfg(test)]
pub(super) const DELAY: usize = 22;

/// The filter, in Q13 (clause 5.2.1): symmetric.
const FILTER: [i16; TAPS] = [
    3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3_876, 3_876, 951, -805, -210, 362, 32, -156, 12, 53, -11,
    -11, 3,
];

/// Largest and smallest sample of a band (blocks LIMIT): 15 bits.
const SAMPLE_MAX: i32 = 16_383;
const SAMPLE_MIN: i32 = -16_384;

/// 2^(x/32) in Q11 (blocks SCALEL and SCALEH, ILB).
const EXPONENTIAL: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
    2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// What a lower code's upper four bits stand for, in Q15 of the scale (block INVQAL, QM4).
const LOWER_STEPS: [i32; 16] =
    [0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584, 1_200, 0];
/// What those bits add to the logarithm of the scale (block LOGSCL, WL by RL42).
const LOWER_WEIGHTS: [i32; 16] = [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];
/// What all of its six bits stand for (block INVQBL, QM6). The first four codes are never sent.
const LOWER_FINE_STEPS: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9_360,
    -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776, -2_400, -2_032,
    -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576,
    7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040,
    728, 432, 136, -432, -136,
];
/// What a higher code stands for (block INVQAH, QM2), and what it adds to the logarithm of the scale (block LOGSCH, WH by RH2).
const HIGHER_STEPS: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
const HIGHER_WEIGHTS: [i32; 4] = [798, -214, 798, -214];

/// The sums over the filter's even and over its odd taps. Their sum and difference are the bands of 24 samples; of 12 pairs, each the
/// bands' sum and difference, they are two samples.
pub(super) fn phases(window: &[i16; TAPS]) -> [i32; 2] {
    const EVEN: [i16; TAPS] = every_other_tap(0);
    const ODD: [i16; TAPS] = every_other_tap(1);
    // Over all taps, half of them nought: the form for which there is an instruction.
    let sum = |taps: &[i16; TAPS]| {
        window.iter().zip(taps).map(|(sample, tap)| i32::from(*sample) * i32::from(*tap)).sum::<i32>()
    };
    [sum(&EVEN), sum(&ODD)]
}

const fn every_other_tap(first: usize) -> [i16; TAPS] {
    let mut taps = [0; TAPS];
    let mut tap = first;
    while tap < TAPS {
        taps[tap] = FILTER[tap];
        tap += 2;
    }
    taps
}

/// The lower band, 0 to 4 kHz.
#[derive(Debug)]
pub(super) struct Lower(Band);

/// The higher band, 4 to 8 kHz.
#[derive(Debug)]
pub(super) struct Higher(Band);

impl Lower {
    const LOGARITHM_MAX: i32 = 18_432;
    const SCALE_AT_FIRST: i32 = 32;
    /// Halvings of the scale at logarithm 0.
    const HALVINGS: i32 = 8;

    pub(super) fn new() -> Lower {
        Lower(Band::new(Lower::SCALE_AT_FIRST))
    }

    /// What the next sample is expected to be, and the quantiser's unit.
    pub(super) fn expected(&self) -> (i32, i32) {
        (self.0.expected, self.0.scale)
    }

    /// The sample that a code stands for now.
    pub(super) fn sample(&self, code: u8) -> i32 {
        let fine = LOWER_FINE_STEPS[usize::from(code & 0x3f)];
        (self.0.expected + ((self.0.scale * fine) >> 15)).clamp(SAMPLE_MIN, SAMPLE_MAX)
    }

    /// Follows a code without its lowest two bits, which a line may replace by data.
    pub(super) fn follow(&mut self, code: u8) {
        let coarse = usize::from(code >> 2 & 0x0f);
        let difference = (self.0.scale * LOWER_STEPS[coarse]) >> 15;
        self.0.adapt_scale(LOWER_WEIGHTS[coarse], Lower::LOGARITHM_MAX, Lower::HALVINGS);
        self.0.predict(difference);
    }
}

impl Higher {
    const LOGARITHM_MAX: i32 = 22_528;
    const SCALE_AT_FIRST: i32 = 8;
    const HALVINGS: i32 = 10;

    pub(super) fn new() -> Higher {
        Higher(Band::new(Higher::SCALE_AT_FIRST))
    }

    /// What the next sample is expected to be, and the quantiser's unit.
    pub(super) fn expected(&self) -> (i32, i32) {
        (self.0.expected, self.0.scale)
    }

    /// Follows a code; gives the sample that it stood for.
    pub(super) fn follow(&mut self, code: u8) -> i32 {
        let code = usize::from(code & 0x03);
        let difference = (self.0.scale * HIGHER_STEPS[code]) >> 15;
        let sample = (self.0.expected + difference).clamp(SAMPLE_MIN, SAMPLE_MAX);
        self.0.adapt_scale(HIGHER_WEIGHTS[code], Higher::LOGARITHM_MAX, Higher::HALVINGS);
        self.0.predict(difference);
        sample
    }
}

/// Scale and predictor of a band: two poles and six zeros, all coefficients in Q14.
#[derive(Debug)]
struct Band {
    /// Logarithm of the scale to base 2, in Q11.
    logarithm: i32,
    scale: i32,
    /// What the next sample is expected to be, and the zeros' part of that.
    expected: i32,
    expected_by_zeros: i32,
    poles: [i32; 2],
    zeros: [i16; 6],
    /// The last samples as reconstructed, twice over, newest first.
    reconstructed: [i32; 2],
    /// Without the poles' part.
    partially_reconstructed: [i32; 2],
    /// The last differences, twice over, newest first.
    differences: [i16; 6],
}

impl Band {
    fn new(scale: i32) -> Band {
        Band {
            logarithm: 0,
            scale,
            expected: 0,
            expected_by_zeros: 0,
            poles: [0; 2],
            zeros: [0; 6],
            reconstructed: [0; 2],
            partially_reconstructed: [0; 2],
            differences: [0; 6],
        }
    }

    /// Blocks LOGSCL and SCALEL, LOGSCH and SCALEH: large codes widen the scale, small ones let it shrink.
    fn adapt_scale(&mut self, weight: i32, logarithm_max: i32, halvings: i32) {
        self.logarithm = (((self.logarithm * 127) >> 7) + weight).clamp(0, logarithm_max);
        let mantissa = EXPONENTIAL[(self.logarithm >> 6 & 31) as usize];
        let halvings = halvings - (self.logarithm >> 11);
        self.scale = if halvings < 0 { mantissa << -halvings } else { mantissa >> halvings } << 2;
    }

    /// From a quantised difference to what is expected next.
    fn predict(&mut self, difference: i32) {
        // PARREC, RECONS. Samples are kept twice over because the coefficients are in Q14.
        let partial = saturate(self.expected_by_zeros + difference);
        let whole = saturate(self.expected + difference);
        let doubled = saturate(difference * 2) as i16;
        self.adapt_poles(partial);
        self.adapt_zeros(doubled);
        self.partially_reconstructed = [partial, self.partially_reconstructed[0]];
        self.reconstructed = [saturate(whole * 2), self.reconstructed[0]];
        self.differences.copy_within(..5, 1);
        self.differences[0] = doubled;

        // FILTEP, FILTEZ, PREDIC.
        let by_poles: i32 = self.poles.iter().zip(&self.reconstructed).map(|(a, sample)| (a * sample) >> 15).sum();
        let zeros = self.zeros.iter().zip(&self.differences);
        let by_zeros: i32 = zeros.map(|(b, difference)| (i32::from(*b) * i32::from(*difference)) >> 15).sum();
        self.expected_by_zeros = saturate(by_zeros);
        self.expected = saturate(saturate(by_poles) + self.expected_by_zeros);
    }

    /// Blocks UPPOL2 and UPPOL1: by the signs of the last three samples, inside the triangle where the filter is stable.
    fn adapt_poles(&mut self, partial: i32) {
        let [turned, turned_before] = self.partially_reconstructed.map(|earlier| (earlier < 0) != (partial < 0));
        let [first, second] = self.poles;
        let lean = saturate(first * 4);
        let lean = if turned { lean } else { saturate(-lean) };
        let step = if turned_before { -128 } else { 128 };
        let second = (step + (lean >> 7) + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);
        let step = if turned { -192 } else { 192 };
        let bound = 15_360 - second;
        let first = (step + ((first * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];
    }

    /// Block UPZERO: by the sign of the new difference against those before. Without a difference they only leak.
    fn adapt_zeros(&mut self, difference: i16) {
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, earlier) in self.zeros.iter_mut().zip(&self.differences) {
            let step = if earlier ^ difference < 0 { -step } else { step };
            // Stays within 16 bits by itself: the leak takes away at least as much as a step from what is near the end.
            *zero = (step + ((i32::from(*zero) * 32_640) >> 15)) as i16;
        }
    }
}

/// To 16 bits.
fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}
