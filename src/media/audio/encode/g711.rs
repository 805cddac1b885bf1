//! G.711 μ-law and A-law from and to 16-bit linear samples (ITU-T G.711, with the 16-bit alignment of ITU-T G.191).

/// Added to the magnitude so that every segment's width is a power of two, at 14 bits.
const ULAW_BIAS: u16 = 33;
/// Largest biased magnitude, at 14 bits.
const ULAW_MAX: u16 = 0x1fff;

/// Lower bits of a linear sample that decide nothing.
const ULAW_IDLE_BITS: u32 = 2;
const ALAW_IDLE_BITS: u32 = 4;

/// The code of every linear sample, by the bits that decide: looking up is cheaper than reckoning for each sample.
static ULAW: [u8; 1 << (u16::BITS - ULAW_IDLE_BITS)] = ulaw_codes();
static ALAW: [u8; 1 << (u16::BITS - ALAW_IDLE_BITS)] = alaw_codes();

const fn ulaw_codes() -> [u8; 1 << (u16::BITS - ULAW_IDLE_BITS)] {
    let mut codes = [0; 1 << (u16::BITS - ULAW_IDLE_BITS)];
    let mut index = 0;
    while index < codes.len() {
        codes[index] = reckon_ulaw(((index as u16) << ULAW_IDLE_BITS) as i16);
        index += 1;
    }
    codes
}

const fn alaw_codes() -> [u8; 1 << (u16::BITS - ALAW_IDLE_BITS)] {
    let mut codes = [0; 1 << (u16::BITS - ALAW_IDLE_BITS)];
    let mut index = 0;
    while index < codes.len() {
        codes[index] = reckon_alaw(((index as u16) << ALAW_IDLE_BITS) as i16);
        index += 1;
    }
    codes
}

/// μ-law code of a linear sample.
pub(in crate::media::audio) fn ulaw_from_linear(sample: i16) -> u8 {
    ULAW[usize::from(sample as u16 >> ULAW_IDLE_BITS)]
}

/// A-law code of a linear sample.
pub(in crate::media::audio) fn alaw_from_linear(sample: i16) -> u8 {
    ALAW[usize::from(sample as u16 >> ALAW_IDLE_BITS)]
}

const fn reckon_ulaw(sample: i16) -> u8 {
    let magnitude = if sample < 0 { !sample } else { sample } as u16;
    let biased = (magnitude >> 2) + ULAW_BIAS;
    let biased = if biased < ULAW_MAX { biased } else { ULAW_MAX };
    // Biased magnitudes have their highest bit at 5 (segment 0) to 12 (segment 7).
    let segment = 10 - biased.leading_zeros() as u16;
    let mantissa = (biased >> (segment + 1)) & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !((sign | segment << 4 | mantissa) as u8)
}

/// Linear sample of a μ-law code.
pub(in crate::media::audio) fn ulaw_to_linear(code: u8) -> i16 {
    let code = !code;
    let segment = (code >> 4) & 7;
    let mantissa = i16::from(code & 0x0f);
    let magnitude = (((mantissa << 1) + 33) << segment) - 33;
    let sample = magnitude << 2;
    if code & 0x80 != 0 { -sample } else { sample }
}

const fn reckon_alaw(sample: i16) -> u8 {
    let magnitude = (if sample < 0 { !sample } else { sample } as u16) >> 4;
    let segment = (12u32.saturating_sub(magnitude.leading_zeros())) as u16;
    // Segments 0 and 1 have the same step; above, one bit less is kept with each segment.
    let code = if segment == 0 { magnitude } else { segment << 4 | (magnitude >> (segment - 1)) & 0x0f };
    let sign = if sample < 0 { 0 } else { 0x80 };
    (code | sign) as u8 ^ 0x55
}

/// Linear sample of an A-law code.
pub(in crate::media::audio) fn alaw_to_linear(code: u8) -> i16 {
    let code = code ^ 0x55;
    let segment = (code >> 4) & 7;
    let mantissa = i16::from(code & 0x0f) << 4;
    let magnitude = match segment {
        0 => mantissa + 8,
        _ => (mantissa + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}
