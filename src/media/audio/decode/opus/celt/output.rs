//! From the reduced rate to the target's, de-emphasis included (RFC 6716 §4.3.7.2).
//!
//! De-emphasis is y(n) = x(n) + 0.85 y(n − 1) at the full rate. Of y only every s-th sample is wanted, and
//! y(sj) = 0.85^s y(s(j − 1)) + Σ 0.85^q x(sj − q), q from 0 to s − 1. The x are interpolated, by a windowed sinc that passes only what the target can hold,
//! from samples that are r = 2s/3 of the full rate's apart and begin at (r − 1)/2. So one filter does all: between its taps' places
//! there are two phases, for even and for odd output samples.

use std::f64::consts::PI;

/// De-emphasis at the full rate.
const EMPHASIS: f64 = 27_853.0 / 32_768.0;
/// Taps of each phase.
const TAPS: usize = 80;
/// Frequencies that pass and that do not, of the target's rate, and how far below the signal those stay.
const PASS: f64 = 0.4375;
const STOP: f64 = 0.5425;
const ATTENUATION_DB: f64 = 86.0;
/// Products summed up side by side.
const LANES: usize = 16;
/// Samples of the frame decoder for ±1.
const FULL_SCALE: f64 = 32_768.0;

/// Gives a stream the target's rate. Output samples stand where those of the full rate do, and the first one at its first.
#[derive(Debug)]
pub(super) struct Output {
    phases: [Phase; 2],
    pole: f32,
    /// Inputs from the first one on that is still needed.
    inputs: Vec<f32>,
    /// The next output, as the number of pairs of outputs behind `inputs`' begin, and which of the two.
    is_odd: bool,
    last: f32,
}

#[derive(Debug)]
struct Phase {
    taps: [f32; TAPS],
    /// Inputs before the first tap, counted from those that stand at three before each pair of outputs.
    first: usize,
}

impl Output {
    /// A stream of the full rate over `factor`, even, to two thirds of that, louder by `gain`.
    pub(super) fn new(factor: usize, gain: f64) -> Output {
        let (input, output) = (factor as f64, 1.5 * factor as f64);
        let reach = reach(output);
        // The first input that any tap of a phase is behind, relative to the first one of a pair.
        let last = |phase: usize| ((phase as f64 * output + reach - (input - 1.0) / 2.0) / input).floor() as i64;
        let earliest = last(0).min(last(1)) + 1 - TAPS as i64;
        let phase = |phase: usize| {
            let first = last(phase) + 1 - TAPS as i64;
            let tap = |tap: usize| {
                let place = input * (first + tap as i64) as f64 + (input - 1.0) / 2.0;
                let distance = phase as f64 * output - place;
                let steps = 1.5 * input;
                let sum: f64 = (0..steps as i32)
                    .map(|step| EMPHASIS.powi(step) * low_pass(distance - f64::from(step), output))
                    .sum();
                (sum * input * gain / FULL_SCALE) as f32
            };
            Phase { taps: std::array::from_fn(tap), first: (first - earliest) as usize }
        };
        Output {
            phases: [phase(0), phase(1)],
            pole: EMPHASIS.powi(output as i32) as f32,
            inputs: vec![0.0; -earliest as usize],
            is_odd: false,
            last: 0.0,
        }
    }

    /// Takes inputs and appends the outputs that they are enough for.
    pub(super) fn push(&mut self, inputs: &[f32], out: &mut Vec<f32>) {
        self.inputs.extend_from_slice(inputs);
        self.produce(out);
    }

    /// Appends the outputs up to the last input, as if silence followed.
    pub(super) fn finish(&mut self, missing: usize, out: &mut Vec<f32>) {
        let (inputs, wanted) = (self.inputs.len(), out.len() + missing);
        let mut silence = 0;
        while out.len() < wanted {
            self.inputs.push(0.0);
            silence += 1;
            self.produce(out);
        }
        debug_assert!(silence <= inputs + 2 * TAPS);
        self.inputs.truncate(self.inputs.len() - silence);
    }

    fn produce(&mut self, out: &mut Vec<f32>) {
        let mut at = 0;
        loop {
            let Phase { taps, first } = &self.phases[usize::from(self.is_odd)];
            let Some(inputs) = self.inputs.get(at + first..).and_then(<[f32]>::first_chunk::<TAPS>) else { break };
            self.last = self.last * self.pole + product(taps, inputs);
            out.push(self.last);
            // A pair of outputs for three inputs.
            at += if self.is_odd { 3 } else { 0 };
            self.is_odd = !self.is_odd;
        }
        self.inputs.drain(..at);
    }
}

fn product(taps: &[f32; TAPS], inputs: &[f32; TAPS]) -> f32 {
    let (taps, inputs) = (taps.as_chunks::<LANES>().0, inputs.as_chunks::<LANES>().0);
    let mut sums = [0.0; LANES];
    for (taps, inputs) in taps.iter().zip(inputs) {
        for (sum, (tap, input)) in sums.iter_mut().zip(taps.iter().zip(inputs)) {
            *sum += tap * input;
        }
    }
    sums.iter().sum()
}

/// How far the low-pass reaches, in samples of the full rate (Kaiser's formula).
fn reach(step: f64) -> f64 {
    (ATTENUATION_DB - 7.95) / (14.36 * (STOP - PASS)) * step / 2.0
}

/// The impulse response of a low-pass for a rate whose samples are `step` apart.
fn low_pass(place: f64, step: f64) -> f64 {
    let reach = reach(step);
    if place.abs() >= reach {
        return 0.0;
    }
    let edge = (PASS + STOP) / step;
    let ideal = if place == 0.0 { edge } else { (PI * edge * place).sin() / (PI * place) };
    let shape = 0.1102 * (ATTENUATION_DB - 8.7);
    ideal * bessel_i0(shape * (1.0 - (place / reach).powi(2)).sqrt()) / bessel_i0(shape)
}

/// The modified Bessel function of order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    const TERMS: u32 = 50;
    let step = |(sum, term): (f64, f64), k: u32| {
        let term = term * (x / 2.0 / f64::from(k)).powi(2);
        (sum + term, term)
    };
    (1..=TERMS).fold((1.0, 1.0), step).0
}
