//! From spectra to samples (ISO/IEC 14496-3 §4.6.11): transform, window, overlap and add, all at the reduced rate and mixed to one.

use rustfft::num_complex::Complex;

use super::{
    bands::{LINES, SHORT_LINES},
    ics::{Info, Sequence},
    spectrum::Lines,
    transform::{Grid, Transform},
    window::{FLAT, Windows},
};

/// Windows of a block of short ones.
const SHORT_WINDOWS: usize = 8;
/// Samples of the standard are within ±32768, ours within ±1.
const FULL_SCALE: f64 = 32_768.0;

/// How a block is windowed: spectra of one windowing can be added before they are transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windowing {
    sequence: Sequence,
    shape: usize,
    /// Shape of the block before: the left half's.
    shape_before: usize,
}

impl Windowing {
    pub(super) fn new(info: &Info, shape_before: u8) -> Windowing {
        Windowing { sequence: info.sequence, shape: usize::from(info.shape), shape_before: usize::from(shape_before) }
    }
}

/// Spectra of one windowing, added up.
#[derive(Debug)]
struct Sum {
    windowing: Windowing,
    lines: Box<Lines>,
}

/// Makes one channel of all that it is given.
#[derive(Debug)]
pub(super) struct Filterbank {
    windows: Windows,
    long: Transform,
    short: Transform,
    factor: usize,
    sums: Vec<Sum>,
    /// How many of them are in use for the current block.
    used: usize,
    /// The right halves of the last block.
    overlap: Vec<f32>,
    /// Two blocks in which short windows are put together.
    shorts: Vec<f32>,
}

impl Filterbank {
    /// For as many channels at most.
    pub(super) fn new(grid: Grid, channels: usize) -> Filterbank {
        let idle = Windowing { sequence: Sequence::OnlyLong, shape: 0, shape_before: 0 };
        let block = LINES / grid.factor;
        let transform = |lines: usize| Transform::new(lines, grid, 1.0 / (lines as f64 * FULL_SCALE));
        Filterbank {
            windows: Windows::new(grid),
            long: transform(LINES),
            short: transform(SHORT_LINES),
            factor: grid.factor,
            sums: (0..channels).map(|_| Sum { windowing: idle, lines: Box::new([0.0; LINES]) }).collect(),
            used: 0,
            overlap: vec![0.0; block],
            shorts: vec![0.0; 2 * block],
        }
    }

    /// Lines of each window that are heard.
    pub(super) fn limit(&self, info: &Info) -> usize {
        info.window_lines() / self.factor
    }

    /// Adds a channel's spectrum to the current block.
    pub(super) fn add(&mut self, windowing: Windowing, gain: f32, lines: &Lines) {
        let count = LINES / self.factor;
        let (stride, used) = match windowing.sequence {
            Sequence::EightShort => (SHORT_LINES, SHORT_LINES / self.factor),
            _ => (LINES, count),
        };
        let known = self.sums.iter().take(self.used).position(|sum| sum.windowing == windowing);
        let at = known.unwrap_or(self.used);
        let Some(sum) = self.sums.get_mut(at) else { return };
        sum.windowing = windowing;
        for (to, from) in sum.lines.chunks_mut(stride).zip(lines.chunks(stride)) {
            let pairs = to.iter_mut().zip(from).take(used);
            if known.is_some() {
                pairs.for_each(|(to, from)| *to += from * gain);
            } else {
                pairs.for_each(|(to, from)| *to = from * gain);
            }
        }
        self.used = self.used.max(at + 1);
    }

    /// Makes the current block's samples and appends them: [`LINES`] ÷ factor.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let start = out.len();
        out.extend_from_slice(&self.overlap);
        let block = out.get_mut(start..).unwrap_or_default();
        self.overlap.fill(0.0);
        for sum in self.sums.iter().take(self.used) {
            let Windowing { sequence, shape, shape_before } = sum.windowing;
            let windows = &self.windows;
            let (rise, fall) = match sequence {
                Sequence::EightShort => {
                    short_block(&mut self.short, windows, sum.windowing, &sum.lines, &mut self.shorts);
                    let (left, right) = self.shorts.split_at(block.len());
                    block.iter_mut().zip(left).for_each(|(to, from)| *to += from);
                    self.overlap.iter_mut().zip(right).for_each(|(to, from)| *to += from);
                    continue;
                }
                Sequence::OnlyLong => (&windows.long_rise[shape_before], &windows.long_fall[shape]),
                Sequence::LongStart => (&windows.long_rise[shape_before], &windows.start_fall[shape]),
                Sequence::LongStop => (&windows.stop_rise[shape_before], &windows.long_fall[shape]),
            };
            let pairs = self.long.run(sum.lines.as_slice());
            let (left, right) = pairs.split_at(pairs.len() / 2);
            add_windowed(block, left, rise);
            add_windowed(&mut self.overlap, right, fall);
        }
        self.used = 0;
    }

    /// A block that is lost: silence, and nothing of it in the next.
    pub(super) fn lose(&mut self, out: &mut Vec<f32>) {
        self.used = 0;
        out.resize(out.len() + self.overlap.len(), 0.0);
        self.overlap.fill(0.0);
    }
}

/// Adds samples, which come in pairs, times a window.
fn add_windowed(to: &mut [f32], pairs: &[Complex<f32>], window: &[f32]) {
    let windows = window.as_chunks::<2>().0;
    for (([first, second], pair), [gain, next_gain]) in to.as_chunks_mut().0.iter_mut().zip(pairs).zip(windows) {
        *first += pair.re * gain;
        *second += pair.im * next_gain;
    }
}

/// Puts eight short windows together to two blocks.
fn short_block(short: &mut Transform, windows: &Windows, windowing: Windowing, lines: &Lines, blocks: &mut [f32]) {
    blocks.fill(0.0);
    let half = short_half(windows);
    let flat = half * FLAT / SHORT_LINES;
    for (window, spectrum) in lines.chunks(SHORT_LINES).enumerate().take(SHORT_WINDOWS) {
        let shape_left = if window == 0 { windowing.shape_before } else { windowing.shape };
        let pairs = short.run(spectrum);
        let (left, right) = pairs.split_at(pairs.len() / 2);
        let Some(place) = blocks.get_mut(flat + window * half..) else { return };
        let (rising, falling) = place.split_at_mut(half.min(place.len()));
        add_windowed(rising, left, &windows.short_rise[shape_left]);
        add_windowed(falling.get_mut(..half).unwrap_or_default(), right, &windows.short_fall[windowing.shape]);
    }
}

fn short_half(windows: &Windows) -> usize {
    windows.short_rise[0].len()
}
