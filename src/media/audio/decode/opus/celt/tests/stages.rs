//! Single stages against formulas.

use std::{
    collections::HashSet,
    f64::consts::{PI, TAU},
};

use super::{
    super::{
        frame::Pitch,
        output::Output,
        post_filter::PostFilter,
        pulses::{codewords, vector},
        range::RangeDecoder,
        resolution::{Order, haar, unspread},
        theta::{RIGHT_ANGLE, Theta},
        transform::Synthesis,
    },
    Random,
};

#[test]
fn every_codeword_has_a_vector_of_its_own() {
    for (length, pulses) in [(2, 1), (2, 9), (3, 4), (4, 3), (5, 5), (6, 2), (8, 3), (16, 2), (4, 12)] {
        let mut seen = HashSet::new();
        for codeword in 0..codewords(length, pulses) {
            let mut shape = vec![f32::NAN; length];
            let squares = vector(codeword, pulses, &mut shape);
            assert_eq!(shape.iter().map(|line| line.abs()).sum::<f32>(), pulses as f32);
            assert_eq!(shape.iter().map(|line| line * line).sum::<f32>(), squares);
            seen.insert(shape.iter().map(|line| *line as i32).collect::<Vec<_>>());
        }
        assert_eq!(seen.len(), codewords(length, pulses) as usize, "{length} {pulses}");
    }
    // RFC 6716 §4.3.4.2: V(N, K) of some larger ones.
    assert_eq!([codewords(4, 4), codewords(10, 3), codewords(176, 2)], [192, 1_340, 61_952]);
}

#[test]
fn the_first_codewords_begin_with_the_most() {
    let shape = |codeword| {
        let mut shape = [0.0; 3];
        vector(codeword, 2, &mut shape);
        shape
    };
    assert_eq!(shape(0), [2.0, 0.0, 0.0]);
    assert_eq!(shape(5), [0.0, 2.0, 0.0]);
    assert_eq!(shape(13), [-2.0, 0.0, 0.0]);
}

#[test]
fn a_frame_of_zeros_is_read_to_its_end_and_beyond() {
    let mut range = RangeDecoder::new(&[0; 4]);
    assert_eq!(range.tell(), 1);
    for _ in 0..100 {
        range.bit(3);
        range.uniform(1_000);
        range.raw(9);
    }
    assert!(range.tell() > range.size());
    assert!((range.tell_eighths() - 8 * range.tell()).abs() <= 8);
}

#[test]
fn angles_have_their_cosines() {
    for angle in (0..=RIGHT_ANGLE).step_by(64) {
        let theta = Theta::of(angle, 8);
        let radians = PI / 2.0 * f64::from(angle) / f64::from(RIGHT_ANGLE);
        assert!((f64::from(theta.middle()) - radians.cos()).abs() < 2e-4, "{angle}");
        assert!((f64::from(theta.side()) - radians.sin()).abs() < 2e-4, "{angle}");
    }
    assert_eq!(Theta::of(RIGHT_ANGLE / 2, 8).delta, 0);
}

fn random_lines(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.below(2_001) as f32 / 1_000.0 - 1.0).collect()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn changes_of_resolution_are_undone() {
    let mut random = Random(3);
    let lines = random_lines(&mut random, 48);
    for stride in [1, 2, 4, 8] {
        let mut twice = lines.clone();
        haar(&mut twice, stride);
        assert!(difference(&lines, &twice) > 0.1);
        haar(&mut twice, stride);
        assert!(difference(&lines, &twice) < 1e-6);
    }
    for blocks in [2, 4, 8, 16] {
        for is_hadamard in [false, true] {
            let order = Order { blocks, is_hadamard };
            let mut twice = lines.clone();
            order.by_block(&mut twice);
            assert!(difference(&lines, &twice) > 0.1);
            order.by_line(&mut twice);
            assert_eq!(lines, twice);
        }
    }
}

#[test]
fn spreading_keeps_the_length_and_fills_the_lines() {
    for (length, blocks) in [(16, 1), (32, 2), (96, 1), (64, 8)] {
        let mut shape = vec![0.0; length];
        shape[length / 2] = 1.0;
        unspread(&mut shape, blocks, 1, 2);
        let squares: f32 = shape.iter().map(|line| line * line).sum();
        assert!((squares - 1.0).abs() < 1e-5);
        assert!(shape.iter().filter(|line| line.abs() > 1e-4).count() > 3, "{length} {blocks}");
    }
    let mut shape = vec![1.0, 0.0, 0.0, 0.0];
    unspread(&mut shape, 1, 2, 2);
    assert_eq!(shape, [1.0, 0.0, 0.0, 0.0]);
}

