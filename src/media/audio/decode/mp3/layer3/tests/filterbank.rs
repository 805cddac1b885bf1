//! From lines to samples.

use std::f64::consts::PI;

use super::{super::*, noise};
use crate::media::audio::decode::mp3::layer3::{
    hybrid::{Hybrid, Slots, reorder},
    side_info::{Blocks, Window},
    synthesis::Synthesis,
    window,
};

const fn blocks(window: Window, mixed: bool) -> Blocks {
    Blocks { window, mixed }
}

/// Every kind of granule, in an order that is not quite allowed.
const KINDS: [Blocks; 8] = [
    blocks(Window::Normal, false),
    blocks(Window::Start, false),
    blocks(Window::Short, false),
    blocks(Window::Short, true),
    blocks(Window::Stop, false),
    blocks(Window::Start, true),
    blocks(Window::Stop, true),
    blocks(Window::Normal, false),
];

/// §2.4.3.4.10 as it stands, of one sub-band: 36 values of 18 lines.
fn imdct(lines: &[f64], window: Window) -> [f64; 36] {
    let transform = |lines: &[f64], i: usize| -> f64 {
        let n = 2.0 * lines.len() as f64;
        let term =
            |(k, x): (usize, &f64)| x * (PI / (2.0 * n) * (2.0 * i as f64 + 1.0 + n / 2.0) * (2 * k + 1) as f64).cos();
        lines.iter().enumerate().map(term).sum()
    };
    let sine = |i: usize, n: f64| (PI / n * (i as f64 + 0.5)).sin();
    let mut out = [0.0; 36];
    if window == Window::Short {
        for w in 0..3 {
            let own: Vec<f64> = lines.iter().skip(w).step_by(3).copied().collect();
            for i in 0..12 {
                out[6 + 6 * w + i] += transform(&own, i) * sine(i, 12.0);
            }
        }
        return out;
    }
    for (i, out) in out.iter_mut().enumerate() {
        let window = match (window, i) {
            (Window::Start, 18..24) | (Window::Stop, 12..18) => 1.0,
            (Window::Start, 24..30) => sine(i - 18, 12.0),
            (Window::Stop, 6..12) => sine(i - 6, 12.0),
            (Window::Start, 30..) | (Window::Stop, 0..6) => 0.0,
            _ => sine(i, 36.0),
        };
        *out = transform(lines, i) * window;
    }
    out
}

/// The stages of the standard one after the other.
fn reference<const KEPT: usize>(
    lines: &Spectrum,
    blocks: Blocks,
    overlap: &mut [[f64; 18]; KEPT],
) -> [[f64; KEPT]; 18] {
    let mut lines: Vec<f64> = lines.iter().map(|line| f64::from(*line)).collect();
    let borders = match (blocks.is_short(), blocks.mixed) {
        (false, _) => 1..KEPT,
        (true, true) => 1..2,
        (true, false) => 1..1,
    };
    for border in borders {
        for (i, c) in [-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037f64].into_iter().enumerate() {
            let (cs, ca) = (1.0 / (1.0 + c * c).sqrt(), c / (1.0 + c * c).sqrt());
            let (below, above) = (18 * border - 1 - i, 18 * border + i);
            (lines[below], lines[above]) =
                (lines[below] * cs - lines[above] * ca, lines[above] * cs + lines[below] * ca);
        }
    }
    let mut out = [[0.0; KEPT]; 18];
    for (band, overlap) in overlap.iter_mut().enumerate() {
        let window = if blocks.mixed && band < 2 { Window::Normal } else { blocks.window };
        let values = imdct(&lines[18 * band..18 * band + 18], window);
        for slot in 0..18 {
            let sign = if slot % 2 == 1 && band % 2 == 1 { -1.0 } else { 1.0 };
            out[slot][band] = sign * (values[slot] + overlap[slot]);
            overlap[slot] = values[18 + slot];
        }
    }
    out
}

fn hybrid_is_the_formula<const KEPT: usize>() {
    let mut noise = noise(1);
    let mut hybrid = Hybrid::<KEPT>::new();
    let mut overlaps = [[[0.0; 18]; KEPT]; 2];
    for kind in KINDS.into_iter().chain(KINDS) {
        // Two channels with different windows are added, as where a mix has them.
        let other = blocks(Window::Stop, false);
        let mut spectra = [[0.0; LINES]; 2].map(|lines| lines.map(|_: f32| noise()));
        let [one, two] = [(0, kind), (1, other)].map(|(at, kind)| reference(&spectra[at], kind, &mut overlaps[at]));
        let mut out: Slots<KEPT> = [[0.0; KEPT]; SLOTS];
        hybrid.transform(&mut spectra[0], kind, true, &mut out);
        hybrid.transform(&mut spectra[1], other, false, &mut out);
        for slot in 0..SLOTS {
            for band in 0..KEPT {
                let expected = one[slot][band] + two[slot][band];
                assert!((f64::from(out[slot][band]) - expected).abs() < 2e-5, "{kind:?} slot {slot} band {band}");
            }
        }
    }
}

