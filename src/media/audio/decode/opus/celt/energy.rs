//! Energies of the bands (RFC 6716 §4.3.2): coarse in steps of 6 dB, predicted in time and frequency, then refined.

use super::{
    range::RangeDecoder,
    tables::{BANDS, ENERGY_MODELS, PREDICTION_IN_FREQUENCY, PREDICTION_IN_TIME, PREDICTION_INTRA, SMALL_ENERGY},
};

/// Bits by which a band's energy can be refined.
pub(super) const FINE_BITS_MAX: i32 = 8;
/// What energies of the past are where there was nothing, and those of silence.
pub(super) const NOTHING: f32 = -28.0;
/// No band is predicted to be quieter.
const FLOOR: f32 = -9.0;

/// Energies of both channels' bands in octaves of amplitude, above [`super::tables::MEANS`].
pub(super) type Levels = [[f32; BANDS]; 2];

/// Energies of this frame and of those before it.
#[derive(Clone, Debug)]
pub(super) struct Energies {
    pub(super) now: Levels,
    /// Of the last two frames that had one long block, or less if frames of short ones since were quieter.
    pub(super) past: [Levels; 2],
}

impl Energies {
    pub(super) fn new() -> Energies {
        Energies { now: [[0.0; BANDS]; 2], past: [[[NOTHING; BANDS]; 2]; 2] }
    }

    /// A frame of one channel is predicted from the louder one of two.
    pub(super) fn begin_mono(&mut self) {
        let [first, second] = &mut self.now;
        for (first, second) in first.iter_mut().zip(second) {
            *first = first.max(*second);
        }
    }

    /// Coarse energies (§4.3.2.1) of bands below `end`.
    pub(super) fn read_coarse(
        &mut self,
        range: &mut RangeDecoder<'_>,
        end: usize,
        size: usize,
        is_intra: bool,
        channels: usize,
    ) {
        let (time, frequency) = match is_intra {
            true => (0.0, PREDICTION_INTRA),
            false => (PREDICTION_IN_TIME[size], PREDICTION_IN_FREQUENCY[size]),
        };
        let models = &ENERGY_MODELS[size][usize::from(is_intra)];
        let mut below = [0.0; 2];
        for (band, model) in models.iter().enumerate().take(end) {
            for (levels, below) in self.now.iter_mut().zip(&mut below).take(channels) {
                let step = read_step(range, *model) as f32;
                levels[band] = time * levels[band].max(FLOOR) + *below + step;
                *below += step - frequency * step;
            }
        }
    }

    /// Refines bands by the bits that each has (§4.3.2.2).
    pub(super) fn read_fine(&mut self, range: &mut RangeDecoder<'_>, bits: &[i32], channels: usize) {
        for (band, bits) in bits.iter().enumerate().filter(|(_, bits)| **bits > 0) {
            if range.tell() + channels as i32 * bits > range.size() {
                continue;
            }
            for levels in self.now.iter_mut().take(channels) {
                let part = range.raw(*bits as u32) as f32;
                levels[band] += (part + 0.5) / (1 << bits) as f32 - 0.5;
            }
        }
    }

    /// Spends the bits that are left on one more bit for each band, those first that were rounded down (§4.3.2.2).
    pub(super) fn read_final(
        &mut self,
        range: &mut RangeDecoder<'_>,
        bits: &[i32],
        is_second: &[bool],
        channels: usize,
    ) {
        let mut left = range.size() - range.tell();
        for turn in [false, true] {
            for (band, (bits, _)) in bits.iter().zip(is_second).enumerate().filter(|(_, (_, second))| **second == turn)
            {
                if left < channels as i32 || FINE_BITS_MAX <= *bits {
                    continue;
                }
                for levels in self.now.iter_mut().take(channels) {
                    let part = range.raw(1) as f32;
                    levels[band] += (part - 0.5) / (2 << bits) as f32;
                    left -= 1;
                }
            }
        }
    }

    /// What the next frame must know of this one.
    pub(super) fn end_frame(&mut self, end: usize, channels: usize, is_transient: bool) {
        if channels == 1 {
            self.now[1] = self.now[0];
        }
        let [last, before] = &mut self.past;
        if is_transient {
            for (last, now) in last.iter_mut().flatten().zip(self.now.iter().flatten()) {
                *last = last.min(*now);
            }
        } else {
            *before = *last;
            *last = self.now;
        }
        for levels in &mut self.now {
            levels[end..].fill(0.0);
        }
        for levels in self.past.iter_mut().flatten() {
            levels[end..].fill(NOTHING);
        }
    }
}

/// A step of a coarse energy, in octaves.
fn read_step(range: &mut RangeDecoder<'_>, [zero, decay]: [u8; 2]) -> i32 {
    match range.size() - range.tell() {
        15.. => read_laplace(range, u32::from(zero) << 7, u32::from(decay) << 6),
        2.. => match range.symbol(&SMALL_ENERGY, 2) {
            0 => 0,
            1 => -1,
            _ => 1,
        },
        1 => -i32::from(range.bit(1)),
        _ => -1,
    }
}

/// An integer of a Laplace distribution out of 2¹⁵, `zero` of them for 0; each further one has `decay`/2¹⁴ of the one before, but at
/// least one of them.
fn read_laplace(range: &mut RangeDecoder<'_>, zero: u32, decay: u32) -> i32 {
    const TOTAL: u32 = 1 << 15;
    /// Values on each side that have a share for certain.
    const CERTAIN: u32 = 16;
    let (place, unit) = range.place(TOTAL);
    let (mut low, mut share, mut value) = (0, zero, 0);
    if place >= zero {
        value = 1;
        low = zero;
        share = (((TOTAL - 2 * CERTAIN - zero) * ((1 << 14) - decay)) >> 15) + 1;
        while share > 1 && place >= low + 2 * share {
            low += 2 * share;
            share = (((2 * share - 2) * decay) >> 15) + 1;
            value += 1;
        }
        if share <= 1 {
            let further = (place - low) / 2;
            value += further as i32;
            low += 2 * further;
        }
        if place < low + share {
            value = -value;
        } else {
            low += share;
        }
    }
    range.update(unit, low, (low + share).min(TOTAL), TOTAL);
    value
}
