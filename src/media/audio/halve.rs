//! Mono at half its rate: what is far above the target's band goes before the block FFT, which then has a quarter to do.
//!
//! A half-band filter is zero at every second tap but the middle one, which is ½, and symmetric: of the samples with an even number
//! only the middle one counts, of those with an odd number pairs share a tap.
//!
//! ```text
//! out[m] = ½ in[2m] + Σ tap[j] · (in[2m − 1 − 2j] + in[2m + 1 + 2j])      j = 0 … taps − 1
//! ```

use std::f64::consts::PI;

use crate::units::SampleRate;

/// How far below the signal everything stays that folds into the target's band, in dB. Half-band filters ripple as much in the pass
/// band as they leave in the stop band, and several stages add up: 90 dB are promised.
const ATTENUATION_DB: f64 = 105.0;
/// Samples computed at once, in registers.
const LANES: usize = 16;
/// A source is halved only while that leaves it this share of the target's rate, in quarters: below five of them the filter would be
/// longer than the FFT is dear.
const QUARTERS_MIN: u32 = 5;

/// Halves the rate of a stream without delay.
pub(super) struct Halver {
    taps: Vec<f32>,
    /// An input sample whose neighbour is still to come: they go in pairs.
    waiting: Option<f32>,
    /// Input samples with even and odd numbers that are still needed: the odd ones reach as many back as there are taps.
    evens: Vec<f32>,
    odds: Vec<f32>,
    halved: Vec<f32>,
}

impl Halver {
    /// Halvers for the way from one rate to another, in order, and the rate behind them.
    pub(super) fn chain(from: SampleRate, to: SampleRate) -> (Vec<Halver>, SampleRate) {
        let mut halvers = Vec::new();
        let mut rate = from;
        while let Some(half) = halved_rate(rate, to) {
            halvers.push(Halver::new(rate, to));
            rate = half;
        }
        (halvers, rate)
    }

    /// Keeps what a target can hold clean: up to half its rate nothing is lost and nothing folds in.
    fn new(rate: SampleRate, target: SampleRate) -> Halver {
        let taps = taps(f64::from(rate.hz()), f64::from(target.hz()));
        let odds = vec![0.0; taps.len()];
        Halver { taps, waiting: None, evens: Vec::new(), odds, halved: Vec::new() }
    }

    /// Takes samples and returns what is ready of their half. The rest comes when as many samples followed as the filter is long.
    pub(super) fn push(&mut self, samples: &[f32]) -> &[f32] {
        self.take(samples);
        let reach = self.taps.len();
        let ready = self.evens.len().min((self.odds.len() + 1).saturating_sub(2 * reach));
        let ready = ready - ready % LANES;
        self.halved.clear();
        for at in (0..ready).step_by(LANES) {
            let block = self.filter(at);
            self.halved.extend_from_slice(&block);
        }
        self.evens.drain(..ready);
        self.odds.drain(..ready);
        &self.halved
    }

    fn take(&mut self, samples: &[f32]) {
        let mut rest = samples;
        if let (Some(even), [odd, behind @ ..]) = (self.waiting, rest) {
            self.evens.push(even);
            self.odds.push(*odd);
            self.waiting = None;
            rest = behind;
        }
        let (pairs, last) = rest.as_chunks::<2>();
        self.evens.extend(pairs.iter().map(|[even, _]| even));
        self.odds.extend(pairs.iter().map(|[_, odd]| odd));
        if let [even] = last {
            self.waiting = Some(*even);
        }
    }

    /// Output samples from `at` on, where all that they need is there.
    fn filter(&self, at: usize) -> [f32; LANES] {
        let reach = self.taps.len();
        // From the middle outwards on both sides.
        let before = self.odds.get(at..at + reach + LANES - 1).unwrap_or_default().windows(LANES).rev();
        let behind = self.odds.get(at + reach..).unwrap_or_default().windows(LANES);
        let mut sums = lanes(&self.evens, at).map(|even| 0.5 * even);
        for (tap, (before, behind)) in self.taps.iter().zip(before.zip(behind)) {
            for (sum, (a, b)) in sums.iter_mut().zip(before.iter().zip(behind)) {
                *sum += tap * (a + b);
            }
        }
        sums
    }
}

fn lanes(samples: &[f32], at: usize) -> [f32; LANES] {
    samples.get(at..).and_then(<[f32]>::first_chunk).copied().unwrap_or_default()
}

/// Half a rate, where halving pays and gives a whole number.
fn halved_rate(rate: SampleRate, target: SampleRate) -> Option<SampleRate> {
    let half = SampleRate::new(rate.hz() / 2)?;
    (rate.hz().is_multiple_of(2) && QUARTERS_MIN * target.hz() <= 4 * half.hz()).then_some(half)
}

/// One side of the taps beside the middle: a sinc under a Kaiser window (Kaiser, "Nonrecursive digital filter design using the
/// I₀-sinh window function", 1974, for its length and shape), with a gain of exactly one at 0 Hz.
fn taps(rate: f64, target: f64) -> Vec<f32> {
    // From the target's band to where its image would begin.
    let transition = (rate / 2.0 - target) / rate;
    let length = (ATTENUATION_DB - 7.95) / (14.36 * transition);
    let count = (length / 4.0 + 0.5).ceil() as usize;
    let shape = 0.1102 * (ATTENUATION_DB - 8.7);
    let half = 2.0 * count as f64;
    let tap = |pair: usize| {
        let offset = (2 * pair + 1) as f64;
        let window = bessel_i0(shape * (1.0 - (offset / half).powi(2)).sqrt()) / bessel_i0(shape);
        window * (PI * offset / 2.0).sin() / (PI * offset)
    };
    let taps: Vec<f64> = (0..count).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    // Both sides together make the other half of the gain.
    taps.iter().map(|tap| (tap * 0.25 / sum) as f32).collect()
}

/// The modified Bessel function of order zero, by its series; the terms vanish long before the last for every shape here.
fn bessel_i0(x: f64) -> f64 {
    const TERMS: u32 = 50;
    let step = |(sum, term): (f64, f64), k: u32| {
        let term = term * (x / 2.0 / f64::from(k)).powi(2);
        (sum + term, term)
    };
    (1..=TERMS).fold((1.0, 1.0), step).0
}
