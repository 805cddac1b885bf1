//! What belongs to one encoding, and which of its samples come out: those of a grid, without the encoder's delay and padding.

use nanomp3::VbrTag;

use crate::media::audio::decode::mpeg::Header;

/// Delay of every layer III decoder in samples: 528 for the filterbank and 1 (LAME, `lame/doc`).
const DECODER_DELAY: u64 = 528 + 1;

/// Every `step`-th of a part's samples, counted from `phase` on. All of them where nothing is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    step: u64,
    phase: u64,
}

impl Grid {
    /// The grid of a part whose first sample after `delay` stands `position` samples behind a place where the grid has one.
    pub(super) fn new(step: usize, delay: u64, position: u64) -> Grid {
        let step = step as u64;
        Grid { step, phase: (delay + step - position % step) % step }
    }

    /// Number of the first sample.
    pub(super) fn phase(self) -> usize {
        self.phase as usize
    }

    /// Samples of the grid in `from..to`.
    pub(super) fn between(self, from: u64, to: u64) -> usize {
        let before = |sample: u64| (sample + self.step - 1 - self.phase) / self.step;
        before(to).saturating_sub(before(from)) as usize
    }
}

/// Frames with one signature and channel count, and what is to be cut from them. Counts are in samples of the source's rate.
pub(super) struct Part {
    pub(super) header: Header,
    grid: Grid,
    /// Samples that stand at one place: channels that come out.
    width: usize,
    /// Frames of audio the tag announces.
    frames_declared: Option<u64>,
    frames_seen: u64,
    decoded: u64,
    /// Up to where samples have been given out, or cut at the start.
    given: u64,
    /// Samples to be dropped at the end, if the part ends where its tag says.
    padding: u64,
    /// What was decoded and not given out, interleaved: at most `padding` and a frame.
    held: Vec<f32>,
}

/// What the tag in front of a part says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    frames_declared: Option<u64>,
    pub(super) delay: u64,
    padding: u64,
}

impl Cut {
    pub(super) fn of(tag: Option<VbrTag>) -> Cut {
        let Some(tag) = tag else { return Cut::default() };
        let frames_declared = tag.frames.map(u64::from);
        let Some((delay, padding)) = tag.encoder_delay_padding else {
            return Cut { frames_declared, ..Cut::default() };
        };
        Cut {
            frames_declared,
            delay: u64::from(delay) + DECODER_DELAY,
            padding: u64::from(padding).saturating_sub(DECODER_DELAY),
        }
    }
}

impl Part {
    pub(super) fn new(header: Header, cut: Cut, grid: Grid, width: usize) -> Part {
        Part {
            header,
            grid,
            width,
            frames_declared: cut.frames_declared,
            frames_seen: 0,
            decoded: 0,
            given: cut.delay,
            padding: cut.padding,
            held: Vec::new(),
        }
    }

    pub(super) fn belongs(&self, header: Header) -> bool {
        self.header.signature() == header.signature() && self.header.channels() == header.channels()
    }

    /// Takes the samples of a frame that are on the grid. Appends what is neither delay nor possibly padding to `out`, and says how many
    /// samples of the source that stands for.
    pub(super) fn take(&mut self, samples: &[f32], out: &mut Vec<f32>) -> usize {
        let from = self.decoded;
        self.frames_seen += 1;
        self.decoded += self.header.samples() as u64;
        let cut = self.grid.between(from, self.given.clamp(from, self.decoded));
        self.held.extend_from_slice(samples.get(cut * self.width..).unwrap_or_default());
        self.give(self.decoded.saturating_sub(self.padding), out)
    }

    /// Appends what was held back, unless the part ended where its tag says and that was padding.
    pub(super) fn end(mut self, out: &mut Vec<f32>) -> usize {
        if self.frames_declared == Some(self.frames_seen) { 0 } else { self.give(self.decoded, out) }
    }

    fn give(&mut self, to: u64, out: &mut Vec<f32>) -> usize {
        if to <= self.given {
            return 0;
        }
        let ready = self.grid.between(self.given, to) * self.width;
        out.extend(self.held.drain(..ready.min(self.held.len())));
        let frames = to - self.given;
        self.given = to;
        frames as usize
    }
}

#[cfg(test)]
mod tests;
