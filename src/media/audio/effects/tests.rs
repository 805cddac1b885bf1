//! Each effect by itself, against its definition computed another way.

use std::io;

use proptest::prelude::*;

use super::{Effects, Levelled, Sink};
use crate::{
    media::{
        audio::{AudioError, Scratch},
        format::Format,
    },
    units::SampleRate,
};

/// What came out, and how often it was asked for a place for samples.
#[derive(Default)]
struct Heard {
    samples: Vec<f32>,
    scratches: usize,
}

impl Sink for Heard {
    fn take(&mut self, samples: &[f32]) -> Result<(), AudioError> {
        self.samples.extend_from_slice(samples);
        Ok(())
    }

    fn scratch(&mut self) -> Result<Box<dyn Scratch>, AudioError> {
        self.scratches += 1;
        Ok(Box::new(Memory(Vec::new())))
    }
}

struct Memory(Vec<u8>);

impl Scratch for Memory {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn read_at(&mut self, offset: u64, room: &mut [u8]) -> io::Result<()> {
        room.copy_from_slice(&self.0[offset as usize..][..room.len()]);
        Ok(())
    }
}

/// Runs samples through options at 8 kHz in pieces of these sizes, over and over.
fn through(options: &[(&str, &str)], samples: &[f32], pieces: &[usize]) -> (Heard, Option<Levelled>) {
    let format = Format::parse("sln", options).unwrap();
    let mut effects = Effects::new(format.effects(), SampleRate::HZ_8000).unwrap();
    let mut heard = Heard::default();
    let mut rest = samples;
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(rest.len().min((*piece).max(1)));
        effects.push(now, &mut heard).unwrap();
        rest = later;
    }
    let levelled = effects.finish(&mut heard).unwrap();
    (heard, levelled)
}

fn whole(options: &[(&str, &str)], samples: &[f32]) -> Vec<f32> {
    through(options, samples, &[usize::MAX]).0.samples
}

/// −50 dBFS.
const THRESHOLD: f32 = 0.003_162_277_7;
/// 50 ms.
const MARGIN: usize = 400;

/// Runs of sound and silence, quiet noise being silence as well.
fn clips() -> impl Strategy<Value = Vec<f32>> {
    let run = (0..4u8, 1..1_500usize, any::<u32>()).prop_map(|(kind, length, seed)| {
        let mut state = seed;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..length)
            .map(|_| match kind {
                0 => 0.0,
                1 => random() * THRESHOLD * 0.99,
                _ => random(),
            })
            .collect::<Vec<f32>>()
    });
    prop::collection::vec(run, 0..8).prop_map(|runs| runs.concat())
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..3_000usize, 1..6)
}

/// The definition of trimming, all at once.
fn trimmed<'a>(samples: &'a [f32], edges: &str) -> &'a [f32] {
    let is_sound = |sample: &f32| sample.abs() >= THRESHOLD;
    let (Some(first), Some(last)) = (samples.iter().position(is_sound), samples.iter().rposition(is_sound)) else {
        return &[];
    };
    let start = if edges == "trailing" { 0 } else { first.saturating_sub(MARGIN) };
    let end = if edges == "leading" { samples.len() } else { samples.len().min(last + 1 + MARGIN) };
    &samples[start..end]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn trimming_cuts_the_ends_and_nothing_else(clip in clips(), pieces in pieces()) {
        for edges in ["leading", "trailing", "both"] {
            let (heard, _) = through(&[("trim", edges)], &clip, &pieces);
            prop_assert!(heard.samples == trimmed(&clip, edges), "{edges}: {} of {}", heard.samples.len(), clip.len());
        }
    }

    #[test]
    fn gain_is_a_factor_and_saturates(clip in clips(), tenths in -600i32..=300, pieces in pieces()) {
        let text = format!("{}", f64::from(tenths) / 10.0);
        let (heard, _) = through(&[("gain", &text)], &clip, &pieces);
        // Twenty decibels are a factor of ten.
        let factor = (f64::from(tenths) / 200.0 * std::f64::consts::LN_10).exp();
        prop_assert_eq!(heard.samples.len(), clip.len());
        for (before, after) in clip.iter().zip(&heard.samples) {
            let expected = (f64::from(*before) * factor).clamp(-1.0, 1.0);
            prop_assert!((f64::from(*after) - expected).abs() <= expected.abs() * 2e-7, "{before} became {after}, not {expected}");
        }
    }

    #[test]
    fn pieces_change_nothing(clip in clips(), pieces in pieces(), target in -700i32..=0, gain in -100i32..=100) {
        let (target, gain) = (format!("{}", f64::from(target) / 10.0), format!("{}", f64::from(gain) / 10.0));
        let options = [("loudness", target.as_str()), ("gain", gain.as_str()), ("trim", "both:-40")];
        for count in 1..=options.len() {
            let (heard, levelled) = through(&options[..count], &clip, &pieces);
            let (expected, at_once) = through(&options[..count], &clip, &[usize::MAX]);
            prop_assert!(heard.samples == expected.samples, "{:?}", &options[..count]);
            prop_assert_eq!(levelled, at_once);
        }
    }

    #[test]
    fn a_loudness_is_one_gain_for_the_whole_and_keeps_below_the_ceiling(clip in clips(), target in -700i32..=0) {
        let target_text = format!("{}", f64::from(target) / 10.0);
        let (heard, levelled) = through(&[("loudness", &target_text)], &clip, &[usize::MAX]);
        let levelled = levelled.unwrap();
        let factor = 10f64.powf(f64::from(levelled.applied) / 2_000.0);
        for (before, after) in clip.iter().zip(&heard.samples) {
            prop_assert!((f64::from(*before) * factor - f64::from(*after)).abs() <= 1e-6, "{before} {after} {levelled:?}");
        }
        let peak = heard.samples.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
        let ceiling = 10f32.powf(-1.0 / 20.0);
        prop_assert!(peak <= ceiling * 1.000_001, "{peak} {levelled:?}");
        match levelled.measured {
            None => prop_assert!(levelled.applied <= 0),
            Some(measured) if levelled.limited => {
                // Just below the ceiling: nothing is given away.
                prop_assert!(peak > ceiling * 0.998 && levelled.applied < target * 10 - measured, "{peak} {levelled:?}");
            }
            Some(measured) => prop_assert_eq!(levelled.applied, target * 10 - measured),
        }
    }
}

