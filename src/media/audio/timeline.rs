//! Where on the output's time axis the input stands, over any number of rate changes.

use std::time::Duration;

use crate::units::SampleRate;

/// Fractional bits of a position. A rate change rounds the position to 2⁻³² of a frame: millions of changes stay far below one frame.
const FRACTION_BITS: u32 = 32;

/// Counts input frames of segments with different rates and says how many output frames they are, to the frame.
#[derive(Debug)]
pub(super) struct Timeline {
    target: SampleRate,
    rate: SampleRate,
    /// Output position of the current segment's start, in 2⁻³² frames.
    segment_start: u128,
    /// Input frames of the current segment.
    segment_frames: u64,
}

impl Timeline {
    pub(super) fn new(target: SampleRate) -> Timeline {
        Timeline { target, rate: target, segment_start: 0, segment_frames: 0 }
    }

    /// Starts a segment of another rate where the last one ends.
    pub(super) fn start_segment(&mut self, rate: SampleRate) {
        self.segment_start = self.position();
        self.segment_frames = 0;
        self.rate = rate;
    }

    /// Counts input frames of the current segment.
    pub(super) fn advance(&mut self, frames: usize) {
        self.segment_frames = self.segment_frames.saturating_add(frames as u64);
    }

    /// Output frames from the very start to the end of what was counted, rounded to the nearest.
    pub(super) fn output_frames(&self) -> u64 {
        let half = 1u128 << (FRACTION_BITS - 1);
        u64::try_from((self.position() + half) >> FRACTION_BITS).unwrap_or(u64::MAX)
    }

    /// What was counted, as time.
    pub(super) fn elapsed(&self) -> Duration {
        frames_duration(self.output_frames(), self.target)
    }

    fn position(&self) -> u128 {
        let rate = u128::from(self.rate.hz());
        let scaled = (u128::from(self.segment_frames) * u128::from(self.target.hz())) << FRACTION_BITS;
        self.segment_start + (scaled + rate / 2) / rate
    }
}

/// How long so many frames last; saturates far beyond every limit.
pub(super) fn frames_duration(frames: u64, rate: SampleRate) -> Duration {
    let hz = u64::from(rate.hz());
    let nanos = (frames % hz) * 1_000_000_000 / hz;
    Duration::new(frames / hz, u32::try_from(nanos).unwrap_or(0))
}
