//! G.722 by itself. `tests/it/quality.rs` has it against ffmpeg, to the bit.

use super::support::{Coding, Fit, Original, convert, fit, format, run, samples, tone, wav};
use crate::media::audio::{Limits, decode::g722::Decoder, g722::DELAY};

/// What is heard of G.722 bytes by way of the pipeline.
fn heard(bytes: &[u8]) -> Vec<f64> {
    let (_, body) = run(Original::whole(bytes).declared("g722"), format("sln16"), &Limits::default()).unwrap();
    samples(&body.bytes)
}

fn through(hz: f64) -> Fit {
    let (summary, bytes) = convert(&wav(16_000, 1, 16_000, Coding::Int16, tone(hz, 16_000)), "g722");
    assert_eq!((summary.frames, bytes.len()), (16_000, 8_000));
    fit(&heard(&bytes)[DELAY..], hz, 16_000, 1_600)
}

#[test]
fn tones_keep_level_and_place() {
    for (hz, snr_min) in [(200.0, 38.0), (1_000.0, 38.0), (3_000.0, 35.0), (5_000.0, 18.0), (6_500.0, 14.0)] {
        let fit = through(hz);
        assert!(fit.level.abs() < 0.3 && fit.delay.abs() < 0.05 && fit.snr > snr_min, "{hz} Hz: {fit:?}");
    }
}

#[test]
fn an_odd_sample_is_half_a_byte() {
    for (frames, bytes) in [(0, 0), (1, 1), (2, 1), (3, 2), (22, 11), (23, 12)] {
        let (summary, body) = convert(&wav(16_000, 1, frames, Coding::Int16, tone(500.0, 16_000)), "g722");
        assert_eq!((summary.frames, body.len()), (frames as u64, bytes));
    }
}

#[test]
fn silence_stays_within_the_last_of_fourteen_bits() {
    // The resolution of the Recommendation, as a step of 16 bits.
    const STEP: f64 = 4.0 / 32_768.0;
    let (_, bytes) = convert(&wav(16_000, 1, 16_000, Coding::Int16, |_, _| 0.0), "g722");
    assert!(heard(&bytes).iter().all(|sample| sample.abs() <= STEP));
}

#[test]
fn pieces_change_nothing_and_no_byte_is_refused() {
    // All bytes in all orders of two, which drives scale and predictor to their ends.
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_be_bytes).chain([0xff; 2_000]).chain([0; 2_000]).collect();
    let mut whole = Vec::new();
    Decoder::new().decode(&bytes, &mut whole);
    assert_eq!(whole.len(), 2 * bytes.len());
    let (mut decoder, mut pieces) = (Decoder::new(), Vec::new());
    for piece in bytes.chunk_by(|a, b| a <= b) {
        decoder.decode(piece, &mut pieces);
    }
    assert!(pieces == whole);
}