#[test]
fn alias_reduction_and_transform_are_those_of_the_standard() {
    hybrid_is_the_formula::<8>();
    hybrid_is_the_formula::<16>();
}

/// §2.4.3.2.2 as it stands: 32 samples of a slot of sub-bands.
fn full_synthesis(fifo: &mut Vec<f64>, slot: &[f32]) -> [f64; 32] {
    let place = |i: usize| -> f64 {
        let term = |(k, s): (usize, &f32)| f64::from(*s) * (PI / 64.0 * ((16 + i) * (2 * k + 1)) as f64).cos();
        slot.iter().enumerate().map(term).sum()
    };
    let mut v: Vec<f64> = (0..64).map(place).collect();
    v.append(fifo);
    v.truncate(1_024);
    *fifo = v;
    let mut out = [0.0; 32];
    for i in 0..8 {
        for j in 0..32 {
            out[j] += fifo[128 * i + j] * f64::from(window::coefficient(64 * i + j));
            out[j] += fifo[128 * i + 96 + j] * f64::from(window::coefficient(64 * i + 32 + j));
        }
    }
    out
}

fn synthesis_is_every_nth_sample<const KEPT: usize>() {
    let step = SUBBANDS / KEPT;
    for phase in 0..step {
        let mut noise = noise(2);
        let mut fifo = vec![0.0; 1_024];
        let mut synthesis = Synthesis::<KEPT>::new(phase);
        for _ in 0..3 {
            let slots: Slots<KEPT> = [[0.0; KEPT]; SLOTS].map(|slot| slot.map(|_: f32| noise()));
            let mut heard = Vec::new();
            synthesis.granule(&slots, &mut heard);
            let full: Vec<f64> = slots.iter().flat_map(|slot| full_synthesis(&mut fifo, slot)).collect();
            assert_eq!(heard.len(), LINES / step);
            for (n, (heard, full)) in heard.iter().zip(full.iter().skip(phase).step_by(step)).enumerate() {
                assert!((f64::from(*heard) - full).abs() < 1e-5, "phase {phase}, sample {n}: {heard} and not {full}");
            }
        }
    }
}

#[test]
fn reduced_synthesis_gives_the_samples_of_the_full_one_at_every_phase() {
    synthesis_is_every_nth_sample::<8>();
    synthesis_is_every_nth_sample::<16>();
}

#[test]
fn the_window_is_that_of_the_standard() {
    // Table 3-B.3, here and there.
    let printed = [
        (0, 0.0),
        (1, -0.000_015_259),
        (63, -0.003_173_828),
        (64, 0.003_250_122),
        (128, 0.031_082_153),
        (192, 0.100_311_279),
        (256, 1.144_989_014),
        (257, 1.144_287_109),
        (448, 0.003_250_122),
        (511, 0.000_015_259),
    ];
    for (at, value) in printed {
        assert!((f64::from(window::coefficient(at)) - value).abs() < 1e-7, "D[{at}]: {}", window::coefficient(at));
    }
}

#[test]
fn short_lines_come_into_the_order_of_frequencies() {
    let bands = bands::of(44_100).unwrap();
    for (kind, long_count, long_lines) in [(blocks(Window::Short, false), 0, 0), (blocks(Window::Short, true), 8, 36)] {
        let mut lines: Spectrum = std::array::from_fn(|line| line as f32);
        reorder(&mut lines, bands.widths(kind), long_count, LINES);
        // Bands of four lines begin: window 0 of all frequencies, then 1, then 2.
        let first: Vec<f32> = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11].map(|line| (long_lines + line) as f32).to_vec();
        assert_eq!(lines[long_lines..long_lines + 12], first, "{kind:?}");
        assert!((0..long_lines).all(|line| lines[line] == line as f32));
        let mut sorted = lines;
        sorted.sort_by(f32::total_cmp);
        assert!((0..LINES).all(|line| sorted[line] == line as f32));
    }
}
