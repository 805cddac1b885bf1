//! The inverse transform at a reduced rate, windowed and overlapped (RFC 6716 §4.3.7).
//!
//! Of a block of N lines only the lowest N/r are transformed, as if they were all of a block at an r-th of the rate. Its samples stand
//! at r·m + (r − 1)/2 of the full rate's: less than half a step late, which the filter behind takes out ([`super::output`]). The full transform has
//! at these places, between its own samples, the same sum of cosines but for the lines left out; the window, which is a function of
//! place as well, is sampled there too.
//!
//! The transform is a type IV cosine transform, done by one complex transform of half as many points.

use std::{f64::consts::PI, fmt, sync::Arc};

use rustfft::{Fft, FftPlanner, num_complex::Complex};

use super::tables::{OVERLAP, SHORT_LINES, SIZE_MAX};

/// Makes samples of spectra, one after the other.
pub(super) struct Synthesis {
    /// One for each size of block.
    transforms: [Cosines; SIZE_MAX + 1],
    /// The rising slope.
    window: Vec<f32>,
    lines: Vec<f32>,
    cosines: Vec<f32>,
    /// The frame that is made, and behind it what the next one overlaps with.
    samples: Vec<f32>,
    factor: usize,
}

impl fmt::Debug for Synthesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Synthesis").field("factor", &self.factor).finish_non_exhaustive()
    }
}

impl Synthesis {
    /// A synthesis at the full rate divided by `factor`.
    pub(super) fn new(factor: usize) -> Synthesis {
        let overlap = OVERLAP / factor;
        let longest = (SHORT_LINES << SIZE_MAX) / factor;
        let rise = |n: usize| {
            let inner = (PI / 2.0 * (n as f64 + 0.5) / overlap as f64).sin();
            (PI / 2.0 * inner * inner).sin() as f32
        };
        Synthesis {
            transforms: std::array::from_fn(|size| Cosines::new((SHORT_LINES << size) / factor)),
            window: (0..overlap).map(rise).collect(),
            lines: vec![0.0; longest],
            cosines: vec![0.0; longest],
            samples: vec![0.0; longest + overlap],
            factor,
        }
    }

    /// Samples of a frame of 2^`size` short blocks, whose lines are interleaved where they are not joined to one.
    pub(super) fn frame(&mut self, spectrum: &[f32], size: usize, is_transient: bool) -> &[f32] {
        let overlap = self.window.len();
        let (blocks, of_block) = if is_transient { (1 << size, 0) } else { (1, size) };
        let length = (SHORT_LINES << of_block) / self.factor;
        for block in 0..blocks {
            let lines = &mut self.lines[..length];
            lines.iter_mut().zip(spectrum[block..].iter().step_by(blocks)).for_each(|(to, line)| *to = *line);
            self.transforms[of_block].run(lines, &mut self.cosines[..length]);
            overlap_add(&self.cosines[..length], &self.window, &mut self.samples[block * length..][..length + overlap]);
        }
        &self.samples[..blocks * length]
    }

    /// Moves on by the frame that was made: what it overlaps with comes first.
    pub(super) fn advance(&mut self, frame: usize) {
        self.samples.copy_within(frame..frame + self.window.len(), 0);
    }
}

/// Unfolds a block's cosines to samples: the rising slope is added to the last block's falling one.
fn overlap_add(cosines: &[f32], window: &[f32], out: &mut [f32]) {
    let (length, overlap) = (cosines.len(), window.len());
    let half = overlap / 2;
    let (rising, rest) = out.split_at_mut(overlap);
    let (flat, falling) = rest.split_at_mut(length - overlap);
    // The block's samples are its cosines from the last but `half` on, then all of them backwards and turned over, then the first.
    let ascending = cosines[length - half..].iter().copied();
    let descending = || cosines.iter().rev().map(|value| -value);
    for ((out, gain), sample) in rising.iter_mut().zip(window).zip(ascending.chain(descending())) {
        *out += gain * sample;
    }
    for (out, sample) in flat.iter_mut().zip(descending().skip(half)) {
        *out = sample;
    }
    let tail = descending().skip(length - half).chain(cosines.iter().map(|value| -value));
    for ((out, gain), sample) in falling.iter_mut().zip(window.iter().rev()).zip(tail) {
        *out = gain * sample;
    }
}

/// A cosine transform of type IV: Σ x(k) cos(π/L (j + ½)(k + ½)).
struct Cosines {
    fft: Arc<dyn Fft<f32>>,
    /// e^(iπ(n + ⅛)/L).
    twiddles: Vec<Complex<f32>>,
    points: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Cosines {
    fn new(lines: usize) -> Cosines {
        let half = lines / 2;
        let fft = FftPlanner::new().plan_fft_inverse(half);
        let zero = Complex::new(0.0, 0.0);
        let twiddle = |n: usize| {
            let turn = Complex::from_polar(1.0, PI * (n as f64 + 0.125) / lines as f64);
            Complex::new(turn.re as f32, turn.im as f32)
        };
        Cosines {
            twiddles: (0..half).map(twiddle).collect(),
            points: vec![zero; half],
            scratch: vec![zero; fft.get_inplace_scratch_len()],
            fft,
        }
    }

    fn run(&mut self, lines: &[f32], out: &mut [f32]) {
        let evens = lines.iter().step_by(2);
        let odds = lines.iter().rev().step_by(2);
        for ((point, twiddle), (even, odd)) in self.points.iter_mut().zip(&self.twiddles).zip(evens.zip(odds)) {
            *point = Complex::new(*even, -*odd) * *twiddle;
        }
        self.fft.process_with_scratch(&mut self.points, &mut self.scratch);
        for (n, (point, twiddle)) in self.points.iter().zip(&self.twiddles).enumerate() {
            let turned = *point * *twiddle;
            out[2 * n] = turned.re;
            out[lines.len() - 1 - 2 * n] = turned.im;
        }
    }
}
