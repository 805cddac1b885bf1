//! The inverse modified discrete cosine transform (ISO/IEC 14496-3 §4.6.11.3.1, Vorbis I §4.3.7) of the lowest lines at a reduced rate.
//!
//! The standards' output *x*(n) of M lines, n from 0 to 2M − 1, is a sum of cosines of (n + ½ + M/2)(k + ½)π/M. Without the lines from
//! M/r on it is the same sum at every n, and here it is evaluated at n = r·m + φ alone: 2M/r values, each exactly the one of the
//! full transform at its place. The phase φ lets them stand where the cut of the audio wants them.
//!
//! A sum of L = M/r lines at odd half frequencies is real and changes its sign after 2L samples, so that pairs of samples
//! come from one complex transform of L points: with c(k) the factor of line k in the exponential sum and ω(k) = e^(iπ(k + ½)/L),
//! z(j) = y(2j) + i·y(2j + 1) = e^(iπj/L) · Σ G(k) e^(2πijk/L), where G(k) = X(k)·P(k) + X(L − 1 − k)·Q(k),
//! P(k) = ½ c(k) (1 + iω(k)) and Q(k) = ½ c̄(L − 1 − k) (1 − iω(k)).

use std::{f64::consts::PI, fmt, sync::Arc};

use rustfft::{Fft, FftPlanner, num_complex::Complex};

/// Which samples of the full rate are made: those at `phase` and every `factor` after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) factor: usize,
    /// Below `factor`.
    pub(super) phase: usize,
}

impl Grid {
    /// The grid whose first sample stands exactly where the audio is cut.
    pub(super) fn of_cut(factor: usize, start: u64) -> Grid {
        Grid { factor, phase: (start % factor as u64) as usize }
    }

    /// Of a row of values at full rate those that are made.
    pub(super) fn sample(self, values: impl Iterator<Item = f64>) -> Vec<f32> {
        values.skip(self.phase).step_by(self.factor).map(|value| value as f32).collect()
    }
}

/// A transform of `full / factor` lines to twice as many samples.
pub(super) struct Transform {
    fft: Arc<dyn Fft<f32>>,
    /// P and Q of each line, real and imaginary parts apart, and the factor of each pair of samples.
    direct: [Vec<f32>; 2],
    mirrored: [Vec<f32>; 2],
    turn: Vec<Complex<f32>>,
    /// The spectrum from its highest line down.
    reversed: Vec<f32>,
    pairs: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transform").field("lines", &self.pairs.len()).finish_non_exhaustive()
    }
}

impl Transform {
    /// Lines of a spectrum of `full` lines to samples: `scale` times the sum.
    pub(super) fn new(full: usize, grid: Grid, scale: f64) -> Transform {
        let lines = full / grid.factor;
        let length = lines as f64;
        let place = (grid.phase as f64 + 0.5) / grid.factor as f64 + length / 2.0;
        let unit = |angle: f64| Complex::from_polar(1.0, angle);
        let line = |k: usize| unit(PI / length * place * (k as f64 + 0.5));
        let half = |k: usize| Complex::<f64>::i() * unit(PI / length * (k as f64 + 0.5));
        let narrow = |wide: Complex<f64>| Complex::new(wide.re as f32, wide.im as f32);
        let fft = FftPlanner::new().plan_fft_inverse(lines);
        let zero = Complex::new(0.0, 0.0);
        let apart = |values: &dyn Fn(usize) -> Complex<f64>| {
            let part =
                |part: fn(Complex<f64>) -> f64| (0..lines).map(|k| part(values(k) * (scale / 2.0)) as f32).collect();
            [part(|value| value.re), part(|value| value.im)]
        };
        Transform {
            direct: apart(&|k| line(k) * (half(k) + 1.0)),
            mirrored: apart(&|k| line(lines - 1 - k).conj() * (-half(k) + 1.0)),
            turn: (0..lines).map(|j| narrow(unit(PI / length * j as f64))).collect(),
            reversed: vec![0.0; lines],
            pairs: vec![zero; lines],
            scratch: vec![zero; fft.get_inplace_scratch_len()],
            fft,
        }
    }

    /// Transforms the first lines of `spectrum`. The result is pairs of samples: real part first.
    pub(super) fn run(&mut self, spectrum: &[f32]) -> &[Complex<f32>] {
        for (to, line) in self.reversed.iter_mut().rev().zip(spectrum) {
            *to = *line;
        }
        let [direct_re, direct_im] = &self.direct;
        let [mirrored_re, mirrored_im] = &self.mirrored;
        let lines = spectrum.iter().zip(&self.reversed);
        let factors = direct_re.iter().zip(direct_im).zip(mirrored_re.iter().zip(mirrored_im));
        for ((pair, (line, mirror)), ((p_re, p_im), (q_re, q_im))) in self.pairs.iter_mut().zip(lines).zip(factors) {
            *pair = Complex::new(p_re * line + q_re * mirror, p_im * line + q_im * mirror);
        }
        self.fft.process_with_scratch(&mut self.pairs, &mut self.scratch);
        for (pair, turn) in self.pairs.iter_mut().zip(&self.turn) {
            *pair *= turn;
        }
        &self.pairs
    }
}
