//! What of a decoder's frames is to be heard, where only some of their samples are made.

use super::{Block, transform::Grid};

/// Counts a stream's frames and leaves of them what is heard.
#[derive(Debug)]
pub(super) struct Cut {
    grid: Grid,
    /// Frames so far.
    pub(super) position: u64,
    /// Those between which the stream is heard.
    start: u64,
    pub(super) end: u64,
}

impl Cut {
    pub(super) fn new(grid: Grid, start: u64, length: Option<u64>) -> Cut {
        let end = length.map_or(u64::MAX, |length| start.saturating_add(length));
        Cut { grid, position: 0, start, end }
    }

    /// Leaves what is heard of the next `frames`, whose samples begin at `first` in the block. The stream so far and these frames
    /// are whole multiples of the grid's factor.
    pub(super) fn apply(&mut self, first: usize, frames: usize, block: &mut Block) {
        let (begin, end) = (self.position, self.position + frames as u64);
        self.position = end;
        let from = self.start.clamp(begin, end) - begin;
        let to = self.end.clamp(begin, end) - begin;
        let Grid { factor, phase } = self.grid;
        // Samples before a frame of these: sample m stands at frame m · factor + phase.
        let samples_before = |frame: u64| (frame as usize + factor - 1).saturating_sub(phase) / factor;
        block.samples.truncate(first + samples_before(to));
        let dropped = samples_before(from).min(block.samples.len() - first);
        block.samples.drain(first..first + dropped);
        if let Some(extent) = &mut block.reduced {
            extent.frames += to.saturating_sub(from) as usize;
        }
    }
}
