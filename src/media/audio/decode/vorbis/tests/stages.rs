//! Bits, codewords, vectors, curves, windows: what is computed against what the specification says.

use std::f64::consts::PI;

use super::{
    super::{
        Refused,
        bits::{Bits, PADDING},
        floor0,
        huffman::{Code, Codes, codewords},
        mapping::Coupling,
        synthesis::Slopes,
    },
    Random,
};
use crate::media::audio::decode::transform::Grid;

fn noise_bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Random(seed).bytes(count);
    bytes.resize(count + PADDING, 0);
    bytes
}

#[test]
fn bits_are_read_from_the_least_significant_on() {
    let bytes = noise_bytes(4_000, 1);
    let expected = |at: usize, count: usize| {
        (at..at + count).rev().fold(0u64, |value, bit| value << 1 | u64::from(bytes[bit / 8] >> (bit % 8) & 1)) as u32
    };
    let mut bits = Bits::new(&bytes);
    let (mut random, mut at) = (Random(2), 0);
    while at < 31_960 {
        let count = random.below(33);
        assert_eq!(bits.take(count as u32), expected(at, count), "{count} at {at}");
        at += count;
        assert_eq!(bits.left(), 32_000 - at as isize);
        assert!(!bits.is_over());
    }
    while at < 32_000 {
        bits.flag();
        at += 1;
    }
    assert!(!bits.is_over());
    assert_eq!(bits.take(1), 0);
    assert!(bits.is_over());
}

#[test]
fn codewords_are_the_lowest_that_are_free() {
    // The example of §3.2.1.
    let codes = codewords(&[2, 4, 4, 4, 4, 2, 3, 3]).unwrap();
    let expected = ["00", "0100", "0101", "0110", "0111", "10", "110", "111"];
    for (code, expected) in codes.iter().zip(expected) {
        assert_eq!(format!("{:032b}", code.bits)[..code.length as usize], *expected);
    }
    let refused = |lengths: &[u8]| matches!(codewords(lengths), Err(Refused::Damaged(_)));
    assert!(refused(&[1, 1, 1]) && refused(&[1, 2, 2, 2]) && refused(&[32, 1, 1, 32]));
    assert!(refused(&[1, 2]) && refused(&[2, 4, 4, 4, 4, 2, 3]) && refused(&[2]) && refused(&[32]));
    assert_eq!(codewords(&[0, 1, 0]).unwrap(), [Code { bits: 0, length: 1, entry: 1 }]);
    assert_eq!(codewords(&[0, 0]).unwrap(), []);
}

/// Lengths of a complete code with entries of every length up to the longest.
pub(super) fn lengths(count: usize, longest: u8, random: &mut Random) -> Vec<u8> {
    let mut lengths = vec![0u8];
    while lengths.len() < count {
        // Rather the last ones, so that some become long.
        let at = lengths.len() - 1 - random.below(lengths.len().min(4));
        if lengths[at] < longest {
            lengths[at] += 1;
            lengths.push(lengths[at]);
        } else {
            let place = random.below(lengths.len());
            let last = lengths.len() - 1;
            lengths.swap(place, last);
        }
    }
    for at in (1..lengths.len()).rev() {
        lengths.swap(at, random.below(at + 1));
    }
    lengths
}

#[test]
fn every_codeword_is_found() {
    let mut random = Random(3);
    for (count, longest) in [(2, 1), (3, 32), (33, 32), (40, 9), (600, 10), (3_000, 32), (6_561, 20)] {
        let codes = codewords(&lengths(count, longest, &mut random)).unwrap();
        let table = Codes::new(codes.clone(), true);
        for code in codes {
            let mut bytes = code.bits.reverse_bits().to_le_bytes().to_vec();
            bytes.resize(4 + PADDING, 0xff);
            let mut bits = Bits::new(&bytes);
            assert_eq!(table.read(&mut bits), code.entry as usize);
            assert_eq!(bits.left(), 32 - code.length as isize);
        }
    }
    let lone = Codes::new(codewords(&[0, 0, 1]).unwrap(), true);
    let noise = noise_bytes(1, 4);
    let mut bits = Bits::new(&noise);
    assert!((0..8).all(|_| lone.read(&mut bits) == 2));
    assert_eq!(bits.left(), 0);
}

