//! The hybrid filterbank's first half (ISO/IEC 11172-3 §2.4.3.4.8 to .10): from lines to samples of the lowest sub-bands.

use std::sync::LazyLock;

use super::{
    LINES, SLOTS, SUBBAND_LINES, Spectrum, WINDOWS,
    imdct::Windows,
    quad::Quad,
    side_info::{Blocks, Window},
};

/// Sub-bands below which a mixed block is a long one.
const MIXED_LONG: usize = 2;

/// Samples of the lowest `KEPT` sub-bands, by time slot.
pub(super) type Slots<const KEPT: usize> = [[f32; KEPT]; SLOTS];

/// The transform and what of it the next granule is waiting for.
pub(super) struct Hybrid<const KEPT: usize> {
    windows: &'static Windows,
    overlap: Slots<KEPT>,
}

impl<const KEPT: usize> Hybrid<KEPT> {
    pub(super) fn new() -> Hybrid<KEPT> {
        Hybrid { windows: Windows::get(), overlap: [[0.0; KEPT]; SLOTS] }
    }

    /// Transforms a granule's lines, which stand in the order of frequencies. `is_first` is false for further channels that are added.
    pub(super) fn transform(&mut self, lines: &mut Spectrum, blocks: Blocks, is_first: bool, out: &mut Slots<KEPT>) {
        let joined = match (blocks.is_short(), blocks.mixed) {
            (false, _) => KEPT,
            (true, true) => MIXED_LONG,
            (true, false) => 0,
        };
        reduce_aliases(lines, joined);
        for (group, lines) in lines.as_chunks().0.iter().take(KEPT / 4).enumerate() {
            let quads = quads(lines);
            if blocks.mixed && group == 0 {
                // Each half of the sub-bands with silence in place of the other, because the transform is linear.
                let (low, high) = (quads.map(|quad| quad * LOW_HALF), quads.map(|quad| quad * HIGH_HALF));
                self.group(group, Window::Normal, &low, is_first, out);
                self.group(group, blocks.window, &high, false, out);
            } else {
                self.group(group, blocks.window, &quads, is_first, out);
            }
        }
    }

    fn group(
        &mut self,
        group: usize,
        window: Window,
        lines: &[Quad; SUBBAND_LINES],
        is_first: bool,
        out: &mut Slots<KEPT>,
    ) {
        let overlap = &mut self.overlap;
        if is_first {
            self.windows.transform(window, lines, |slot, now, next| {
                let left = quad_at(&mut overlap[slot], group);
                *quad_at(&mut out[slot], group) = (Quad(*left) + now).0;
                *left = next.0;
            });
        } else {
            self.windows.transform(window, lines, |slot, now, next| {
                let (out, left) = (quad_at(&mut out[slot], group), quad_at(&mut overlap[slot], group));
                *out = (Quad(*out) + now).0;
                *left = (Quad(*left) + next).0;
            });
        }
    }
}

const LOW_HALF: Quad = Quad([1.0, 1.0, 0.0, 0.0]);
const HIGH_HALF: Quad = Quad([0.0, 0.0, 1.0, 1.0]);

#[inline(always)]
fn quad_at<const KEPT: usize>(slot: &mut [f32; KEPT], group: usize) -> &mut [f32; 4] {
    &mut slot.as_chunks_mut().0[group]
}

/// The lines of four sub-bands side by side.
fn quads(lines: &[f32; 4 * SUBBAND_LINES]) -> [Quad; SUBBAND_LINES] {
    std::array::from_fn(|i| Quad(std::array::from_fn(|band| lines[band * SUBBAND_LINES + i])))
}

/// Lines on each side of a border between sub-bands that alias reduction mixes.
const BUTTERFLIES: usize = 8;

/// Alias reduction at the borders of the lowest `joined` sub-bands (§2.4.3.4.10.1, table 3-B.9).
fn reduce_aliases(lines: &mut Spectrum, joined: usize) {
    static FACTORS: LazyLock<[[f32; BUTTERFLIES]; 2]> = LazyLock::new(|| {
        const C: [f64; BUTTERFLIES] = [-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037];
        [C.map(|c| (1.0 / (1.0 + c * c).sqrt()) as f32), C.map(|c| (c / (1.0 + c * c).sqrt()) as f32)]
    });
    let [cs, ca] = *FACTORS;
    for border in 1..joined {
        let from = border * SUBBAND_LINES - BUTTERFLIES;
        let Some(around) = lines.get_mut(from..).and_then(|lines| lines.first_chunk_mut::<{ 2 * BUTTERFLIES }>())
        else {
            return;
        };
        let before = *around;
        for i in 0..BUTTERFLIES {
            let (below, above) = (before[BUTTERFLIES - 1 - i], before[BUTTERFLIES + i]);
            around[BUTTERFLIES - 1 - i] = below * cs[i] - above * ca[i];
            around[BUTTERFLIES + i] = above * cs[i] + below * ca[i];
        }
    }
}

/// Brings the lines of short bands from window after window into the order of frequencies, the three windows of each side by side.
/// The first `long_count` bands are long and stay.
pub(super) fn reorder(lines: &mut Spectrum, widths: &[u16], long_count: usize, limit: usize) {
    let (long, short) = widths.split_at_checked(long_count).unwrap_or_default();
    let mut from: usize = long.iter().map(|width| usize::from(*width)).sum();
    let coded = *lines;
    for width in short.iter().step_by(WINDOWS).map(|width| usize::from(*width)) {
        let to = from + WINDOWS * width;
        if limit < to || LINES < to {
            return;
        }
        for (frequency, lines) in
            lines.get_mut(from..to).unwrap_or_default().as_chunks_mut::<WINDOWS>().0.iter_mut().enumerate()
        {
            for (window, line) in lines.iter_mut().enumerate() {
                *line = coded.get(from + window * width + frequency).copied().unwrap_or_default();
            }
        }
        from = to;
    }
}
