//! From excitation to sound: a lattice filter shaped like the speaker's mouth, then de-emphasis (GSM 06.10, clauses 4.2.8, 4.2.9
//! and 4.3.3 to 4.3.6).

use super::frame::STAGES;

/// What of a frame's filter each code of an area means (tables 4.1 and 4.2).
struct Area {
    /// Smallest value of the code's range.
    least: i16,
    offset: i16,
    /// One over the slope, in 2⁻¹⁵ · 2.
    inverse_slope: i16,
}

const AREAS: [Area; STAGES] = [
    Area { least: -32, offset: 0, inverse_slope: 13_107 },
    Area { least: -32, offset: 0, inverse_slope: 13_107 },
    Area { least: -16, offset: 2_048, inverse_slope: 13_107 },
    Area { least: -16, offset: -2_560, inverse_slope: 13_107 },
    Area { least: -8, offset: 94, inverse_slope: 19_223 },
    Area { least: -8, offset: -1_792, inverse_slope: 17_476 },
    Area { least: -4, offset: -341, inverse_slope: 31_454 },
    Area { least: -4, offset: -1_144, inverse_slope: 29_708 },
];

/// Where the filter moves in steps from the last frame's to this one's: ends of the stretches, in samples (clause 4.2.9.1).
const STRETCHES: [usize; 4] = [13, 27, 40, 160];
/// De-emphasis: how much of the last sample stays, 0.86 in 2⁻¹⁵ (clause 4.3.5).
const DEEMPHASIS: i16 = 28_180;
/// The output has 13 bits (clause 4.3.6).
const OUTPUT_MASK: i16 = !7;

/// The product of two numbers in 2⁻¹⁵, rounded (`mult_r` of clause 4.1).
pub(super) fn multiply(a: i16, b: i16) -> i16 {
    let product = (i32::from(a) * i32::from(b) + (1 << 14)) >> 15;
    // Only −1 times −1 does not fit.
    product.min(i32::from(i16::MAX)) as i16
}

/// The filter and what it remembers.
#[derive(Debug)]
pub(super) struct Synthesis {
    /// Logarithmic area ratios of the last frame.
    areas: [i16; STAGES],
    /// What stands between the stages; the last is an output that no stage reads.
    lattice: [i16; STAGES + 1],
    /// The last sample before it was doubled.
    last: i16,
}

impl Synthesis {
    pub(super) fn new() -> Synthesis {
        Synthesis { areas: [0; STAGES], lattice: [0; STAGES + 1], last: 0 }
    }

    /// Turns the excitation of a frame with the coded areas into its samples.
    pub(super) fn run(&mut self, codes: &[u8; STAGES], excitation: &[i16], samples: &mut [i16]) {
        let before = std::mem::replace(&mut self.areas, decode_areas(codes));
        let mut start = 0;
        for (nth, end) in STRETCHES.into_iter().enumerate() {
            let reflections = std::array::from_fn(|stage| reflection(between(nth, before[stage], self.areas[stage])));
            let stretch = start..end;
            start = end;
            let (Some(excitation), Some(samples)) = (excitation.get(stretch.clone()), samples.get_mut(stretch)) else {
                return;
            };
            for (sample, excitation) in samples.iter_mut().zip(excitation) {
                let filtered = self.filter(&reflections, *excitation);
                *sample = self.deemphasise(filtered);
            }
        }
    }

    /// One sample through the lattice (clause 4.3.4).
    fn filter(&mut self, reflections: &[i16; STAGES], excitation: i16) -> i16 {
        let mut sample = excitation;
        for stage in (0..STAGES).rev() {
            let behind = self.lattice[stage];
            sample = sample.saturating_sub(multiply(reflections[stage], behind));
            self.lattice[stage + 1] = behind.saturating_add(multiply(reflections[stage], sample));
        }
        self.lattice[0] = sample;
        sample
    }

    fn deemphasise(&mut self, sample: i16) -> i16 {
        self.last = sample.saturating_add(multiply(self.last, DEEMPHASIS));
        self.last.saturating_add(self.last) & OUTPUT_MASK
    }
}

/// Logarithmic area ratios of their codes (clause 4.2.8).
fn decode_areas(codes: &[u8; STAGES]) -> [i16; STAGES] {
    std::array::from_fn(|stage| {
        let Area { least, offset, inverse_slope } = AREAS[stage];
        let level = (i16::from(codes[stage]).saturating_add(least) << 10).saturating_sub(offset << 1);
        let half = multiply(inverse_slope, level);
        half.saturating_add(half)
    })
}

/// The area ratio of the nth stretch, on the way from the last frame's to this one's (clause 4.2.9.1).
fn between(stretch: usize, before: i16, now: i16) -> i16 {
    match stretch {
        0 => (before >> 2).saturating_add(now >> 2).saturating_add(before >> 1),
        1 => (before >> 1).saturating_add(now >> 1),
        2 => (before >> 2).saturating_add(now >> 2).saturating_add(now >> 1),
        _ => now,
    }
}

/// The reflection coefficient of a logarithmic area ratio, by three straight lines (clause 4.2.9.2).
fn reflection(area: i16) -> i16 {
    let magnitude = area.saturating_abs();
    let reflection = match magnitude {
        ..11_059 => magnitude << 1,
        11_059..20_070 => magnitude.saturating_add(11_059),
        20_070.. => (magnitude >> 2).saturating_add(26_112),
    };
    if area < 0 { -reflection } else { reflection }
}
