//! Takes out what a container says is not to be heard: priming at the start, padding at the end.

use std::time::Duration;

use super::{Block, Decode};
use crate::media::audio::{AudioError, timeline::frames_duration};
use crate::units::SampleRate;

/// What of a decoder's frames is to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// Frames before it.
    pub(super) skip: u64,
    pub(super) frames: u64,
    pub(super) rate: SampleRate,
}

/// Lets nothing but that through.
pub(super) fn open(inner: Box<dyn Decode>, heard: Heard) -> Box<dyn Decode> {
    let declared = frames_duration(heard.frames, heard.rate);
    Box::new(Trimmed { inner, skip: heard.skip, left: heard.frames, declared })
}

struct Trimmed {
    inner: Box<dyn Decode>,
    /// Frames still to be left out.
    skip: u64,
    /// Frames still to be let through behind them.
    left: u64,
    declared: Duration,
}

impl Decode for Trimmed {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        let more = self.inner.next_block(block)?;
        let channels = block.layout.channels().count();
        let skipped = self.skip.min(block.frames() as u64);
        self.skip -= skipped;
        block.samples.drain(..skipped as usize * channels);
        let kept = self.left.min(block.frames() as u64);
        self.left -= kept;
        block.samples.truncate(kept as usize * channels);
        Ok(more)
    }

    fn declared(&self) -> Option<Duration> {
        Some(self.declared)
    }

    fn truncated(&self) -> bool {
        self.inner.truncated()
    }
}
