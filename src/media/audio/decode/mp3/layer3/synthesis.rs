//! The polyphase synthesis filterbank (ISO/IEC 11172-3 §2.4.3.2.2) at a reduced rate.
//!
//! The full synthesis makes 32 samples of each slot of 32 sub-band samples. Its sample j is Σ over the last 16 slots of a window's
//! coefficient D[32n + j] times a cosine transform of that slot at place j or j + 32. Where the upper sub-bands are silent, their
//! terms vanish and every (32 / `KEPT`)-th sample says everything: those are computed, from any one of the first on, exactly as the full
//! synthesis would give them.

use std::f64::consts::PI;

use super::{SLOTS, SUBBANDS, hybrid::Slots, quad::Quad, window};

/// Slots that one sample depends on.
const TAPS: usize = 16;

/// A slot's cosine transform at the places of the samples kept, and 32 further on.
type Row<const KEPT: usize> = [Places<KEPT>; 2];

/// Numbers by place, aligned so that the processor multiplies by them where they lie.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Places<const KEPT: usize>([f32; KEPT]);

pub(super) struct Synthesis<const KEPT: usize> {
    /// cos(π/64 · (16 + j)(2k + 1)) by sub-band k and, as a row, by place j.
    matrix: [Row<KEPT>; KEPT],
    /// Coefficients for pairs of slots from the oldest on: of the older one's further places, and of the newer one's nearer.
    window: [Row<KEPT>; TAPS / 2],
    /// The slots that the next ones need, and behind them those of this granule.
    rows: [Row<KEPT>; TAPS - 1 + SLOTS],
}

impl<const KEPT: usize> Synthesis<KEPT> {
    /// Keeps of each slot's samples those at `phase`, `phase` + 32 / `KEPT` and so on.
    pub(super) fn new(phase: usize) -> Synthesis<KEPT> {
        let place = |kept: usize| phase + kept * SUBBANDS / KEPT;
        let cosine = |place: usize, band: usize| (PI / 64.0 * ((16 + place) * (2 * band + 1)) as f64).cos() as f32;
        Synthesis {
            matrix: std::array::from_fn(|band| {
                [0, SUBBANDS].map(|further| Places(std::array::from_fn(|kept| cosine(place(kept) + further, band))))
            }),
            window: std::array::from_fn(|pair| {
                let tap = TAPS - 1 - 2 * pair;
                [tap, tap - 1]
                    .map(|tap| Places(std::array::from_fn(|kept| window::coefficient(SUBBANDS * tap + place(kept)))))
            }),
            rows: [[Places([0.0; KEPT]); 2]; TAPS - 1 + SLOTS],
        }
    }

    /// Appends the samples of a granule.
    pub(super) fn granule(&mut self, slots: &Slots<KEPT>, out: &mut Vec<f32>) {
        for (row, slot) in self.rows.iter_mut().skip(TAPS - 1).zip(slots) {
            *row = transform(&self.matrix, slot);
        }
        for rows in self.rows.array_windows() {
            out.extend_from_slice(&windowed(&self.window, rows));
        }
        self.rows.copy_within(SLOTS.., 0);
    }
}

#[inline(always)]
fn transform<const KEPT: usize>(matrix: &[Row<KEPT>; KEPT], slot: &[f32; KEPT]) -> Row<KEPT> {
    let [mut near, mut far] = [Places([0.0; KEPT]); 2];
    for (sample, [near_cosines, far_cosines]) in slot.iter().zip(matrix) {
        for i in 0..KEPT {
            near.0[i] += sample * near_cosines.0[i];
            far.0[i] += sample * far_cosines.0[i];
        }
    }
    [near, far]
}

/// Samples of the last of the slots. Apart, so that the coefficients are not all loaded before the first is needed.
#[inline(never)]
fn windowed<const KEPT: usize>(window: &[Row<KEPT>; TAPS / 2], rows: &[Row<KEPT>; TAPS]) -> [f32; KEPT] {
    let mut out = [0.0; KEPT];
    for (group, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
        let quad = |places: &Places<KEPT>| Quad(places.0.as_chunks().0[group]);
        let mut sum = Quad::ZERO;
        for ([older, newer], [far, near]) in rows.as_chunks().0.iter().zip(window) {
            sum += quad(&older[1]) * quad(far);
            sum += quad(&newer[0]) * quad(near);
        }
        *out = sum.0;
    }
    out
}
