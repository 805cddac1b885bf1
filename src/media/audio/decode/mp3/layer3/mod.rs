//! MPEG-1 and MPEG-2 layer III (ISO/IEC 11172-3, 13818-3) straight to a reduced rate.
//!
//! What a telephone cannot carry is not decoded: of the 32 sub-bands only the lowest 8 or 16 are, and the synthesis makes a quarter or
//! half of the samples, each of them exactly as a full synthesis of those sub-bands would. Only one channel comes out; where it is
//! the mix and the channels are coded as their middle and their side, the side is not even read. Stages have the standard's names:
//!
//! bits and reservoir → side information → scale factors → Huffman codes → requantisation → stereo → alias reduction and IMDCT →
//! synthesis.

mod bands;
mod bits;
mod codes;
mod granule;
mod huffman;
mod hybrid;
mod imdct;
mod quad;
mod requantise;
mod scale_factors;
mod side_info;
mod stereo;
mod synthesis;
#[cfg(test)]
mod tests;
mod window;

use self::{
    bits::Reservoir,
    granule::{Spectra, Stages},
    huffman::Tables,
    scale_factors::ScaleFactors,
    side_info::{Shape, SideInfo},
};
use super::super::mpeg::Header;
use crate::media::format::Channel;

/// Lines of a granule, which is as many samples at the full rate.
const LINES: usize = 576;
const SUBBANDS: usize = 32;
/// Lines of a sub-band.
const SUBBAND_LINES: usize = LINES / SUBBANDS;
/// Sub-band samples of a granule.
const SLOTS: usize = SUBBAND_LINES;
/// Windows of a short block.
const WINDOWS: usize = 3;

type Spectrum = [f32; LINES];

/// How much of the sub-bands is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    /// 16 of 32: half the rate.
    Half,
    /// 8 of 32: a quarter of the rate.
    Quarter,
}

impl Reduction {
    /// Samples of the source for one that comes out.
    pub(super) fn factor(self) -> usize {
        match self {
            Reduction::Half => 2,
            Reduction::Quarter => 4,
        }
    }
}

/// Decodes frames of one stream to one channel.
pub(super) struct Layer3 {
    reservoir: Reservoir,
    tables: &'static Tables,
    channel: Channel,
    spectra: [Spectrum; 2],
    scale: [ScaleFactors; 2],
    filterbank: Filterbank,
    /// Frames decoded since the reservoir is full.
    settled_frames: usize,
}

/// The last two stages, which depend on how much is kept.
enum Filterbank {
    Half(Box<Stages<16>>),
    Quarter(Box<Stages<8>>),
}

/// What of a frame's channels is decoded.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// One of them alone, changed by so many quarters of an exponent of two.
    One { channel: usize, quarters: i32 },
    /// Both, joined as told, for what is wanted of them.
    Both { middle_side: bool, wanted: Channel },
}

/// Frames that two granules are in (MPEG-2's hold one): one to replace the overlap of transforms, one to replace the synthesis' slots.
const SETTLING_FRAMES: usize = 2;

/// 1/√2, in quarters of an exponent of two: what the middle channel is of the mix, because both sides hold it multiplied by that.
const MIDDLE: i32 = -2;

impl Layer3 {
    /// A decoder that gives of the source's samples number `phase` of the first slot, and from there on every
    /// [`factor`](Reduction::factor)-th.
    pub(super) fn new(reduction: Reduction, phase: usize, channel: Channel) -> Layer3 {
        Layer3 {
            reservoir: Reservoir::new(),
            tables: Tables::get(),
            channel,
            spectra: [[0.0; LINES]; 2],
            scale: [ScaleFactors::ZERO; 2],
            filterbank: match reduction {
                Reduction::Half => Filterbank::Half(Stages::new(phase)),
                Reduction::Quarter => Filterbank::Quarter(Stages::new(phase)),
            },
            settled_frames: 0,
        }
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel
    }

    /// Whether frames before the first one that was decoded here would make no difference to those that follow.
    ///
    /// A full reservoir holds all that a frame can borrow: from then on the same frames are damaged as with those before. What a
    /// granule leaves in the filterbank, the next one adds to its own and the one after that replaces.
    pub(super) fn is_settled(&self) -> bool {
        SETTLING_FRAMES <= self.settled_frames
    }

    /// Whether frames with this header can be decoded here: layer III at one of the rates that have something to leave out.
    pub(super) fn can_decode(header: Header) -> bool {
        header.is_layer_3() && bands::of(header.rate()).is_some()
    }

    /// Decodes a whole frame and appends its samples to `out`. `None`, and nothing appended, where it is damaged or borrows bits of
    /// frames that were not there; the state then stays as it was but for the bits that the frame lends itself.
    pub(super) fn decode(&mut self, header: Header, frame: &[u8], out: &mut Vec<f32>) -> Option<()> {
        let bands = bands::of(header.rate())?;
        let shape = Shape {
            is_mpeg1: header.is_mpeg_1(),
            channels: header.channels(),
            has_intensity: header.has_intensity(),
            long_edges: &bands.long_edges,
        };
        let body = frame.get(header.length()..)?;
        let (side_info, main_data) = body.split_at_checked(shape.side_info_bytes())?;
        let info = SideInfo::parse(side_info, &shape)?;
        let plan = self.plan(header, &info, &shape);
        let bits = self.reservoir.push(main_data, info.main_data_begin)?;
        if bits.left() < info.main_data_bits() {
            return None;
        }
        let mut spectra =
            Spectra { tables: self.tables, bands, shape, lines: &mut self.spectra, scale: &mut self.scale };
        match &mut self.filterbank {
            Filterbank::Half(stages) => stages.frame(&mut spectra, &info, plan, bits, out),
            Filterbank::Quarter(stages) => stages.frame(&mut spectra, &info, plan, bits, out),
        }
        self.settled_frames += usize::from(self.reservoir.is_full());
        Some(())
    }

    fn plan(&self, header: Header, info: &SideInfo, shape: &Shape) -> Plan {
        if shape.channels == 1 {
            return Plan::One { channel: 0, quarters: 0 };
        }
        let mut granules = info.granules.iter().take(shape.granules());
        let middle_side = header.has_middle_side();
        match (self.channel, middle_side, shape.has_intensity) {
            (Channel::Left, false, false) => Plan::One { channel: 0, quarters: 0 },
            (Channel::Right, false, false) => Plan::One { channel: 1, quarters: 0 },
            (Channel::Mix, true, false) if granules.all(|[first, second]| first.blocks == second.blocks) => {
                Plan::One { channel: 0, quarters: MIDDLE }
            }
            (wanted, ..) => Plan::Both { middle_side, wanted },
        }
    }
}
