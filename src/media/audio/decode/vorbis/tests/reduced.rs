//! The reduced rate against the full one: every place, every length.

use std::f64::consts::PI;

use super::{FILES, Packets, fixture, snr};
use crate::units::SampleRate;

/// Half the length of the filter that both rates are compared through, in seconds.
const FILTER: f64 = 0.01;

/// A low-pass for 3.4 kHz as a function of time, so that every rate has the same.
fn low_pass(t: f64) -> f64 {
    if t.abs() >= FILTER {
        return 0.0;
    }
    let ideal = if t == 0.0 { 6_800.0 } else { (PI * 6_800.0 * t).sin() / (PI * t) };
    ideal * (0.42 + 0.5 * (PI * t / FILTER).cos() + 0.08 * (2.0 * PI * t / FILTER).cos())
}

/// The filtered signal at `count` places: `first` and every `step` samples after it.
fn filtered(samples: &[f64], hz: u32, first: usize, step: usize, count: usize) -> Vec<f64> {
    let rate = f64::from(hz);
    let half = (FILTER * rate) as usize;
    let taps: Vec<f64> = (0..=2 * half).map(|tap| low_pass((tap as f64 - half as f64) / rate) / rate).collect();
    let at = |index: usize| index.checked_sub(half).and_then(|index| samples.get(index)).copied().unwrap_or(0.0);
    let place = |n: usize| first + n * step;
    (0..count).map(|n| taps.iter().enumerate().map(|(tap, gain)| gain * at(place(n) + tap)).sum()).collect()
}

#[test]
fn a_cut_anywhere_leaves_every_sample_in_its_place() {
    for name in FILES {
        let packets = Packets::of(&fixture(name));
        let hz = packets.head.hz;
        let (full, frames) = packets.decode(SampleRate::HZ_48000, 0);
        assert_eq!(full.len(), frames);
        for target in [SampleRate::HZ_8000, SampleRate::HZ_16000] {
            let factor = super::factor(&packets.head, target);
            for start in (0..2 * factor).step_by(3) {
                let (reduced, frames) = packets.decode(target, start as u64);
                assert_eq!(frames, full.len() - start);
                assert_eq!(reduced.len(), frames.div_ceil(factor));
                let expected = filtered(&full, hz, start, factor, reduced.len());
                let actual = filtered(&reduced, hz / factor as u32, 0, 1, reduced.len());
                let edge = (FILTER * f64::from(hz)) as usize;
                let inner = edge..expected.len() - edge;
                let snr = snr(&expected[inner.clone()], &actual[inner]);
                // A delay of a fiftieth of a sample of 8 kHz would leave 36 dB of a tone of 1 kHz.
                assert!(snr > 95.0, "{name} cut at {start}, reduced by {factor}: {snr} dB");
            }
        }
    }
}

#[test]
fn rates_are_reduced_as_far_as_their_windows_allow() {
    let packets = Packets::of(&fixture("chirp-44k-stereo.ogg"));
    let factor = |hz: u32, sizes: [usize; 2], target: SampleRate| {
        super::factor(&super::Identification { hz, sizes, ..packets.head }, target)
    };
    let usual = [256, 2_048];
    let (narrow, wide) = (SampleRate::HZ_8000, SampleRate::HZ_16000);
    assert_eq!([48_000, 44_100].map(|hz| factor(hz, usual, narrow)), [4, 4]);
    assert_eq!([48_000, 44_100, 32_000].map(|hz| factor(hz, usual, wide)), [2, 2, 2]);
    assert_eq!([32_000, 22_050, 16_000, 8_000].map(|hz| factor(hz, usual, narrow)), [2, 2, 2, 1]);
    // Half of 22.05 kHz is no rate of whole hertz at a quarter, and less than 16 kHz at a half.
    assert_eq!([24_000, 22_050, 11_025].map(|hz| factor(hz, usual, wide)), [1, 1, 1]);
    assert_eq!(factor(44_100, [64, 64], narrow), 2);
    assert_eq!(factor(44_100, usual, SampleRate::HZ_24000), 1);
}
