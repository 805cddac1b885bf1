//! The inverse modified discrete cosine transform with its windows (ISO/IEC 11172-3 §2.4.3.4.10), of four sub-bands at a time.
//!
//! Of 18 lines it makes 36 values: 18 that are added to what the last granule left, and 18 that are left for the next. Frequency
//! inversion (every second value of every second sub-band is negated) is part of the windows.

use std::{f64::consts::PI, sync::LazyLock};

use super::{SUBBAND_LINES, WINDOWS, quad::Quad, side_info::Window};

/// Lines of each of the three windows of a short block.
const SHORT_LINES: usize = SUBBAND_LINES / WINDOWS;
/// Values that come out of a transform.
const OUT: usize = 2 * SUBBAND_LINES;
const SHORT_OUT: usize = 2 * SHORT_LINES;

/// What a transform is multiplied by.
pub(super) struct Windows {
    /// Of long blocks, by window; of short ones, nothing is taken from here. In the order of the transform's halves: see `long`.
    normal: [Quad; OUT],
    start: [Quad; OUT],
    stop: [Quad; OUT],
    short: [f32; SHORT_OUT],
    /// cos(π/24 · (2j + 1)(2k + 1)) by j and k.
    short_cosines: [[f32; SHORT_LINES]; SHORT_LINES],
    /// 1 / (2 cos(π/36 · (2k + 1))).
    inner_secants: [f32; 9],
}

impl Windows {
    pub(super) fn get() -> &'static Windows {
        static WINDOWS: LazyLock<Windows> = LazyLock::new(Windows::new);
        &WINDOWS
    }

    fn new() -> Windows {
        let sine = |at: usize, length: f64| (PI / length * (at as f64 + 0.5)).sin();
        let normal = |at: usize| sine(at, 36.0);
        let start = |at: usize| match at {
            0..18 => normal(at),
            18..24 => 1.0,
            24..30 => sine(at - 18, 12.0),
            _ => 0.0,
        };
        Windows {
            normal: long_window(normal),
            start: long_window(start),
            stop: long_window(|at| start(OUT - 1 - at)),
            short: std::array::from_fn(|at| sine(at, 12.0) as f32),
            short_cosines: std::array::from_fn(|j| {
                std::array::from_fn(|k| (PI / 24.0 * ((2 * j + 1) * (2 * k + 1)) as f64).cos() as f32)
            }),
            inner_secants: std::array::from_fn(|k| secant(k, 36.0)),
        }
    }

    /// Transforms the lines of four sub-bands; `take(i, now, next)` is given value i of this granule and of the next.
    pub(super) fn transform(&self, window: Window, lines: &[Quad; SUBBAND_LINES], take: impl FnMut(usize, Quad, Quad)) {
        match window {
            Window::Normal => self.long(&self.normal, lines, take),
            Window::Start => self.long(&self.start, lines, take),
            Window::Stop => self.long(&self.stop, lines, take),
            Window::Short => self.short(lines, take),
        }
    }

    /// Of the cosine transform c[0..18] of the lines, the values are c[9..18], −c[17..8], −c[8..], −c[0..9].
    #[inline(always)]
    fn long(&self, window: &[Quad; OUT], x: &[Quad; SUBBAND_LINES], mut take: impl FnMut(usize, Quad, Quad)) {
        // The transform of 18 times 2 cos is one of a simpler kind over sums of neighbours, which falls apart into two of 9.
        let even = dct3([
            x[0],
            x[2] + x[1],
            x[4] + x[3],
            x[6] + x[5],
            x[8] + x[7],
            x[10] + x[9],
            x[12] + x[11],
            x[14] + x[13],
            x[16] + x[15],
        ]);
        let sums: [Quad; 9] = std::array::from_fn(|m| x[2 * m + 1] + x[2 * m]);
        let odd = dct3(std::array::from_fn(|m| if m == 0 { sums[0] } else { sums[m] + sums[m - 1] }));
        for k in 0..9 {
            let odd = odd[k] * self.inner_secants[k];
            let (low, high) = (even[k] + odd, even[k] - odd);
            // low is c[k] and high c[17 − k]: the first stands in values 26 − k and 27 + k, the other in 8 − k and 9 + k.
            take(8 - k, high * window[8 - k], low * window[26 - k]);
            take(9 + k, high * window[9 + k], low * window[27 + k]);
        }
    }

    fn short(&self, lines: &[Quad; SUBBAND_LINES], mut take: impl FnMut(usize, Quad, Quad)) {
        let mut out = [Quad::ZERO; OUT];
        for window in 0..WINDOWS {
            let cosines: [Quad; SHORT_LINES] = std::array::from_fn(|j| {
                let mut sum = Quad::ZERO;
                for k in 0..SHORT_LINES {
                    sum += lines[WINDOWS * k + window] * self.short_cosines[j][k];
                }
                sum
            });
            let at = SHORT_LINES * (1 + window);
            for i in 0..3 {
                out[at + i] += cosines[i + 3] * self.short[i];
                out[at + 9 + i] += cosines[i] * -self.short[9 + i];
            }
            for i in 3..9 {
                out[at + i] += cosines[8 - i] * -self.short[i];
            }
        }
        for i in 0..SUBBAND_LINES {
            take(i, out[i] * inversion(i), out[i + SUBBAND_LINES] * inversion(i));
        }
    }
}

