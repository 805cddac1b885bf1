//! One granule after the other: from bits to spectra, and from there to samples.

use super::{
    LINES, Plan, SLOTS, SUBBAND_LINES, Spectrum,
    bands::Bands,
    bits::Bits,
    huffman::Tables,
    hybrid::{Hybrid, Slots, reorder},
    requantise::requantise,
    scale_factors::{Gains, ScaleFactors},
    side_info::{Granule, Shape, SideInfo},
    stereo::{self, Intensity},
    synthesis::Synthesis,
};
use crate::media::format::Channel;

/// A half, in quarters of an exponent of two: what each channel counts for in a mix.
const HALF: i32 = -4;

/// The stages that work on sub-bands, `KEPT` of which there are.
pub(super) struct Stages<const KEPT: usize> {
    hybrid: Hybrid<KEPT>,
    slots: Slots<KEPT>,
    synthesis: Synthesis<KEPT>,
}

impl<const KEPT: usize> Stages<KEPT> {
    const KEPT_LINES: usize = KEPT * SUBBAND_LINES;

    pub(super) fn new(phase: usize) -> Box<Stages<KEPT>> {
        Box::new(Stages { hybrid: Hybrid::new(), slots: [[0.0; KEPT]; SLOTS], synthesis: Synthesis::new(phase) })
    }

    /// Decodes the granules of a frame, whose main data `bits` are.
    pub(super) fn frame(
        &mut self,
        spectra: &mut Spectra<'_>,
        info: &SideInfo,
        plan: Plan,
        bits: Bits<'_>,
        out: &mut Vec<f32>,
    ) {
        let mut bits = bits;
        for granules in info.granules.iter().take(spectra.shape.granules()) {
            let [first, second] = granules;
            let parts = [bits, bits.further(first.part2_3_length)];
            bits = bits.further(first.part2_3_length + second.part2_3_length);
            match plan {
                Plan::One { channel, quarters } => {
                    let channel = channel & 1;
                    let granule = &granules[channel];
                    let limit = spectra.bands.limit(granule.blocks, Self::KEPT_LINES);
                    spectra.decode(channel, granule, parts[channel], quarters, limit);
                    self.transform(spectra, channel, granule, true);
                }
                Plan::Both { middle_side, wanted } => {
                    // Where the blocks differ, the lines of one reach as far as those of the other.
                    let limits = granules.map(|granule| spectra.bands.limit(granule.blocks, Self::KEPT_LINES));
                    let limit = limits.into_iter().max().unwrap_or(LINES);
                    spectra.decode_both(granules, parts, middle_side, wanted, limit);
                    self.transform_wanted(spectra, granules, wanted, limit);
                }
            }
            self.synthesis.granule(&self.slots, out);
        }
    }

    fn transform_wanted(&mut self, spectra: &mut Spectra<'_>, granules: &[Granule; 2], wanted: Channel, limit: usize) {
        let [first, second] = granules;
        match wanted {
            Channel::Left => self.transform(spectra, 0, first, true),
            Channel::Right => self.transform(spectra, 1, second, true),
            Channel::Mix if first.blocks == second.blocks => {
                spectra.add(limit);
                self.transform(spectra, 0, first, true);
            }
            Channel::Mix => {
                self.transform(spectra, 0, first, true);
                self.transform(spectra, 1, second, false);
            }
        }
    }

    fn transform(&mut self, spectra: &mut Spectra<'_>, channel: usize, granule: &Granule, is_first: bool) {
        let (bands, blocks) = (spectra.bands, granule.blocks);
        let lines = &mut spectra.lines[channel & 1];
        if blocks.is_short() {
            let limit = bands.limit(blocks, Self::KEPT_LINES);
            reorder(lines, bands.widths(blocks), bands.long_count(blocks), limit);
        }
        self.hybrid.transform(lines, blocks, is_first, &mut self.slots);
    }
}

/// The stages that work on lines.
pub(super) struct Spectra<'a> {
    pub(super) tables: &'static Tables,
    pub(super) bands: &'static Bands,
    pub(super) shape: Shape,
    pub(super) lines: &'a mut [Spectrum; 2],
    pub(super) scale: &'a mut [ScaleFactors; 2],
}

impl Spectra<'_> {
    /// Decodes both channels and makes left and right of them, halved if the mix is wanted.
    fn decode_both(
        &mut self,
        granules: &[Granule; 2],
        parts: [Bits<'_>; 2],
        has_middle_side: bool,
        wanted: Channel,
        limit: usize,
    ) {
        let has_intensity = self.shape.has_intensity;
        let [first, second] = granules;
        let quarters = if wanted == Channel::Mix { HALF } else { 0 };
        self.decode(0, first, parts[0], quarters, limit);
        // Where the right channel ends says where intensity stereo begins: then all of it is needed.
        let right_limit = if has_intensity { LINES } else { limit };
        self.decode(1, second, parts[1], quarters, right_limit);
        let intensity = match (has_intensity, self.shape.is_mpeg1) {
            (false, _) => None,
            (true, true) => Some(Intensity::Mpeg1),
            (true, false) => Some(Intensity::Mpeg2 { quarters: 1 << (second.scalefac_compress & 1) }),
        };
        let (widths, long_count) = (self.bands.widths(first.blocks), self.bands.long_count(first.blocks));
        stereo::process(has_middle_side, intensity, self.lines, &self.scale[1], widths, long_count);
    }

    /// Decodes one channel up to line `limit`, and multiplies it by so many quarters of an exponent of two.
    fn decode(&mut self, channel: usize, granule: &Granule, mut bits: Bits<'_>, quarters: i32, limit: usize) {
        let end = bits.at() + granule.part2_3_length;
        let (scale, lines) = (&mut self.scale[channel & 1], &mut self.lines[channel & 1]);
        if self.shape.is_mpeg1 {
            scale.read_mpeg1(&mut bits, granule);
        } else {
            scale.read_mpeg2(&mut bits, granule, self.shape.has_intensity && channel == 1);
        }
        self.tables.decode(&mut bits, granule, end, limit, lines);
        let gains = Gains::new(granule, scale, self.bands, quarters);
        requantise(lines, self.bands.widths(granule.blocks), gains.factors(), limit);
    }

    /// Adds the second channel to the first, up to line `limit`.
    fn add(&mut self, limit: usize) {
        let [first, second] = &mut *self.lines;
        for (first, second) in first.iter_mut().zip(second).take(limit) {
            *first += *second;
        }
    }
}
