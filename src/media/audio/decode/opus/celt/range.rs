//! The entropy decoder (RFC 6716 §4.1): a range coder that reads from the front of a frame, and raw bits from its back.

/// Bits of the range that are read at a time, and the range below which more are read.
const SYMBOL_BITS: u32 = 8;
const CODE_BITS: u32 = 32;
const CODE_TOP: u32 = 1 << (CODE_BITS - 1);
const CODE_BOTTOM: u32 = CODE_TOP >> SYMBOL_BITS;
/// Bits of the first byte that belong to the code.
const CODE_EXTRA: u32 = (CODE_BITS - 2) % SYMBOL_BITS + 1;
/// Bits of a uniform integer that go through the range coder; those below are raw.
const UNIFORM_BITS: u32 = 8;

/// Reads the symbols of one frame. Behind the end of its bytes there are zeros for ever.
#[derive(Clone, Debug)]
pub(super) struct RangeDecoder<'a> {
    bytes: &'a [u8],
    /// Bytes taken from the front and from the back.
    front: usize,
    back: usize,
    /// Raw bits that are read but not taken, the next ones lowest.
    window: u64,
    window_bits: u32,
    /// Whole bits read so far, by the standard's way of counting (§4.1.6).
    bits: i32,
    range: u32,
    value: u32,
    /// The last byte, of which a part is still to be used.
    rest: u32,
}

impl<'a> RangeDecoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> RangeDecoder<'a> {
        let mut decoder = RangeDecoder {
            bytes,
            front: 0,
            back: 0,
            window: 0,
            window_bits: 0,
            bits: (CODE_BITS + 1 - (CODE_BITS - CODE_EXTRA) / SYMBOL_BITS * SYMBOL_BITS) as i32,
            range: 1 << CODE_EXTRA,
            value: 0,
            rest: 0,
        };
        decoder.rest = decoder.next_byte();
        decoder.value = decoder.range - 1 - (decoder.rest >> (SYMBOL_BITS - CODE_EXTRA));
        decoder.normalise();
        decoder
    }

    /// Bits of the frame.
    pub(super) fn size(&self) -> i32 {
        8 * self.bytes.len() as i32
    }

    /// The range at the end of a frame: seed of the next one's noise, and the check that both sides read alike.
    pub(super) fn range(&self) -> u32 {
        self.range
    }

    /// Bits used so far, rounded up (§4.1.6.1).
    pub(super) fn tell(&self) -> i32 {
        self.bits - (CODE_BITS - self.range.leading_zeros()) as i32
    }

    /// Bits used so far in eighths, rounded up (§4.1.6.2).
    pub(super) fn tell_eighths(&self) -> i32 {
        /// Where the eighth of a bit changes, of 16 bits of the range: 2^(15 + (b + 1)/8).
        const STEPS: [u32; 8] = [35_733, 38_967, 42_495, 46_340, 50_535, 55_109, 60_097, 65_535];
        let length = CODE_BITS - self.range.leading_zeros();
        let top = self.range >> (length - 16);
        let eighth = (top >> 12) & 7;
        let eighth = eighth + u32::from(top > STEPS[eighth as usize]);
        8 * self.bits - (8 * length + eighth) as i32
    }

    /// Pretends that all bits are used: what a silent frame does.
    pub(super) fn use_all(&mut self) {
        self.bits += self.size() - self.tell();
    }

    /// A bit that is one with a probability of 2^−`log` (§4.1.3.2).
    #[inline]
    pub(super) fn bit(&mut self, log: u32) -> bool {
        let share = self.range >> log;
        let is_one = self.value < share;
        if is_one {
            self.range = share;
        } else {
            self.value -= share;
            self.range -= share;
        }
        self.normalise();
        is_one
    }

    /// A symbol by the inverse of its distribution, which ends with 0, out of 2^`bits` (§4.1.3.3).
    pub(super) fn symbol(&mut self, inverse: &[u8], bits: u32) -> usize {
        let unit = self.range >> bits;
        let mut above = self.range;
        for (symbol, share) in inverse.iter().enumerate() {
            let below = unit * u32::from(*share);
            if self.value >= below {
                self.value -= below;
                self.range = above - below;
                self.normalise();
                return symbol;
            }
            above = below;
        }
        0
    }

    /// The place within `total` where the next symbol lies, and the unit for [`RangeDecoder::update`] (§4.1.2).
    #[inline]
    pub(super) fn place(&mut self, total: u32) -> (u32, u32) {
        let unit = self.range / total;
        (total - (self.value / unit + 1).min(total), unit)
    }

    /// Takes the symbol that goes from `low` to `high` of `total`.
    #[inline]
    pub(super) fn update(&mut self, unit: u32, low: u32, high: u32, total: u32) {
        let above = unit * (total - high);
        self.value -= above;
        self.range = if low > 0 { unit * (high - low) } else { self.range - above };
        self.normalise();
    }

    /// An integer below `total`, which is at least 2, all as likely (§4.1.5). What is no such integer gives the largest.
    #[inline]
    pub(super) fn uniform(&mut self, total: u32) -> u32 {
        let largest = total - 1;
        let bits = u32::BITS - largest.leading_zeros();
        if bits <= UNIFORM_BITS {
            let (value, unit) = self.place(total);
            self.update(unit, value, value + 1, total);
            return value;
        }
        let raw = bits - UNIFORM_BITS;
        let total = (largest >> raw) + 1;
        let (value, unit) = self.place(total);
        self.update(unit, value, value + 1, total);
        (value << raw | self.raw(raw)).min(largest)
    }

    /// Raw bits from the back (§4.1.4), at most 25.
    #[inline]
    pub(super) fn raw(&mut self, count: u32) -> u32 {
        while self.window_bits < count {
            self.back += 1;
            let byte = self.bytes.len().checked_sub(self.back).and_then(|at| self.bytes.get(at));
            self.window |= u64::from(byte.copied().unwrap_or(0)) << self.window_bits;
            self.window_bits += SYMBOL_BITS;
        }
        let value = self.window as u32 & ((1 << count) - 1);
        self.window >>= count;
        self.window_bits -= count;
        self.bits += count as i32;
        value
    }

    #[inline]
    fn normalise(&mut self) {
        while self.range <= CODE_BOTTOM {
            self.bits += SYMBOL_BITS as i32;
            self.range <<= SYMBOL_BITS;
            let before = self.rest;
            self.rest = self.next_byte();
            let symbol = (before << SYMBOL_BITS | self.rest) >> (SYMBOL_BITS - CODE_EXTRA) & 0xff;
            self.value = ((self.value << SYMBOL_BITS) + (0xff - symbol)) & (CODE_TOP - 1);
        }
    }

    #[inline]
    fn next_byte(&mut self) -> u32 {
        let byte = self.bytes.get(self.front).copied().unwrap_or(0);
        self.front += 1;
        u32::from(byte)
    }
}
