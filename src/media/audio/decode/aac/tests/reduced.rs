//! The reduced rate against the full one: every place, every length.

use std::f64::consts::PI;

use super::{super::Heard, FILES, decode, fixture, packets, snr, stream_of};

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
        let file = fixture(name);
        let packets = packets(&file);
        let (full, frames) = decode(stream_of(&file, 1, Heard::ALL), &packets);
        assert_eq!((full.len(), frames), (packets.len() * 1024, packets.len() * 1024));
        for (factor, least) in [(4, 68.0), (2, 90.0)] {
            for start in (0..2 * factor).chain([1_024, 2_047, 2_050, 5_001]) {
                let heard = Heard { start: start as u64, length: None };
                let (reduced, frames) = decode(stream_of(&file, factor, heard), &packets);
                assert_eq!(frames, full.len() - start);
                assert_eq!(reduced.len(), frames.div_ceil(factor));
                let expected = filtered(&full, 44_100, start, factor, reduced.len());
                let actual = filtered(&reduced, 44_100 / factor as u32, 0, 1, reduced.len());
                // A delay of a fiftieth of a sample of 8 kHz would leave 36 dB of a tone of 1 kHz.
                let edge = (FILTER * 44_100.0) as usize;
                let inner = edge..expected.len() - edge;
                let snr = snr(&expected[inner.clone()], &actual[inner]);
                assert!(snr > least, "{name} cut at {start}, reduced by {factor}: {snr} dB");
            }
        }
    }
}

#[test]
fn lengths_are_exact_wherever_the_audio_is_cut() {
    let file = fixture("chirp.aac");
    let packets = packets(&file);
    let total = packets.len() * 1024;
    for start in [0usize, 1, 1_023, 1_024, 2_051, 9_999, total - 1, total, total + 5] {
        for length in [0usize, 1, 3, 1_024, 7_777, total] {
            for factor in [4, 2, 1] {
                let heard = Heard { start: start as u64, length: Some(length as u64) };
                let (samples, frames) = decode(stream_of(&file, factor, heard), &packets);
                assert_eq!(frames, length.min(total.saturating_sub(start)), "{start} + {length}");
                assert_eq!(samples.len(), frames.div_ceil(factor), "{start} + {length}");
            }
        }
    }
}
