//! Packets to blocks of samples: the rate, the cut, and what happens to damage.

use super::{
    Config, Damaged,
    bands::LINES,
    block::{BlockDecoder, Until},
    transform::Grid,
};
use crate::{
    media::audio::{
        AudioError, Kind,
        decode::{Block, Extent, checked_rate, cut::Cut},
        mix::Layout,
    },
    units::SampleRate,
};

/// Damaged blocks one after another that are played as silence before the rest is given up.
const DAMAGED_MAX: u32 = 500;
/// Reductions, the largest first. By 8, short windows would keep 16 lines, and too little of what leaves out of them be left out.
const FACTORS: [usize; 2] = [4, 2];
/// Targets that a reduced rate is enough for.
const REDUCED_TARGETS: [SampleRate; 2] = [SampleRate::HZ_8000, SampleRate::HZ_16000];
/// What must come through unharmed, in thousandths of the target's rate: 3.4 kHz of 8 kHz.
const PASSED_PERMILLE: usize = 425;
/// Lines between that and the first one left out, as far as the leakage of its window reaches. With 32 the result of 44.1 kHz has 75 dB, ffmpeg's
/// 77; with so many 78, for a fifth more of CPU.
const MARGIN: usize = 128;

/// What of a stream is heard, in frames of its own rate.
#[derive(Clone, Copy, Debug)]
pub(in crate::media::audio::decode) struct Heard {
    pub(in crate::media::audio::decode) start: u64,
    pub(in crate::media::audio::decode) length: Option<u64>,
}

impl Heard {
    pub(in crate::media::audio::decode) const ALL: Heard = Heard { start: 0, length: None };
}

/// One configuration's blocks.
pub(in crate::media::audio::decode) struct Stream {
    kind: Kind,
    decoder: BlockDecoder,
    /// Of the stream, and of the samples made.
    full_rate: SampleRate,
    rate: SampleRate,
    cut: Cut,
    damaged: u32,
    decoded_any: bool,
}

impl Stream {
    pub(in crate::media::audio::decode) fn new(
        kind: Kind,
        config: &Config,
        target: SampleRate,
        heard: Heard,
    ) -> Result<Stream, AudioError> {
        let full_rate = checked_rate(kind, config.frequency)?;
        Stream::reduced(kind, config, factor(full_rate, target), heard)
    }

    /// The same for a reduction, one of [`FACTORS`] or 1, that divides the rate.
    pub(super) fn reduced(kind: Kind, config: &Config, factor: usize, heard: Heard) -> Result<Stream, AudioError> {
        let full_rate = checked_rate(kind, config.frequency)?;
        let rate = checked_rate(kind, full_rate.hz() / factor as u32)?;
        let grid = Grid::of_cut(factor, heard.start);
        Ok(Stream {
            kind,
            decoder: BlockDecoder::new(config, grid),
            full_rate,
            rate,
            cut: Cut::new(grid, heard.start, heard.length),
            damaged: 0,
            decoded_any: false,
        })
    }

    /// Makes a block empty, of this stream's rate.
    pub(in crate::media::audio::decode) fn begin(&self, block: &mut Block) {
        block.samples.clear();
        block.layout = Layout::MONO;
        block.rate = self.rate;
        block.reduced = (self.full_rate != self.rate).then_some(Extent { rate: self.full_rate, frames: 0 });
    }

    /// Decodes a raw data block and appends what of it is heard; gives the bytes that it took, if it was no damage.
    ///
    /// # Errors
    /// Too much is damaged.
    pub(in crate::media::audio::decode) fn decode(
        &mut self,
        bytes: &[u8],
        until: Until,
        block: &mut Block,
    ) -> Result<Option<usize>, AudioError> {
        let before = block.samples.len();
        let taken = match self.decoder.decode(bytes, until, &mut block.samples) {
            Ok(taken) => {
                self.decoded_any = true;
                self.damaged = 0;
                Some(taken)
            }
            Err(Damaged) => {
                self.damaged += 1;
                if self.damaged > DAMAGED_MAX {
                    return Err(AudioError::undecodable(self.kind, "too much of it in a row is damaged"));
                }
                None
            }
        };
        if self.decoded_any {
            self.cut.apply(before, LINES, block);
        } else {
            // The audio begins with the first block that can be decoded.
            block.samples.truncate(before);
        }
        Ok(taken)
    }

    /// Channels of the stream, once it is known which there are.
    pub(in crate::media::audio::decode) fn channels(&self) -> Option<usize> {
        self.decoder.channels()
    }

    /// Whether any block could be decoded.
    pub(in crate::media::audio::decode) fn has_decoded(&self) -> bool {
        self.decoded_any
    }

    /// Whether the stream, at its end, turns out to have been none: nothing could be decoded although there was something.
    pub(in crate::media::audio::decode) fn is_silent_failure(&self, broken_off: bool) -> bool {
        !self.decoded_any && (broken_off || self.damaged > 0)
    }
}

/// By how much the rate can be reduced for a target.
pub(super) fn factor(rate: SampleRate, target: SampleRate) -> usize {
    let (hz, target_hz) = (rate.hz() as usize, target.hz() as usize);
    if !REDUCED_TARGETS.contains(&target) {
        return 1;
    }
    // The highest line that must come through.
    let passed = (2 * LINES * PASSED_PERMILLE * target_hz).div_ceil(1000 * hz);
    let fits =
        |factor: &usize| hz.is_multiple_of(*factor) && target_hz <= hz / factor && passed + MARGIN <= LINES / factor;
    FACTORS.into_iter().find(fits).unwrap_or(1)
}