/// The window of a long block with everything else that its values are multiplied by.
fn long_window(window: impl Fn(usize) -> f64) -> [Quad; OUT] {
    std::array::from_fn(|at| {
        let (k, sign) = match at {
            0..9 => (at + 9, 1.0),
            9..27 => (26 - at, -1.0),
            _ => (at - 27, -1.0),
        };
        inversion(at) * (sign * window(at) as f32 * secant(k, 72.0))
    })
}

/// Frequency inversion of value `at`, by sub-band (§2.4.3.4.10).
fn inversion(at: usize) -> Quad {
    if at % 2 == 1 { Quad([1.0, -1.0, 1.0, -1.0]) } else { Quad([1.0; 4]) }
}

/// 1 / (2 cos(π/`length` · (2k + 1))).
fn secant(k: usize, length: f64) -> f32 {
    (0.5 / (PI / length * (2 * k + 1) as f64).cos()) as f32
}

/// out[k] = Σ y[m] · cos(π/9 · m (k + ½)).
#[inline(always)]
fn dct3(y: [Quad; 9]) -> [Quad; 9] {
    // cos(nπ/18)
    const C1: f32 = 0.984_807_7;
    const C2: f32 = 0.939_692_6;
    const C3: f32 = 0.866_025_4;
    const C4: f32 = 0.766_044_44;
    const C5: f32 = 0.642_787_6;
    const C7: f32 = 0.342_020_15;
    const C8: f32 = 0.173_648_18;

    // Terms of even m are the same for k and 8 − k, those of odd m opposite.
    let outer = y[0] + y[6] * 0.5;
    let even_0 = outer + y[2] * C2 + y[4] * C4 + y[8] * C8;
    let even_2 = outer - y[2] * C8 - y[4] * C2 + y[8] * C4;
    let even_3 = outer - y[2] * C4 + y[4] * C8 - y[8] * C2;
    let (middle, sum) = (y[0] - y[6], y[2] - y[4] - y[8]);
    let even_1 = middle + sum * 0.5;

    let third = y[3] * C3;
    let odd_0 = y[1] * C1 + third + y[5] * C5 + y[7] * C7;
    let odd_2 = y[1] * C5 - third - y[5] * C7 + y[7] * C1;
    let odd_3 = y[1] * C7 - third + y[5] * C1 - y[7] * C5;
    let odd_1 = (y[1] - y[5] - y[7]) * C3;

    [
        even_0 + odd_0,
        even_1 + odd_1,
        even_2 + odd_2,
        even_3 + odd_3,
        middle - sum,
        even_3 - odd_3,
        even_2 - odd_2,
        even_1 - odd_1,
        even_0 - odd_0,
    ]
}
