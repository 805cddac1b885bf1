//! What is done to the sound between resampler and encoder: silence is trimmed, then the level is set.
//!
//! ```text
//! resampler → trim → level (gain, or loudness and gain) → encoder
//! ```
//! Trimming comes first, so that what is cut off does not depend on how loud the rest becomes, and is not measured either. All works on
//! the output's own samples, at its rate. How the samples are cut into pieces on their way changes nothing.

mod gain;
mod loudness;
mod store;
#[cfg(test)]
mod tests;
mod trim;

pub use loudness::Levelled;

use super::{AudioError, Scratch};
use crate::{media::format, units::SampleRate};
use gain::Amplifier;
use loudness::Normaliser;
use trim::Trimmer;

/// Where samples go next.
pub(super) trait Sink {
    /// Takes the next samples.
    fn take(&mut self, samples: &[f32]) -> Result<(), AudioError>;

    /// A place for samples that must wait.
    fn scratch(&mut self) -> Result<Box<dyn Scratch>, AudioError>;
}

/// All effects of one output.
pub(super) struct Effects {
    trimmer: Option<Trimmer>,
    level: Level,
}

/// How the level is set.
enum Level {
    Unchanged,
    Gain(Amplifier),
    Loudness(Box<Normaliser>),
}

impl Effects {
    /// The effects of a format, at its rate.
    pub(super) fn new(effects: format::Effects, rate: SampleRate) -> Result<Effects, AudioError> {
        let level = match effects.loudness {
            Some(target) => Level::Loudness(Box::new(Normaliser::new(target, effects.gain, rate)?)),
            None if effects.gain == format::Gain::UNITY => Level::Unchanged,
            None => Level::Gain(Amplifier::by(effects.gain)),
        };
        Ok(Effects { trimmer: effects.trim.map(|trim| Trimmer::new(trim, rate)), level })
    }

    /// Takes the next samples; what can go on does.
    pub(super) fn push(&mut self, samples: &[f32], sink: &mut dyn Sink) -> Result<(), AudioError> {
        match &mut self.trimmer {
            None => self.level.push(samples, sink),
            Some(trimmer) => trimmer.push(samples, &mut Before { level: &mut self.level, sink }),
        }
    }

    /// Passes on what was held back and is to be heard. Says what a loudness target led to.
    pub(super) fn finish(mut self, sink: &mut dyn Sink) -> Result<Option<Levelled>, AudioError> {
        // What the trimmer still holds is silence at the end.
        drop(self.trimmer.take());
        match self.level {
            Level::Unchanged | Level::Gain(_) => Ok(None),
            Level::Loudness(normaliser) => normaliser.finish(sink).map(Some),
        }
    }

    /// Whether all that goes in comes out.
    pub(super) fn keep_length(&self) -> bool {
        self.trimmer.is_none()
    }
}

impl Level {
    fn push(&mut self, samples: &[f32], sink: &mut dyn Sink) -> Result<(), AudioError> {
        match self {
            Level::Unchanged => sink.take(samples),
            Level::Gain(amplifier) => sink.take(amplifier.apply(samples)),
            Level::Loudness(normaliser) => normaliser.push(samples, sink),
        }
    }
}

/// The level as the trimmer's sink.
struct Before<'a> {
    level: &'a mut Level,
    sink: &'a mut dyn Sink,
}

impl Sink for Before<'_> {
    fn take(&mut self, samples: &[f32]) -> Result<(), AudioError> {
        self.level.push(samples, self.sink)
    }

    fn scratch(&mut self) -> Result<Box<dyn Scratch>, AudioError> {
        self.sink.scratch()
    }
}
