//! Samples times a factor.

use crate::media::format::Gain;

/// Multiplies samples by a constant. What passes full scale saturates: a limiter would change sound that is in range, and each format
/// would else clip in its own way.
pub(super) struct Amplifier {
    factor: f32,
    louder: Vec<f32>,
}

impl Amplifier {
    pub(super) fn by(gain: Gain) -> Amplifier {
        Amplifier::by_hundredths(i32::from(gain.tenths()) * 10)
    }

    /// By so many hundredths of a decibel: a power ratio of 10^(dB/10) is an amplitude ratio of 10^(dB/20).
    pub(super) fn by_hundredths(hundredths: i32) -> Amplifier {
        let factor = 10f64.powf(f64::from(hundredths) / 2_000.0) as f32;
        Amplifier { factor, louder: Vec::new() }
    }

    /// **Shape** as many samples out as in, within ±1.
    pub(super) fn apply(&mut self, samples: &[f32]) -> &[f32] {
        let factor = self.factor;
        self.louder.clear();
        self.louder.extend(samples.iter().map(|sample| (sample * factor).clamp(-1.0, 1.0)));
        &self.louder
    }
}