/// A kilohertz at an amplitude: BS.1770 weighs it by +0.69 dB less 0.691, so that its loudness is its power.
fn tone(amplitude: f64, samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|n| (amplitude * (n as f64 / 8_000.0 * 1_000.0 * std::f64::consts::TAU + 0.1).sin()) as f32)
        .collect()
}

#[test]
fn a_tone_is_as_loud_as_its_power_however_short() {
    for milliseconds in [30, 100, 250, 399, 400, 401, 1_000, 5_000] {
        for decibels in [-6.0, -20.0, -43.0] {
            let amplitude = 10f64.powf(decibels / 20.0);
            let (_, levelled) = through(&[("loudness", "-30")], &tone(amplitude, milliseconds * 8), &[777]);
            let measured = f64::from(levelled.unwrap().measured.unwrap()) / 100.0;
            // A sine of amplitude 1 has a power of −3.01 dB. The filter's own start counts in the shortest.
            let tolerance = if milliseconds < 100 { 0.5 } else { 0.15 };
            let expected = decibels - 3.01;
            assert!((measured - expected).abs() < tolerance, "{milliseconds} ms at {decibels} dB: {measured} LUFS");
        }
    }
}

#[test]
fn gain_comes_on_top_of_the_loudness_and_below_the_ceiling() {
    let clip = tone(0.05, 8_000);
    let plain = through(&[("loudness", "-30")], &clip, &[500]).1.unwrap();
    let more = through(&[("loudness", "-30"), ("gain", "4.5")], &clip, &[500]).1.unwrap();
    assert_eq!((more.measured, more.applied, more.limited), (plain.measured, plain.applied + 450, false));
    let most = through(&[("loudness", "-30"), ("gain", "30")], &clip, &[500]).1.unwrap();
    assert!(most.limited && most.applied < plain.applied + 3_000, "{most:?}");
}

#[test]
fn silence_and_nothing_stay_what_they_are() {
    let hiss: Vec<f32> = tone(1e-4, 16_000);
    for clip in [Vec::new(), vec![0.0; 10_000], hiss] {
        let (heard, levelled) = through(&[("loudness", "-16")], &clip, &[300]);
        let levelled = levelled.unwrap();
        assert_eq!((levelled.measured, levelled.applied, levelled.limited), (None, 0, false));
        assert!(heard.samples == clip);
        for edges in ["leading", "trailing", "both"] {
            assert!(whole(&[("trim", edges)], &clip).is_empty());
        }
    }
}

#[test]
fn long_silence_waits_elsewhere_and_comes_back_bit_for_bit() {
    // 25 s of noise below the threshold, four times what waits in memory, between two sounds; twice, so that the place is made anew.
    let mut state = 1u32;
    let quiet: Vec<f32> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * THRESHOLD * 0.9
    })
    .take(200_000)
    .collect();
    let sound = tone(0.5, 800);
    let clip = [sound.as_slice(), &quiet, &sound, &quiet, &sound].concat();
    for pieces in [vec![usize::MAX], vec![160], vec![65_536], vec![7_001, 100_003]] {
        let (heard, _) = through(&[("trim", "both")], &clip, &pieces);
        assert!(heard.samples == trimmed(&clip, "both"), "{pieces:?}: {} of {}", heard.samples.len(), clip.len());
        assert_eq!(heard.scratches, if pieces == [usize::MAX] { 0 } else { 2 }, "{pieces:?}");
        let (heard, levelled) = through(&[("trim", "both"), ("loudness", "-30")], &clip, &pieces);
        let factor = 10f64.powf(f64::from(levelled.unwrap().applied) / 2_000.0) as f32;
        assert!(heard.samples.iter().zip(&clip).all(|(after, before)| *after == before * factor));
    }
}

#[test]
fn a_threshold_of_ones_own_decides_what_is_silence() {
    let clip = [tone(0.02, 4_000), tone(0.5, 4_000), tone(0.02, 4_000)].concat();
    assert_eq!(whole(&[("trim", "both")], &clip).len(), 12_000);
    let loud = whole(&[("trim", "both:-30")], &clip).len();
    assert!((4_000..4_000 + 2 * MARGIN + 10).contains(&loud), "{loud}");
}
