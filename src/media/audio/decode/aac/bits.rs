//! Bits of a packet, from the most significant on.

use super::Damaged;

/// Zero bytes behind a packet, so that eight can be loaded at its last one.
pub(super) const PADDING: usize = 8;

/// A packet's bits. After [`Bits::refill`] at least 56 of them stand in a register; zeros follow the end.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    padded: &'a [u8],
    length: usize,
    /// The next bits, the first at the top.
    cache: u64,
    /// How many of them are valid.
    held: u32,
    /// Byte behind those.
    next: usize,
}

impl<'a> Bits<'a> {
    /// Reads bytes that [`PADDING`] zeros follow.
    pub(super) fn new(padded: &'a [u8]) -> Bits<'a> {
        Bits { padded, length: padded.len().saturating_sub(PADDING), cache: 0, held: 0, next: 0 }
    }

    /// Brings the register to 56 bits or more.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let word = match self.padded.get(self.next..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => 0,
        };
        self.cache |= word >> self.held;
        self.next += ((63 - self.held) >> 3) as usize;
        self.held |= 56;
    }

    /// The next bits at the top of a word, as many as the register holds.
    #[inline(always)]
    pub(super) fn ahead(&self) -> u64 {
        self.cache
    }

    /// Takes bits that the register holds.
    #[inline(always)]
    pub(super) fn consume(&mut self, count: u32) {
        self.cache <<= count & 63;
        self.held -= count;
    }

    /// Up to 32 bits as a number.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if self.held < count {
            self.refill();
        }
        // Two shifts, because one by 64 is none.
        let value = (self.cache >> 1) >> (63 - count.min(32));
        self.consume(count);
        value as u32
    }

    /// One bit.
    #[inline]
    pub(super) fn flag(&mut self) -> bool {
        self.take(1) == 1
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.seek(self.position() + count);
    }

    /// Goes to the next byte's beginning.
    pub(super) fn align(&mut self) {
        self.seek(self.position().next_multiple_of(8));
    }

    /// Bits read so far.
    pub(super) fn position(&self) -> usize {
        (self.next * 8).saturating_sub(self.held as usize)
    }

    fn seek(&mut self, position: usize) {
        self.next = position / 8;
        self.cache = 0;
        self.held = 0;
        self.refill();
        self.consume((position % 8) as u32);
    }

    /// Whether nothing was read that is not there.
    pub(super) fn check(&self) -> Result<(), Damaged> {
        if self.position() <= self.length * 8 { Ok(()) } else { Err(Damaged) }
    }
}
