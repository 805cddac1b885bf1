//! Check sums: CRC-8 of a frame's header (§9.1.8), CRC-16 of the whole frame (§9.3). Both highest bit first, from zero.

/// x⁸ + x² + x + 1.
const POLYNOMIAL_8: u8 = 0x07;
/// x¹⁶ + x¹⁵ + x² + 1.
const POLYNOMIAL_16: u16 = 0x8005;
/// Bytes taken at once: what each adds to the sum is looked up in a table of its own.
const STEP: usize = 16;

static SUMS_8: [u8; 256] = {
    let mut sums = [0; 256];
    let mut byte = 0;
    while byte < sums.len() {
        let mut sum = byte as u8;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum >> 7 == 1 { sum << 1 ^ POLYNOMIAL_8 } else { sum << 1 };
            bit += 1;
        }
        sums[byte] = sum;
        byte += 1;
    }
    sums
};

/// `SUMS_16[zeros][byte]`: the sum of a byte with so many zero bytes behind it.
static SUMS_16: [[u16; 256]; STEP] = {
    let mut sums = [[0; 256]; STEP];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 * STEP {
            sum = if sum >> 15 == 1 { sum << 1 ^ POLYNOMIAL_16 } else { sum << 1 };
            bit += 1;
            if bit % 8 == 0 {
                sums[bit / 8 - 1][byte] = sum;
            }
        }
        byte += 1;
    }
    sums
};

pub(super) fn crc_8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| SUMS_8[usize::from(sum ^ byte)])
}

pub(super) fn crc_16(bytes: &[u8]) -> u16 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let of = |zeros: usize, byte: u8| SUMS_16[zeros][usize::from(byte)];
    let sum = steps.iter().fold(0u16, |sum, [first, second, others @ ..]| {
        let [high, low] = sum.to_be_bytes();
        // What does not wait for the last sum comes first.
        let others = others.iter().rev().enumerate().fold(0, |sum, (zeros, byte)| sum ^ of(zeros, *byte));
        others ^ of(STEP - 1, first ^ high) ^ of(STEP - 2, second ^ low)
    });
    rest.iter().fold(sum, |sum, byte| sum << 8 ^ of(0, (sum >> 8) as u8 ^ byte))
}
