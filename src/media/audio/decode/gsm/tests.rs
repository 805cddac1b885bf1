//! GSM against what libgsm, the reference of everyone, makes of the same bits.

use sha2::{Digest as _, Sha256};

use super::{Decoder, FRAME_SIZE, Frame, PAIR_SIZE};

/// Frames of random parameters: they reach every branch and drive the arithmetic into saturation.
fn frames(count: usize) -> Vec<[u8; FRAME_SIZE]> {
    let mut state = 1u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut frame = || {
        let mut frame = [(); FRAME_SIZE].map(|()| byte());
        frame[0] = 0xd0 | frame[0] & 0x0f;
        frame
    };
    (0..count).map(|_| frame()).collect()
}

/// The 260 bits of a frame, each parameter highest bit first.
fn parameter_bits(frame: &[u8; FRAME_SIZE]) -> Vec<Vec<bool>> {
    let widths = [6, 6, 5, 5, 4, 4, 3, 3].into_iter().chain([[7, 2, 2, 6].as_slice(), &[3; 13]].concat().repeat(4));
    let mut bits = frame.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte & (1 << bit) != 0)).skip(4);
    widths.map(|width| bits.by_ref().take(width).collect()).collect()
}

fn pair_of(frames: [&[u8; FRAME_SIZE]; 2]) -> [u8; PAIR_SIZE] {
    let parameters = frames.iter().flat_map(|frame| parameter_bits(frame));
    let bits: Vec<bool> = parameters.flat_map(|bits| bits.into_iter().rev()).collect();
    let bytes = bits.chunks_exact(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    bytes.collect::<Vec<u8>>().try_into().unwrap()
}

#[test]
fn random_frames_decode_as_libgsm_decodes_them() {
    let mut decoder = Decoder::new();
    let mut digest = Sha256::new();
    for bytes in frames(2_000) {
        for sample in decoder.decode(&Frame::parse(&bytes).unwrap()) {
            digest.update(sample.to_le_bytes());
        }
    }
    let start: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    // `sox frames.gsm -t raw - | sha256sum`, sox 14.4.2 with libgsm 1.0.22.
    assert_eq!(start, "202bb68c5c18f1bb");
}

#[test]
fn a_pair_is_two_frames() {
    for two in frames(200).as_chunks::<2>().0 {
        let [first, second] = two;
        let both = [first, second].map(|bytes| Frame::parse(bytes).unwrap());
        assert_eq!(Frame::parse_pair(&pair_of([first, second])), both);
    }
}

#[test]
fn a_frame_without_its_signature_is_none() {
    for nibble in (0..16).filter(|nibble| *nibble != 0xd) {
        let mut bytes = [0; FRAME_SIZE];
        bytes[0] = nibble << 4;
        assert_eq!(Frame::parse(&bytes), None);
    }
}
