//! Silence before the first sound and behind the last one.
//!
//! A sound is a sample that reaches the threshold. Around the sounds a margin stays, because breath and soft consonants begin and end
//! below any threshold. Between sounds nothing changes, however long it is quiet.

use super::{AudioError, Sink, store::Store};
use crate::{
    media::format::{Edges, Trim},
    units::SampleRate,
};

/// Milliseconds of silence that stay before the first sound and behind the last one.
const MARGIN_MS: u32 = 50;

/// Trims a mono stream.
///
/// **Shape** the samples from margin before the first sound to margin behind the last one, or from the beginning or to the end where only
/// the other is trimmed. Without a sound: none.
/// **Cost** constant memory. Silence waits until it is known whether a sound follows it; in memory while it is short.
pub(super) struct Trimmer {
    edges: Edges,
    threshold: f32,
    margin: usize,
    /// The last silence before the first sound, at most a margin of it; none once there was a sound.
    before: Option<Vec<f32>>,
    /// Silent samples since the last sound that went on at once; at most a margin.
    passed: usize,
    /// Silent samples since then.
    held: Store,
    holds: bool,
}

impl Trimmer {
    pub(super) fn new(trim: Trim, rate: SampleRate) -> Trimmer {
        let margin = (rate.hz() * MARGIN_MS / 1_000) as usize;
        Trimmer {
            edges: trim.edges,
            threshold: 10f64.powf(f64::from(trim.threshold_tenths()) / 200.0) as f32,
            margin,
            before: trim.edges.leading().then(Vec::new),
            // Nothing passes before the first sound.
            passed: margin,
            held: Store::default(),
            holds: false,
        }
    }

    pub(super) fn push(&mut self, samples: &[f32], sink: &mut dyn Sink) -> Result<(), AudioError> {
        let is_sound = |sample: &f32| self.threshold <= sample.abs();
        let mut rest = samples;
        if let Some(before) = &mut self.before {
            let first = rest.iter().position(is_sound);
            let (silence, sound) = rest.split_at(first.unwrap_or(rest.len()));
            before.extend_from_slice(silence.get(silence.len().saturating_sub(self.margin)..).unwrap_or_default());
            before.drain(..before.len().saturating_sub(self.margin));
            if first.is_none() {
                return Ok(());
            }
            sink.take(before)?;
            self.before = None;
            rest = sound;
        }
        if !self.edges.trailing() {
            return sink.take(rest);
        }
        if let Some(last) = rest.iter().rposition(is_sound) {
            if self.holds {
                self.held.drain(|samples| sink.take(samples))?;
                self.holds = false;
            }
            let (sound, silence) = rest.split_at(last + 1);
            sink.take(sound)?;
            self.passed = 0;
            rest = silence;
        }
        let (passing, held) = rest.split_at(rest.len().min(self.margin - self.passed));
        if !passing.is_empty() {
            sink.take(passing)?;
            self.passed += passing.len();
        }
        self.holds |= !held.is_empty();
        self.held.push(held, sink)
    }
}
