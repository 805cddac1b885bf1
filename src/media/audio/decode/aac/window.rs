//! Window shapes (ISO/IEC 14496-3 §4.6.11.3.2) and the halves of windows that block switching makes of them, as a reduced transform
//! samples them.

use std::{f64::consts::PI, sync::LazyLock};

use super::{
    bands::{LINES, SHORT_LINES},
    transform::Grid,
};

/// Kaiser's α of the Kaiser–Bessel-derived window, for long and for short windows.
const ALPHA_LONG: f64 = 4.0;
const ALPHA_SHORT: f64 = 6.0;
/// Sine, and Kaiser–Bessel-derived.
pub(super) const SHAPES: usize = 2;
/// Where the first short window begins in a block, and how long the flat parts beside a short slope are.
pub(super) const FLAT: usize = (LINES - SHORT_LINES) / 2;

/// Halves of windows for one grid, each as long as a block of output. The index is the shape.
#[derive(Debug)]
pub(super) struct Windows {
    /// Rising from 0 to 1 over a whole block, and falling.
    pub(super) long_rise: [Vec<f32>; SHAPES],
    pub(super) long_fall: [Vec<f32>; SHAPES],
    /// The right half of a start window, and the left half of a stop window.
    pub(super) start_fall: [Vec<f32>; SHAPES],
    pub(super) stop_rise: [Vec<f32>; SHAPES],
    /// Over an eighth of a block.
    pub(super) short_rise: [Vec<f32>; SHAPES],
    pub(super) short_fall: [Vec<f32>; SHAPES],
}

impl Windows {
    pub(super) fn new(grid: Grid) -> Windows {
        // A stream may change its configuration at every frame: what is dear is computed once.
        static HALVES: LazyLock<[[Vec<f64>; SHAPES]; 2]> = LazyLock::new(|| {
            let long = [sine(LINES), kaiser_bessel_derived(LINES, ALPHA_LONG)];
            [long, [sine(SHORT_LINES), kaiser_bessel_derived(SHORT_LINES, ALPHA_SHORT)]]
        });
        let [long, short] = &*HALVES;
        let rise = |half: &Vec<f64>| grid.sample(half.iter().copied());
        let fall = |half: &Vec<f64>| grid.sample(half.iter().rev().copied());
        let flat = |level: f64| std::iter::repeat_n(level, FLAT);
        let stop = |half: &Vec<f64>| grid.sample(flat(0.0).chain(half.iter().copied()).chain(flat(1.0)));
        let start = |half: &Vec<f64>| grid.sample(flat(1.0).chain(half.iter().rev().copied()).chain(flat(0.0)));
        Windows {
            long_rise: long.each_ref().map(rise),
            long_fall: long.each_ref().map(fall),
            start_fall: short.each_ref().map(start),
            stop_rise: short.each_ref().map(stop),
            short_rise: short.each_ref().map(rise),
            short_fall: short.each_ref().map(fall),
        }
    }
}

/// The rising half of a sine window.
pub(super) fn sine(length: usize) -> Vec<f64> {
    (0..length).map(|n| (PI / (2 * length) as f64 * (n as f64 + 0.5)).sin()).collect()
}

/// The rising half of a Kaiser–Bessel-derived window: roots of the sums of a Kaiser window.
pub(super) fn kaiser_bessel_derived(length: usize, alpha: f64) -> Vec<f64> {
    let kaiser = |n: usize| {
        let place = 2.0 * n as f64 / length as f64 - 1.0;
        bessel_i0(PI * alpha * (1.0 - place * place).max(0.0).sqrt())
    };
    let total: f64 = (0..=length).map(kaiser).sum();
    let sums = (0..length).scan(0.0, |sum, n| {
        *sum += kaiser(n);
        Some(*sum)
    });
    sums.map(|sum| (sum / total).sqrt()).collect()
}

/// The modified Bessel function of the first kind and order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    /// Terms after which nothing changes for the arguments above, up to 6π.
    const TERMS: u32 = 64;
    let quarter = x * x / 4.0;
    let terms = (1..TERMS).scan(1.0, |term, k| {
        *term *= quarter / f64::from(k * k);
        Some(*term)
    });
    1.0 + terms.sum::<f64>()
}
