//! The pitch post-filter (RFC 6716 §4.3.7.1) at a reduced rate.
//!
//! At the full rate it adds to each sample five that lie a period before: y(n) = x(n) + g Σ a(|d|) y(n − T + d), d from −2 to 2. Here
//! samples are `factor` apart, and periods and distances are fractions of that. The five become [`TAPS`] taps of a filter that
//! has the same response up to the highest frequency that is heard, by least squares; above, it fades away.

use std::f64::consts::PI;

use super::{
    frame::Pitch,
    tables::{OVERLAP, SHORT_LINES, SIZE_MAX},
};

/// Taps of a filter. Twelve leave errors of −60 dB, sixteen of −80.
const TAPS: usize = 16;
/// What a filter is fitted to.
const FIT: Fit = Fit { edge: 0.62, beyond: 1e-7 };
/// With the shortest period nearly all taps lie on the far side, and the response beyond the edge could grow so far that the filter
/// rings for ever. Less is asked of it: errors are −68 dB.
const FIT_SHORTEST: Fit = Fit { edge: 0.59, beyond: 3e-7 };
/// The longest period, and the taps around it.
const REACH: usize = 1_024 + 4;
/// The shortest period.
const PERIOD_MIN: usize = 15;

/// Gains of the samples at, next to, and two from the period, by tap set.
const SETS: [[f64; 3]; 3] = [
    [0.306_640_625, 0.217_041_015_6, 0.129_638_671_9],
    [0.463_867_187_5, 0.268_066_406_2, 0.0],
    [0.799_804_687_5, 0.100_097_656_2, 0.0],
];

#[derive(Clone, Copy, Debug)]
struct Fit {
    /// The band that is heard, of the reduced rate's: 3.7 of 6 kHz.
    edge: f64,
    /// What the response beyond that weighs: enough to keep it small.
    beyond: f64,
}

/// The filter with its past.
#[derive(Debug)]
pub(super) struct PostFilter {
    factor: usize,
    /// What a filter becomes another over: the square of the window.
    fade: Vec<f32>,
    /// Filters without their gain, for each set and each place after the nearest tap in samples of the full rate; those that were needed so far.
    kernels: Vec<Option<[f32; TAPS]>>,
    /// The filter until the first short block of a frame has ended, and the one from there on.
    before: Pitch,
    now: Pitch,
    /// What was filtered, the frame last.
    samples: Vec<f32>,
    past: usize,
}

/// One filter at work.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    gain: f32,
    /// How far back the nearest tap is.
    nearest: usize,
    /// Farthest first.
    taps: [f32; TAPS],
}

impl PostFilter {
    pub(super) fn new(factor: usize) -> PostFilter {
        let overlap = OVERLAP / factor;
        let fade = |n: usize| {
            let inner = (PI / 2.0 * (n as f64 + 0.5) / overlap as f64).sin();
            (PI / 2.0 * inner * inner).sin().powi(2) as f32
        };
        let past = REACH / factor + TAPS;
        let kernels = vec![None; SETS.len() * (TAPS / 2 + 1) * factor];
        PostFilter {
            factor,
            fade: (0..overlap).map(fade).collect(),
            kernels,
            before: Pitch::default(),
            now: Pitch::default(),
            samples: vec![0.0; past + (SHORT_LINES << SIZE_MAX) / factor],
            past,
        }
    }

    /// Filters a frame, from whose second short block on there is a new pitch.
    pub(super) fn run(&mut self, frame: &[f32], pitch: Pitch) -> &[f32] {
        let (past, short) = (self.past, SHORT_LINES / self.factor);
        self.samples[past..past + frame.len()].copy_from_slice(frame);
        self.change(past, past + short.min(frame.len()), self.before, self.now);
        if frame.len() > short {
            self.change(past + short, past + frame.len(), self.now, pitch);
            self.before = pitch;
        } else {
            self.before = self.now;
        }
        self.now = pitch;
        &self.samples[past..past + frame.len()]
    }

    /// Makes the frame that was filtered the past.
    pub(super) fn advance(&mut self, frame: usize) {
        self.samples.copy_within(frame..frame + self.past, 0);
    }

    /// Filters a stretch over whose beginning one filter becomes another.
    fn change(&mut self, begin: usize, end: usize, from: Pitch, to: Pitch) {
        if from.gain == 0.0 && to.gain == 0.0 {
            return;
        }
        let kernel = self.kernel(to);
        let mut at = begin;
        if from != to {
            let from = self.kernel(from);
            let fade = std::mem::take(&mut self.fade);
            for gain in &fade {
                let (leaving, coming) = (from.at(&self.samples, at), kernel.at(&self.samples, at));
                self.samples[at] += (1.0 - gain) * leaving + gain * coming;
                at += 1;
            }
            self.fade = fade;
        }
        if to.gain != 0.0 {
            kernel.run(&mut self.samples, at, end);
        }
    }

