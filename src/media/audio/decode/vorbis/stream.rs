//! Packets to blocks of samples: the rate and the cut.

use super::{Damaged, packet::PacketDecoder, setup::Identification, synthesis::Synthesis};
use crate::{
    media::audio::{
        AudioError, Kind,
        decode::{Block, Extent, checked_rate, cut::Cut, transform::Grid},
        mix::Layout,
    },
    units::SampleRate,
};

/// Reductions, the largest first.
const FACTORS: [usize; 2] = [4, 2];
/// Targets that a reduced rate is enough for.
const REDUCED_TARGETS: [SampleRate; 2] = [SampleRate::HZ_8000, SampleRate::HZ_16000];
/// What must come through unharmed, in thousandths of the target's rate: 3.4 kHz of 8 kHz.
const PASSED_PERMILLE: usize = 425;
/// Lines of a short block between that and the first one left out, by which a window lets nothing through that is heard.
const MARGIN: usize = 8;

/// By how much the rate can be reduced for a target.
pub(super) fn factor(head: &Identification, target: SampleRate) -> usize {
    let (hz, target_hz) = (head.hz as usize, target.hz() as usize);
    if !REDUCED_TARGETS.contains(&target) {
        return 1;
    }
    let [short, _] = head.sizes;
    // The highest line that must come through.
    let passed = (short * PASSED_PERMILLE * target_hz).div_ceil(1000 * hz);
    let fits = |factor: &usize| {
        hz.is_multiple_of(*factor) && target_hz <= hz / factor && passed + MARGIN <= short / 2 / factor
    };
    FACTORS.into_iter().find(fits).unwrap_or(1)
}

/// One logical stream from its first audio on.
pub(super) struct Stream {
    decoder: PacketDecoder,
    synthesis: Synthesis,
    sizes: [usize; 2],
    /// Of the stream, and of the samples made.
    full_rate: SampleRate,
    rate: SampleRate,
    pub(super) cut: Cut,
}

impl Stream {
    /// A stream that is heard from frame `start` on.
    pub(super) fn new(
        head: &Identification,
        factor: usize,
        decoder: PacketDecoder,
        start: u64,
    ) -> Result<Stream, AudioError> {
        let full_rate = checked_rate(Kind::OggVorbis, head.hz)?;
        let rate = checked_rate(Kind::OggVorbis, head.hz / factor as u32)?;
        let grid = Grid::of_cut(factor, start);
        let synthesis = Synthesis::new(head.sizes, grid);
        Ok(Stream { decoder, synthesis, sizes: head.sizes, full_rate, rate, cut: Cut::new(grid, start, None) })
    }

    /// Frames that packets will give.
    pub(super) fn frames<'a>(&self, packets: impl IntoIterator<Item = &'a Vec<u8>>) -> u64 {
        frames(&self.decoder, self.sizes, self.synthesis.was_long(), packets)
    }

    /// Decodes a packet into a block.
    pub(super) fn decode(&mut self, packet: &[u8], block: &mut Block) -> Result<(), Damaged> {
        block.samples.clear();
        block.layout = Layout::MONO;
        block.rate = self.rate;
        block.reduced = (self.full_rate != self.rate).then_some(Extent { rate: self.full_rate, frames: 0 });
        let (is_long, spectrum) = self.decoder.decode(packet)?;
        let frames = self.synthesis.push(is_long, spectrum, &mut block.samples);
        self.cut.apply(0, frames, block);
        Ok(())
    }
}

/// Frames that packets will give behind a block.
pub(super) fn frames<'a>(
    decoder: &PacketDecoder,
    sizes: [usize; 2],
    mut was_long: Option<bool>,
    packets: impl IntoIterator<Item = &'a Vec<u8>>,
) -> u64 {
    let mut sum = 0;
    for is_long in packets.into_iter().filter_map(|packet| decoder.is_long(packet)) {
        let size = |is_long: bool| sizes[usize::from(is_long)];
        if let Some(was_long) = was_long.replace(is_long) {
            sum += Synthesis::frames(size(was_long), size(is_long)) as u64;
        }
    }
    sum
}