/// The standard's inverse transform at the full rate, at a place between its samples.
fn sum_at(spectrum: &[f32], place: f64, length: usize) -> f64 {
    let scale = PI / length as f64;
    let cosine = |(line, value): (usize, &f32)| {
        f64::from(*value) * (scale * (place + 0.5 + length as f64 / 2.0) * (line as f64 + 0.5)).cos()
    };
    spectrum.iter().enumerate().map(cosine).sum()
}

#[test]
fn reduced_transforms_have_the_values_of_the_full_one() {
    let mut random = Random(11);
    for factor in [2, 4] {
        for size in 0..4 {
            let length = 120 << size;
            let mut spectrum = random_lines(&mut random, length);
            spectrum[length / factor..].fill(0.0);
            let mut synthesis = Synthesis::new(factor);
            let samples = synthesis.frame(&spectrum, size, false);
            // The first sample stands where the window begins, somewhat late.
            let begin = length as f64 / 2.0 - 60.0;
            for (n, sample) in samples.iter().enumerate() {
                let place = begin + (n * factor) as f64 + (factor as f64 - 1.0) / 2.0;
                let rising = (place + 0.5 - begin) / 120.0;
                let window = if rising < 1.0 { (PI / 2.0 * (PI / 2.0 * rising).sin().powi(2)).sin() } else { 1.0 };
                let expected = window * sum_at(&spectrum, place, length);
                assert!((f64::from(*sample) - expected).abs() < 1e-4, "{factor} {size} {n}: {sample} {expected}");
            }
        }
    }
}

#[test]
fn frames_of_short_blocks_are_those_blocks_one_after_the_other() {
    let mut random = Random(5);
    let spectrum = random_lines(&mut random, 960);
    let mut joined = Synthesis::new(4);
    let together = joined.frame(&spectrum, 3, true).to_vec();
    let mut apart = Synthesis::new(4);
    let mut one_by_one = Vec::new();
    for block in 0..8 {
        let lines: Vec<f32> = spectrum[block..].iter().copied().step_by(8).collect();
        let samples = apart.frame(&lines, 0, false);
        one_by_one.extend_from_slice(samples);
        apart.advance(30);
    }
    assert_eq!(together, one_by_one);
}

/// How much louder and how much later a tone is behind the filter, once it has settled: as a complex gain.
fn response(pitch: Pitch, factor: usize, hz: f64) -> [f64; 2] {
    let rate = 48_000.0 / factor as f64;
    let mut filter = PostFilter::new(factor);
    let (mut out, frame) = (Vec::new(), 960 / factor);
    for at in 0..60 {
        let tone: Vec<f32> = (0..frame).map(|n| (TAU * hz * (at * frame + n) as f64 / rate).cos() as f32).collect();
        out.extend_from_slice(filter.run(&tone, pitch));
        filter.advance(frame);
    }
    let settled = 40 * frame;
    let parts = out[settled..].iter().enumerate().fold([0.0; 2], |[re, im], (n, sample)| {
        let angle = TAU * hz * (settled + n) as f64 / rate;
        [re + f64::from(*sample) * angle.cos(), im - f64::from(*sample) * angle.sin()]
    });
    parts.map(|part| 2.0 * part / (out.len() - settled) as f64)
}

#[test]
fn the_post_filter_has_the_response_of_the_full_rate() {
    const SETS: [[f64; 3]; 3] =
        [[0.306_640_6, 0.217_041, 0.129_638_7], [0.463_867_2, 0.268_066_4, 0.0], [0.799_804_7, 0.100_097_7, 0.0]];
    for factor in [2, 4] {
        for (period, tap_set) in [(15, 2), (16, 0), (19, 1), (23, 2), (31, 0), (32, 1), (50, 2), (347, 0), (1_022, 1)] {
            for hz in [200.0, 1_300.0, 2_500.0, 3_400.0] {
                let pitch = Pitch { period, gain: 0.5625, tap_set };
                let w = TAU * hz / 48_000.0;
                let [near, next, far] = SETS[tap_set];
                let loop_gain = 0.5625 * (near + 2.0 * next * w.cos() + 2.0 * far * (2.0 * w).cos());
                let turn = w * period as f64;
                let (re, im) = (1.0 - loop_gain * turn.cos(), loop_gain * turn.sin());
                let size = re * re + im * im;
                let expected = [re / size, -im / size];
                let actual = response(pitch, factor, hz);
                let error = (actual[0] - expected[0]).hypot(actual[1] - expected[1]);
                // The loop rings where it is near one: errors grow with the gain.
                let allowed = 1.5e-3 * expected[0].hypot(expected[1]).powi(2).max(1.0);
                assert!(error < allowed, "{factor} {period} {tap_set} {hz}: {actual:?} {expected:?}");
            }
        }
    }
}