    fn kernel(&mut self, pitch: Pitch) -> Kernel {
        let period = pitch.period.max(PERIOD_MIN);
        let factor = self.factor;
        // The taps lie around the period's end where there is room for them on the near side.
        let nearest = (period / factor + 1).saturating_sub(TAPS / 2).max(1);
        let place = period - factor * nearest;
        let fit = if period == PERIOD_MIN { FIT_SHORTEST } else { FIT };
        let made = &mut self.kernels[pitch.tap_set * (TAPS / 2 + 1) * factor + place];
        let taps = *made.get_or_insert_with(|| taps(place, factor, SETS[pitch.tap_set], fit));
        Kernel { gain: pitch.gain, nearest, taps }
    }
}

impl Kernel {
    /// What the filter adds to a sample.
    fn at(&self, samples: &[f32], at: usize) -> f32 {
        let end = at + 1 - self.nearest;
        let (samples, taps) = (samples[end - TAPS..end].as_chunks::<4>().0, self.taps.as_chunks::<4>().0);
        let mut sums = [0.0; 4];
        for (samples, taps) in samples.iter().zip(taps) {
            sums.iter_mut().zip(samples.iter().zip(taps)).for_each(|(sum, (sample, tap))| *sum += sample * tap);
        }
        self.gain * (sums[0] + sums[1] + (sums[2] + sums[3]))
    }

    /// Filters a stretch of the samples.
    fn run(&self, samples: &mut [f32], begin: usize, end: usize) {
        let at = self.run_by::<16>(samples, begin, end);
        let at = self.run_by::<4>(samples, at, end);
        for at in at..end {
            samples[at] += self.at(samples, at);
        }
    }

    /// The same of so many samples at once, where what is read is as far away; gives where less is left.
    fn run_by<const LANES: usize>(&self, samples: &mut [f32], begin: usize, end: usize) -> usize {
        let taps = self.taps.map(|tap| self.gain * tap);
        let mut at = begin;
        while self.nearest >= LANES && at + LANES <= end {
            let first = at + 1 - self.nearest - TAPS;
            let mut sums = [0.0; LANES];
            for (tap, window) in taps.iter().zip(samples[first..first + TAPS + LANES - 1].windows(LANES)) {
                sums.iter_mut().zip(window).for_each(|(sum, sample)| *sum += tap * sample);
            }
            samples[at..at + LANES].iter_mut().zip(sums).for_each(|(sample, sum)| *sample += sum);
            at += LANES;
        }
        at
    }
}

/// Taps at whole places from 0 on that have the response of a set around a `place`, farthest first.
///
/// The least squares of the error over the heard band, and of the response beyond it: both are sums of cosines, whose integrals are
/// sines.
fn taps(place: usize, factor: usize, set: [f64; 3], fit: Fit) -> [f32; TAPS] {
    let edge = PI * fit.edge;
    let integral = |distance: f64| if distance == 0.0 { edge } else { (edge * distance).sin() / distance };
    let mut rows = [[0.0; TAPS + 1]; TAPS];
    for (row, values) in rows.iter_mut().enumerate() {
        for (column, value) in values.iter_mut().enumerate().take(TAPS) {
            let distance = row as f64 - column as f64;
            let whole = if row == column { PI } else { 0.0 };
            *value = (1.0 - fit.beyond) * integral(distance) + fit.beyond * whole;
        }
        values[TAPS] = (-2_i32..=2)
            .map(|step| {
                let distance = row as f64 - (place as f64 + f64::from(step)) / factor as f64;
                set[step.unsigned_abs() as usize] * integral(distance)
            })
            .sum();
    }
    let mut taps = solve(rows).map(|tap| tap as f32);
    taps.reverse();
    taps
}

/// Solves equations whose matrix is symmetric and positive: no pivot needs to be looked for.
fn solve(mut rows: [[f64; TAPS + 1]; TAPS]) -> [f64; TAPS] {
    for pivot in 0..TAPS {
        let of_pivot = rows[pivot];
        for row in rows.iter_mut().skip(pivot + 1) {
            let factor = row[pivot] / of_pivot[pivot];
            row.iter_mut().zip(of_pivot).for_each(|(value, of_pivot)| *value -= factor * of_pivot);
        }
    }
    let mut solution = [0.0; TAPS];
    for row in (0..TAPS).rev() {
        let known: f64 = (row + 1..TAPS).map(|column| rows[row][column] * solution[column]).sum();
        solution[row] = (rows[row][TAPS] - known) / rows[row][row];
    }
    solution
}
