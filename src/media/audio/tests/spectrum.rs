//! The telephone band through mix and resampling, before anything is rounded: swept tones against computed ones (`spec/media.md` §3).

use std::f64::consts::TAU;

use crate::{
    media::{
        audio::{
            mix::{self, Layout},
            resample::Resampler,
        },
        format::Channel,
    },
    units::{Channels, SampleRate},
};

const SOURCES: [u32; 9] = [11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
const TARGETS: [u32; 2] = [8_000, 16_000];
const BAND: (f64, f64) = (20.0, 3_400.0);
const SECONDS: f64 = 2.0;
/// A window in which levels are compared, in seconds.
const WINDOW: f64 = 0.02;
/// Sweeps fade over this at both ends, and are judged between.
const FADE: f64 = 0.05;

/// A sweep on both channels through mix and resampling, with all that comes out behind its end.
fn through(sweep: impl Fn(f64) -> f64, from: u32, to: u32) -> Vec<f64> {
    let frames = (SECONDS * f64::from(from)) as usize;
    let interleaved: Vec<f32> = (0..frames).flat_map(|n| [sweep(n as f64 / f64::from(from)) as f32; 2]).collect();
    let mut mono = Vec::new();
    mix::mix(&Layout::wave_default(Channels::STEREO), Channel::Mix, &interleaved, &mut mono);
    let mut resampler = Resampler::new(SampleRate::new(from).unwrap(), SampleRate::new(to).unwrap()).unwrap();
    let mut out = Vec::new();
    // Pieces of all sizes, as decoders give them.
    for piece in mono.chunks(1_152) {
        resampler.push(piece, &mut out).unwrap();
    }
    let wanted = (SECONDS * f64::from(to)) as u64;
    resampler.finish(wanted.saturating_sub(out.len() as u64), &mut out).unwrap();
    out.iter().map(|sample| f64::from(*sample)).collect()
}

fn sweep(from: f64, to: f64) -> impl Fn(f64) -> f64 {
    move |t| {
        let fade = (t.min(SECONDS - t) / FADE).clamp(0.0, 1.0);
        let fade = (fade * TAU / 4.0).sin().powi(2);
        fade * (TAU * (from * t + (to - from) * t * t / (2.0 * SECONDS))).sin()
    }
}

fn decibels(power: f64) -> f64 {
    10.0 * power.max(1e-30).log10()
}

fn energy(samples: &[f64]) -> f64 {
    samples.iter().map(|sample| sample * sample).sum()
}

fn ways() -> impl Iterator<Item = (u32, u32)> {
    SOURCES.into_iter().flat_map(|from| TARGETS.map(|to| (from, to))).filter(|(from, to)| from != to)
}

#[test]
fn the_telephone_band_is_flat_and_clean_from_every_rate() {
    for (from, to) in ways() {
        let tone = sweep(BAND.0, BAND.1);
        let heard = through(&tone, from, to);
        let computed: Vec<f64> = (0..heard.len()).map(|n| tone(n as f64 / f64::from(to))).collect();
        let noise: Vec<f64> = heard.iter().zip(&computed).map(|(heard, computed)| heard - computed).collect();
        let snr = decibels(energy(&computed) / energy(&noise));
        assert!(snr > 80.0, "{from} -> {to}: {snr} dB");
        let window = (WINDOW * f64::from(to)) as usize;
        let edge = (FADE * f64::from(to)) as usize;
        let inner = edge..heard.len() - edge;
        for (at, (heard, computed)) in
            heard[inner.clone()].chunks_exact(window).zip(computed[inner].chunks_exact(window)).enumerate()
        {
            let level = decibels(energy(heard) / energy(computed));
            assert!(level.abs() < 0.1, "{from} -> {to}, window {at}: {level} dB");
        }
    }
}

#[test]
fn what_the_target_cannot_hold_stays_out_by_ninety_decibels() {
    for (from, to) in ways().filter(|(from, to)| to < from) {
        // From where the FFT's transition has ended to just below what the source can hold.
        let above = sweep(f64::from(to) * 0.5125, f64::from(from) * 0.499);
        let heard = through(&above, from, to);
        let window = (WINDOW * f64::from(to)) as usize;
        // A tone that fades is no longer at its place alone.
        let edge = (FADE * f64::from(to)) as usize;
        for (at, heard) in heard[edge..heard.len() - edge].chunks_exact(window).enumerate() {
            // Against the sine's own power, ½.
            let alias = decibels(2.0 * energy(heard) / window as f64);
            assert!(alias < -90.0, "{from} -> {to}, window {at}: {alias} dB");
        }
    }
}

#[test]
fn no_image_of_the_band_appears_when_the_rate_goes_up() {
    for (from, to) in [(8_000, 16_000), (8_000, 48_000), (11_025, 48_000), (16_000, 48_000), (44_100, 48_000)] {
        let tone = sweep(BAND.0, BAND.1);
        let heard = through(&tone, from, to);
        let computed: Vec<f64> = (0..heard.len()).map(|n| tone(n as f64 / f64::from(to))).collect();
        let noise: Vec<f64> = heard.iter().zip(&computed).map(|(heard, computed)| heard - computed).collect();
        let snr = decibels(energy(&computed) / energy(&noise));
        assert!(snr > 90.0, "{from} -> {to}: {snr} dB");
    }
}
