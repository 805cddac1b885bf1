//! G.711 over all 65 536 samples, against the definition: tables of decision and output values.

use crate::media::audio::encode::g711;

/// Lower decision values of μ-law at 14 bits (ITU-T G.711 table 2a): 16 for each of 8 segments, steps 2, 4 … 256, from 0 on.
fn ulaw_decisions() -> Vec<i32> {
    (0..8).flat_map(|segment| (0..16).map(move |step| (((16 + step) << (segment + 1)) - 33).max(0))).collect()
}

/// Lower decision values of A-law at 13 bits (table 1a): segments 0 and 1 with step 2, then 4 … 128.
fn alaw_decisions() -> Vec<i32> {
    let linear = (0..32).map(|step| 2 * step);
    let rest = (1..7).flat_map(|segment| (0..16).map(move |step| (2 * (16 + step)) << segment));
    linear.chain(rest).collect()
}

/// The interval that holds `magnitude`.
fn index(decisions: &[i32], magnitude: i32) -> usize {
    decisions.iter().take_while(|decision| **decision <= magnitude).count() - 1
}

/// Output value of an interval: its middle. The last one is as wide as the one before; the first of μ-law is zero.
fn output(decisions: &[i32], index: usize) -> i32 {
    match (decisions.get(index), decisions.get(index + 1)) {
        (Some(0), Some(1)) => 0,
        (Some(low), Some(high)) => (low + high) / 2,
        _ => decisions[index] + (decisions[index] - decisions[index - 1]) / 2,
    }
}

#[test]
fn ulaw_is_the_definition() {
    let decisions = ulaw_decisions();
    for sample in i16::MIN..=i16::MAX {
        // ITU-T G.191 aligns 16 bits to 14 by an arithmetic shift of one's complement magnitudes.
        let magnitude = i32::from(if sample < 0 { !sample } else { sample }) >> 2;
        let expected = index(&decisions, magnitude);
        let code = g711::ulaw_from_linear(sample);
        assert_eq!(usize::from(!code & 0x7f), expected, "{sample}");
        assert_eq!(code & 0x80 == 0, sample < 0, "{sample}");
        let back = i32::from(g711::ulaw_to_linear(code));
        assert_eq!(back.abs(), output(&decisions, expected) * 4, "{sample}");
        assert!(back == 0 || (back < 0) == (sample < 0), "{sample}");
    }
}

#[test]
fn alaw_is_the_definition() {
    let decisions = alaw_decisions();
    for sample in i16::MIN..=i16::MAX {
        let magnitude = i32::from(if sample < 0 { !sample } else { sample }) >> 4;
        let expected = index(&decisions, 2 * magnitude);
        let code = g711::alaw_from_linear(sample);
        assert_eq!(usize::from((code ^ 0x55) & 0x7f), expected, "{sample}");
        assert_eq!(code & 0x80 == 0, sample < 0, "{sample}");
        assert_eq!(i32::from(g711::alaw_to_linear(code)).abs(), output(&decisions, expected) * 8, "{sample}");
    }
}

#[test]
fn codes_survive_a_round_trip() {
    for code in 0..=u8::MAX {
        assert_eq!(g711::alaw_from_linear(g711::alaw_to_linear(code)), code);
        // μ-law has two zeros, which linear samples cannot tell apart.
        let expected = if code == 0x7f { 0xff } else { code };
        assert_eq!(g711::ulaw_from_linear(g711::ulaw_to_linear(code)), expected);
    }
}

#[test]
fn silence_and_full_scale_have_their_known_codes() {
    assert_eq!([0, i16::MAX, i16::MIN].map(g711::ulaw_from_linear), [0xff, 0x80, 0x00]);
    assert_eq!([0, i16::MAX, i16::MIN].map(g711::alaw_from_linear), [0xd5, 0xaa, 0x2a]);
}
