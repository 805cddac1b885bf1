//! Codebooks, windows, transform: what is computed against what the standard says.

use std::f64::consts::PI;

use super::{
    super::{
        bands::{LINES, SHORT_LINES},
        bits::{Bits, PADDING},
        codebooks::{SCALE_FACTORS, SHAPES, SPECTRAL},
        huffman::{BIAS, Tables, spectral_codes},
        transform::{Grid, Transform},
        window::{Windows, kaiser_bessel_derived, sine},
    },
    Random,
};

/// Every reduction and phase in use.
fn grids() -> impl Iterator<Item = Grid> {
    [1, 2, 4].into_iter().flat_map(|factor| (0..factor).map(move |phase| Grid { factor, phase }))
}

fn noise_bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes: Vec<u8> = (0..count).map(|_| (random.next() >> 24) as u8).collect();
    bytes.resize(count + PADDING, 0);
    bytes
}

#[test]
fn bits_are_read_from_the_most_significant_on() {
    let bytes = noise_bytes(4_000, 1);
    let expected = |at: usize, count: usize| {
        (at..at + count).fold(0u64, |value, bit| value << 1 | u64::from(bytes[bit / 8] >> (7 - bit % 8) & 1)) as u32
    };
    let mut bits = Bits::new(&bytes);
    let (mut random, mut at) = (Random(2), 0);
    while at < 31_000 {
        match random.below(8) {
            0 => {
                let count = random.below(100);
                bits.skip(count);
                at += count;
            }
            1 => {
                bits.align();
                at = at.next_multiple_of(8);
            }
            _ => {
                let count = random.below(33);
                assert_eq!(bits.take(count as u32), expected(at, count), "{count} at {at}");
                at += count;
            }
        }
        assert_eq!(bits.position(), at);
        assert!(bits.check().is_ok());
    }
    bits.skip(32_000 - at);
    assert!(bits.check().is_ok());
    assert_eq!(bits.take(1), 0);
    assert!(bits.check().is_err());
}

#[test]
fn codebooks_are_complete_and_name_every_value_once() {
    for (book, size) in SPECTRAL.iter().zip([81, 81, 81, 81, 81, 81, 64, 64, 169, 169, 289]) {
        let mut symbols = book.symbols.to_vec();
        symbols.sort_unstable();
        assert!(symbols.into_iter().eq(0..size));
    }
    let mut steps = SCALE_FACTORS.symbols.to_vec();
    steps.sort_unstable();
    assert!(steps.into_iter().eq(0..121));
    for book in SPECTRAL.iter().chain([&SCALE_FACTORS]) {
        let lengths = book.counts.iter().zip(1u32..);
        let share: u64 = lengths.map(|(count, length)| u64::from(*count) << (32 - length)).sum();
        assert_eq!(share, 1 << 32);
        assert_eq!(book.counts.iter().map(|count| usize::from(*count)).sum::<usize>(), book.symbols.len());
    }
}

#[test]
fn every_codeword_is_found_with_its_signs() {
    for (number, (book, shape)) in (1..).zip(SPECTRAL.iter().zip(SHAPES)) {
        let table = Tables::get().spectral(number).unwrap();
        let codes = spectral_codes(book, shape);
        // Each combination of values within the book's range occurs once.
        let side = 2 * shape.largest as usize + 1;
        let mut seen = vec![false; side.pow(shape.dimension)];
        for code in codes {
            let mut bytes = code.bits.to_be_bytes().to_vec();
            bytes.resize(4 + PADDING, 0xff);
            let mut bits = Bits::new(&bytes);
            bits.refill();
            let entry = table.read(&mut bits);
            assert_eq!(bits.position(), code.length as usize);
            let values = (0..shape.dimension).map(|at| entry.field(at) as i32 - BIAS);
            let index = values.fold(0, |index, value| index * side + (value + shape.largest) as usize);
            assert!(!std::mem::replace(&mut seen[index], true), "book {number}");
        }
        assert!(seen.into_iter().all(|seen| seen), "book {number}");
    }
}

#[test]
fn passing_over_codewords_ends_where_reading_them_does() {
    let bytes = noise_bytes(10_000, 3);
    let mut random = Random(4);
    for number in 1..=11 {
        let table = Tables::get().spectral(number).unwrap();
        let (mut read, mut passed) = (Bits::new(&bytes), Bits::new(&bytes));
        while read.position() < 60_000 {
            let count = random.below(60);
            for _ in 0..count {
                read.refill();
                table.read(&mut read);
            }
            table.skip(&mut passed, count);
            assert_eq!(read.position(), passed.position(), "book {number}");
        }
    }
}

#[test]
fn both_halves_of_a_window_keep_the_power_at_every_phase() {
    for grid in grids() {
        let windows = Windows::new(grid);
        let pairs = [
            (&windows.long_rise, &windows.long_fall, LINES),
            (&windows.short_rise, &windows.short_fall, SHORT_LINES),
            (&windows.stop_rise, &windows.start_fall, LINES),
        ];
        for (rises, falls, length) in pairs {
            for (rise, fall) in rises.iter().zip(falls) {
                assert_eq!((rise.len(), fall.len()), (length / grid.factor, length / grid.factor));
                for (rise, fall) in rise.iter().zip(fall) {
                    assert!((rise * rise + fall * fall - 1.0).abs() < 1e-6, "{grid:?}");
                }
            }
        }
    }
}

#[test]
fn windows_rise_as_they_are_defined() {
    let window = sine(8);
    assert!((window[3] - (PI * 7.0 / 32.0).sin()).abs() < 1e-12);
    let derived = kaiser_bessel_derived(LINES, 4.0);
    assert!(derived.is_sorted() && derived[0] < 1e-3 && derived[LINES - 1] > 1.0 - 1e-6);
    // In its middle the squares of both neighbours add up to one.
    let middle = derived[LINES / 2 - 1].powi(2) + derived[LINES / 2].powi(2);
    assert!((middle - 1.0).abs() < 1e-12, "{middle}");
}

/// The standard's sum at sample `n`, which need not be of the reduced grid.
fn direct(spectrum: &[f32], full: usize, n: usize) -> f64 {
    let phase = n as f64 + 0.5 + full as f64 / 2.0;
    let terms = spectrum
        .iter()
        .enumerate()
        .map(|(k, line)| f64::from(*line) * (PI / full as f64 * phase * (k as f64 + 0.5)).cos());
    terms.sum::<f64>() / full as f64 / 32_768.0
}

#[test]
fn the_transform_gives_the_samples_of_the_full_one_at_their_places() {
    let mut random = Random(5);
    for grid in grids() {
        for full in [SHORT_LINES, LINES] {
            let lines = full / grid.factor;
            let spectrum: Vec<f32> = (0..lines).map(|_| 30_000.0 * random.sample()).collect();
            let mut transform = Transform::new(full, grid, 1.0 / (full as f64 * 32_768.0));
            let samples: Vec<f32> = transform.run(&spectrum).iter().flat_map(|pair| [pair.re, pair.im]).collect();
            assert_eq!(samples.len(), 2 * lines);
            for m in (0..2 * lines).step_by(lines / 8 - 1) {
                let expected = direct(&spectrum, full, m * grid.factor + grid.phase);
                let difference = (f64::from(samples[m]) - expected).abs();
                assert!(difference < 1e-7, "{grid:?}, {full} lines, sample {m}: {difference}");
            }
        }
    }
}