#[test]
fn no_post_filter_rings_for_ever() {
    for factor in [2, 4] {
        for period in 15..80 {
            for tap_set in 0..3 {
                let mut filter = PostFilter::new(factor);
                let pitch = Pitch { period, gain: 0.75, tap_set };
                let frame = 960 / factor;
                let mut click = vec![0.0; frame];
                for _ in 0..100 {
                    filter.run(&click, pitch);
                    filter.advance(frame);
                    click.fill(0.0);
                }
                click[0] = 1.0;
                filter.run(&click, pitch);
                filter.advance(frame);
                click[0] = 0.0;
                let mut last = 0.0;
                for _ in 0..100 {
                    last = filter.run(&click, pitch).iter().fold(0.0, |most: f32, sample| most.max(sample.abs()));
                    filter.advance(frame);
                }
                assert!(last < 1e-3, "{factor} {period} {tap_set}: {last}");
            }
        }
    }
}

/// A tone through the output stage: what comes out, and what it would be.
fn output_of(factor: usize, hz: f64) -> (Vec<f32>, impl Fn(usize) -> f64) {
    let rate = 48_000.0 / factor as f64;
    let mut output = Output::new(factor, 1.0);
    let place = move |n: usize| n as f64 * factor as f64 + (factor as f64 - 1.0) / 2.0;
    let tone: Vec<f32> =
        (0..(2.0 * rate) as usize).map(|n| (32_768.0 * (TAU * hz * place(n) / 48_000.0).cos()) as f32).collect();
    let mut samples = Vec::new();
    for part in tone.chunks(30) {
        output.push(part, &mut samples);
    }
    let w = TAU * hz / 48_000.0;
    let pole = 27_853.0 / 32_768.0;
    let (re, im) = (1.0 - pole * w.cos(), pole * w.sin());
    let (gain, turn) = (1.0 / re.hypot(im), im.atan2(re));
    (samples, move |n| gain * (w * (n * factor * 3 / 2) as f64 - turn).cos())
}

#[test]
fn the_output_is_flat_in_place_and_without_emphasis() {
    for factor in [2, 4] {
        let scale = 4.0 / factor as f64;
        for hz in [100.0, 1_000.0, 2_000.0, 3_400.0] {
            let (samples, expected) = output_of(factor, hz * scale);
            let settled = 500..samples.len();
            let (mut signal, mut noise) = (0.0, 0.0);
            for n in settled {
                signal += expected(n) * expected(n);
                noise += (f64::from(samples[n]) - expected(n)).powi(2);
            }
            let snr = 10.0 * (signal / noise).log10();
            assert!(snr > 80.0, "{factor} {hz}: {snr} dB");
        }
        // What would be folded below 3.66 of 8 kHz.
        for hz in [4_340.0, 4_700.0, 5_500.0] {
            let (samples, _) = output_of(factor, hz * scale);
            let loudest = samples[500..].iter().fold(0.0, |most: f32, sample| most.max(sample.abs()));
            assert!(20.0 * loudest.log10() < -80.0, "{factor} {hz}: {loudest}");
        }
    }
}

#[test]
fn finishing_gives_the_rest_and_leaves_the_stream_as_it_is() {
    let tone: Vec<f32> = (0..3_000).map(|n| (20_000.0 * (0.3 * n as f64).sin()) as f32).collect();
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    Output::new(4, 1.0).push(&tone, &mut whole);
    let mut output = Output::new(4, 1.0);
    output.push(&tone[..1_500], &mut parts);
    let missing = 1_000 - parts.len();
    assert!(missing < 40, "{missing}");
    output.finish(missing, &mut parts);
    output.push(&tone[1_500..], &mut parts);
    assert_eq!(parts.len(), whole.len());
    let settled = 1_000 + 60..;
    assert!(difference(&whole[settled.clone()], &parts[settled]) < 1e-4);
    assert!(difference(&whole[..900], &parts[..900]) < 1e-6);
}
