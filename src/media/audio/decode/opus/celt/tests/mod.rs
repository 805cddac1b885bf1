//! Stage by stage against the standard's formulas, and the whole against libopus.

mod oracle;
mod packets;
mod stages;

use std::f64::consts::{PI, TAU};

use super::{Decoder, Mix};
use crate::media::audio::decode::{opus::testing, random::Random};

/// Targets that there is a decoder for, in hertz.
const RATES: [u32; 1] = [8_000];

/// What is decoded of both channels.
const MIX: Mix = Mix { gains: [0.5, 0.5], may_invert: false };

/// The samples of packets at the target's rate, and the decoder behind them.
fn decode(packets: &[Vec<u8>], hz: u32, mix: Mix) -> Vec<f32> {
    let mut decoder = Decoder::new(hz, mix, 1.0).unwrap();
    let mut samples = Vec::new();
    for packet in packets {
        decoder.decode(packet, &mut samples).unwrap();
    }
    decoder.finish(&mut samples);
    assert_eq!(decoder.late(), 0);
    samples
}

/// Half the length of the filter that both are compared through, in seconds, and the band at 8 kHz: the filter falls over 180 Hz.
const FILTER: f64 = 0.015;
const BAND: [f64; 2] = [100.0, 3_350.0];

/// What of `samples` lies in the band, `scale` times as wide and high, every `step` samples from the first to the last that the filter
/// has room around.
fn heard(samples: &[f32], hz: f64, step: usize, scale: f64) -> Vec<f64> {
    let half = (FILTER * hz) as usize;
    let tap = |t: f64| {
        let low_pass = |hz: f64| if t == 0.0 { 2.0 * hz } else { (TAU * hz * t).sin() / (PI * t) };
        let place = PI * t / FILTER;
        let window = 0.42 + 0.5 * place.cos() + 0.08 * (2.0 * place).cos();
        window * (low_pass(BAND[1] * scale) - low_pass(BAND[0])) / hz
    };
    let taps: Vec<f64> = (0..=2 * half).map(|n| tap((n as f64 - half as f64) / hz)).collect();
    let at = |samples: &[f32]| samples.iter().zip(&taps).map(|(sample, tap)| f64::from(*sample) * tap).sum();
    samples.windows(taps.len()).step_by(step).map(at).collect()
}

/// Signal against difference in the telephone band, in dB: `full` has 48 kHz. Every fifth instant of the target's is compared.
fn snr(full: &[f32], ours: &[f32], hz: u32) -> f64 {
    let (step, scale) = (48_000 / hz as usize, f64::from(hz) / 8_000.0);
    assert_eq!(full.len(), ours.len() * step);
    let (full, ours) = (heard(full, 48_000.0, 5 * step, scale), heard(ours, f64::from(hz), 5, scale));
    let signal: f64 = full.iter().map(|sample| sample * sample).sum();
    let noise: f64 = full.iter().zip(&ours).map(|(a, b)| (a - b) * (a - b)).sum();
    10.0 * (signal / noise.max(1e-30)).log10()
}
