//! Joint stereo (ISO/IEC 11172-3 §2.4.3.4.9, 13818-3 §2.4.3.2): from what is coded to left and right, band by band.

use std::f32::consts::FRAC_1_SQRT_2;

use super::{
    LINES, Spectrum, WINDOWS,
    scale_factors::{FACTORS, ScaleFactors, power_of_two},
};

/// Which kind of intensity stereo a granule has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Intensity {
    Mpeg1,
    /// With the quarters of an exponent of two that a place counts for (13818-3: intensity_scale).
    Mpeg2 {
        quarters: i32,
    },
}

/// Places of MPEG-1 from right to left; 7 and above stand for none.
const PLACES: u8 = 7;

/// Makes left and right of what the first and the second channel hold, in the order of the bands' `widths`, the first `long_count`
/// of which are those of long bands. `right` must be whole: where it ends, intensity stereo begins.
pub(super) fn process(
    has_middle_side: bool,
    intensity: Option<Intensity>,
    [left, right]: &mut [Spectrum; 2],
    right_scale: &ScaleFactors,
    widths: &[u16],
    long_count: usize,
) {
    let Some(intensity) = intensity else {
        if has_middle_side {
            middle_side(left, right);
        }
        return;
    };
    let places = Places::new(intensity, right, right_scale, widths, long_count);
    let (mut left, mut right) = (left.as_mut_slice(), right.as_mut_slice());
    for (band, width) in widths.iter().enumerate() {
        let width = usize::from(*width).min(left.len()).min(right.len());
        let (left_band, left_rest) = left.split_at_mut(width);
        let (right_band, right_rest) = right.split_at_mut(width);
        (left, right) = (left_rest, right_rest);
        match places.factors(band) {
            Some(factors) => intensify(left_band, right_band, factors),
            None if has_middle_side => middle_side(left_band, right_band),
            None => {}
        }
    }
}

fn middle_side(left: &mut [f32], right: &mut [f32]) {
    for (left, right) in left.iter_mut().zip(right) {
        let (middle, side) = (*left * FRAC_1_SQRT_2, *right * FRAC_1_SQRT_2);
        (*left, *right) = (middle + side, middle - side);
    }
}

fn intensify(left: &mut [f32], right: &mut [f32], [to_left, to_right]: [f32; 2]) {
    for (left, right) in left.iter_mut().zip(right) {
        *right = *left * to_right;
        *left *= to_left;
    }
}

/// Where the sound of each band stands between left and right.
struct Places {
    intensity: Intensity,
    /// By band; `None` where the band is coded like any other.
    places: [Option<u8>; FACTORS],
}

impl Places {
    fn new(intensity: Intensity, right: &Spectrum, scale: &ScaleFactors, widths: &[u16], long_count: usize) -> Places {
        let bounds = bounds(right, widths, long_count);
        let mut positions = scale.factors;
        // The last band has no factor: it stands where the one before it stands, or in the middle if that is coded like any other.
        let step = if long_count == widths.len() { 1 } else { WINDOWS };
        for last in widths.len().saturating_sub(step)..widths.len() {
            let before = last.saturating_sub(step);
            let middle = match intensity {
                Intensity::Mpeg1 => 3,
                Intensity::Mpeg2 { .. } => 0,
            };
            let is_place = bounds.get(last % WINDOWS).is_some_and(|bound| *bound <= before);
            let position = if is_place { legal(intensity, scale, before) } else { Some(middle) };
            positions.get_mut(last).into_iter().for_each(|to| *to = position.unwrap_or(u8::MAX));
        }
        let mut places = [None; FACTORS];
        for (band, place) in places.iter_mut().enumerate().take(widths.len()) {
            let is_above = bounds.get(band % WINDOWS).is_some_and(|bound| *bound <= band);
            if is_above {
                let has_factor = band + step < widths.len();
                let own = positions.get(band).copied().filter(|position| *position != u8::MAX);
                *place = if has_factor { legal(intensity, scale, band) } else { own };
            }
        }
        Places { intensity, places }
    }

    /// What the left and the right are of the sound of a band.
    fn factors(&self, band: usize) -> Option<[f32; 2]> {
        let place = self.places.get(band).copied().flatten()?;
        match self.intensity {
            Intensity::Mpeg1 => {
                // tan(π/12 · place) to 1, as parts of their sum.
                let (sine, cosine) = (f32::from(place) * std::f32::consts::PI / 12.0).sin_cos();
                Some([sine / (sine + cosine), cosine / (sine + cosine)])
            }
            Intensity::Mpeg2 { quarters } => {
                let weaker = power_of_two(-quarters * i32::from(place.div_ceil(2)));
                Some(if place % 2 == 1 { [weaker, 1.0] } else { [1.0, weaker] })
            }
        }
    }
}

/// A band's place, unless its factor stands for none.
fn legal(intensity: Intensity, scale: &ScaleFactors, band: usize) -> Option<u8> {
    let (factor, illegal) = (scale.factors.get(band)?, scale.illegal.get(band)?);
    match intensity {
        Intensity::Mpeg1 => (*factor < PLACES).then_some(*factor),
        Intensity::Mpeg2 { .. } => (factor != illegal).then_some(*factor),
    }
}

/// Of each window, the first band above the last in which the right channel has anything; of long blocks three times the same.
fn bounds(right: &Spectrum, widths: &[u16], long_count: usize) -> [usize; WINDOWS] {
    let mut bounds = [0; WINDOWS];
    let mut from = 0;
    for (band, width) in widths.iter().enumerate() {
        let to = (from + usize::from(*width)).min(LINES);
        if right.get(from..to).unwrap_or_default().iter().any(|line| *line != 0.0) {
            bounds[band % WINDOWS] = band + 1;
        }
        from = to;
    }
    if long_count == 0 { bounds } else { [bounds.into_iter().max().unwrap_or_default(); WINDOWS] }
}