#[test]
fn passing_over_codewords_ends_where_reading_them_does() {
    let bytes = noise_bytes(10_000, 5);
    let mut random = Random(6);
    for count in [1, 2, 9, 200, 3_000] {
        let lengths = if count == 1 { vec![1] } else { lengths(count, 32, &mut random) };
        let table = Codes::new(codewords(&lengths).unwrap(), true);
        let (mut read, mut passed) = (Bits::new(&bytes), Bits::new(&bytes));
        while read.left() > 2_000 {
            let count = random.below(60);
            for _ in 0..count {
                table.read(&mut read);
            }
            table.skip(&mut passed, count);
            assert_eq!(read.left(), passed.left());
        }
    }
}

#[test]
fn magnitude_and_angle_make_every_pair() {
    // §4.3.5, spelled out.
    for (m, a, expected) in [
        (3.0, 1.0, [3.0, 2.0]),
        (3.0, -1.0, [2.0, 3.0]),
        (-3.0, 1.0, [-3.0, -2.0]),
        (-3.0, -1.0, [-2.0, -3.0]),
        (3.0, 0.0, [3.0, 3.0]),
        (0.0, 2.0, [0.0, 2.0]),
    ] {
        let mut lines = [vec![a], vec![m]];
        Coupling { magnitude: 1, angle: 0 }.separate(&mut lines, 1);
        assert_eq!([lines[1][0], lines[0][0]], expected, "{m} {a}");
    }
}

#[test]
fn a_curve_of_line_spectral_pairs_is_the_response_of_their_filter() {
    let mut random = Random(7);
    for order in [1, 2, 7, 16, 31] {
        let mut angles: Vec<f64> = (0..order).map(|_| PI * random.below(10_000) as f64 / 10_000.0).collect();
        angles.sort_by(f64::total_cmp);
        for place in 1..20 {
            let omega = PI * f64::from(place) / 20.0;
            // |1 − 2 cos c · z⁻¹ + z⁻²| on the unit circle, from its real and imaginary parts.
            let factor = |angle: &f64| {
                let (b, z) = (-2.0 * angle.cos(), |n: f64| [(n * omega).cos(), -(n * omega).sin()]);
                let [re, im] = [0, 1].map(|part| [1.0, 0.0][part] + b * z(1.0)[part] + z(2.0)[part]);
                re * re + im * im
            };
            let product = |skip: usize| angles.iter().skip(skip).step_by(2).map(factor).product::<f64>();
            // Both polynomials have the roots 1 and −1 between them: one each if the order is even, else both in the second one.
            let (plus, minus) = (2.0 + 2.0 * omega.cos(), 2.0 - 2.0 * omega.cos());
            let [even, odd] = if order % 2 == 0 { [plus, minus] } else { [1.0, plus * minus] };
            let expected = (product(0) * even + product(1) * odd) / 4.0;
            let cosines: Vec<f64> = angles.iter().map(|angle| 2.0 * angle.cos()).collect();
            let actual = floor0::response(&cosines, omega);
            assert!((actual / expected - 1.0).abs() < 1e-9, "order {order} at {place}: {actual} {expected}");
        }
    }
}

#[test]
fn both_halves_of_a_window_keep_the_power_at_every_phase() {
    for factor in [1, 2, 4] {
        for phase in 0..factor {
            for length in [32, 1_024] {
                let Slopes { rise, fall } = Slopes::new(length, Grid { factor, phase });
                assert_eq!((rise.len(), fall.len()), (length / factor, length / factor));
                for (n, (rise, fall)) in rise.iter().zip(&fall).enumerate() {
                    let place = ((n * factor + phase) as f64 + 0.5) / length as f64;
                    let expected = (PI / 2.0 * (PI / 2.0 * place).sin().powi(2)).sin();
                    assert!((f64::from(*rise) - expected).abs() < 1e-6);
                    assert!((rise * rise + fall * fall - 1.0).abs() < 1e-6);
                }
            }
        }
    }
}
