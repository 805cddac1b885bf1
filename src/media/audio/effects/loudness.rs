//! One gain for the whole, so that its integrated loudness is what was asked for (ITU-R BS.1770-4, EBU R 128).
//!
//! The gain is known when all is measured. The samples wait until then, as floats, and are not decoded twice: putting an hour at 8 kHz
//! away and reading it back is a tenth of the CPU of the cheapest decoder, is done while the original is still arriving, and leaves only
//! multiplying and encoding for the end.

use ebur128::{EbuR128, Mode};

use super::{AudioError, Sink, gain::Amplifier, store::Store};
use crate::{
    media::format::{Gain, Loudness},
    units::SampleRate,
};

/// No sample becomes louder than this, in dBFS: a target that would need it is not reached. One decibel is left for what converters and
/// lossy encoders add between and to the samples.
const CEILING_DBFS: f64 = -1.0;
/// Milliseconds of the shortest clip that can be gated: one block of the measurement. Of a shorter one all is measured.
const BLOCK_MS: u64 = 400;
/// What is quieter is no signal (BS.1770-4 §5.1), and stays as it is.
const GATE_LUFS: f64 = -70.0;

/// What a loudness target led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levelled {
    /// Integrated loudness before, in hundredths of a LUFS; `None` where there was nothing loud enough to measure.
    pub measured: Option<i32>,
    /// Gain that was applied, in hundredths of a decibel.
    pub applied: i32,
    /// Whether it is less than asked for, because the peaks would have passed −1 dBFS.
    pub limited: bool,
}

/// Brings a mono stream to a loudness.
pub(super) struct Normaliser {
    target: Loudness,
    /// On top of what the target needs.
    gain: Gain,
    rate: SampleRate,
    meter: EbuR128,
    peak: f32,
    frames: u64,
    store: Store,
}

impl Normaliser {
    pub(super) fn new(target: Loudness, gain: Gain, rate: SampleRate) -> Result<Normaliser, AudioError> {
        // Blocks are counted in a histogram of 0.1 LU instead of being kept, which makes the memory constant.
        let meter = EbuR128::new(1, rate.hz(), Mode::I | Mode::HISTOGRAM).map_err(failed)?;
        Ok(Normaliser { target, gain, rate, meter, peak: 0.0, frames: 0, store: Store::default() })
    }

    pub(super) fn push(&mut self, samples: &[f32], sink: &mut dyn Sink) -> Result<(), AudioError> {
        self.meter.add_frames_f32(samples).map_err(failed)?;
        self.peak = samples.iter().fold(self.peak, |peak, sample| peak.max(sample.abs()));
        self.frames += samples.len() as u64;
        self.store.push(samples, sink)
    }

    /// Passes everything on at its new level.
    pub(super) fn finish(mut self: Box<Self>, sink: &mut dyn Sink) -> Result<Levelled, AudioError> {
        let levelled = self.decide()?;
        let mut amplifier = Amplifier::by_hundredths(levelled.applied);
        self.store.drain(|samples| sink.take(amplifier.apply(samples)))?;
        Ok(levelled)
    }

    /// The gain in hundredths of a decibel: a step that nobody hears, and so coarse that a last bit of a logarithm changes no byte.
    fn decide(&self) -> Result<Levelled, AudioError> {
        let measured = self.measure()?.filter(|loudness| GATE_LUFS <= *loudness).map(hundredths);
        let wanted = i32::from(self.gain.tenths()) * 10
            + measured.map_or(0, |measured| i32::from(self.target.tenths()) * 10 - measured);
        let room = CEILING_DBFS - 20.0 * f64::from(self.peak).log10();
        // Without a peak there is all the room there is: the conversion saturates.
        let most = (room * 100.0).floor() as i32;
        Ok(Levelled { measured, applied: wanted.min(most), limited: most < wanted })
    }

    fn measure(&self) -> Result<Option<f64>, AudioError> {
        let milliseconds = (self.frames * 1_000).div_ceil(u64::from(self.rate.hz()));
        let loudness = match u32::try_from(milliseconds) {
            Ok(0) => return Ok(None),
            Ok(short) if milliseconds < BLOCK_MS => self.meter.loudness_window(short),
            _ => self.meter.loudness_global(),
        };
        let loudness = loudness.map_err(failed)?;
        Ok(loudness.is_finite().then_some(loudness))
    }
}

fn hundredths(loudness: f64) -> i32 {
    (loudness * 100.0).round() as i32
}

fn failed(error: ebur128::Error) -> AudioError {
    AudioError::unsupported(format!("this audio by the loudness meter: {error}"))
}
