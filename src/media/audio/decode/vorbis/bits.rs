//! Bits of a packet, from the least significant on (Vorbis I §2).

/// Zero bytes behind a packet, so that eight can be loaded at its last one.
pub(super) const PADDING: usize = 8;

/// A packet's bits. After [`Bits::refill`] at least 56 of them stand in a register; zeros follow the end.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    padded: &'a [u8],
    /// The next bits, the first at the bottom.
    cache: u64,
    /// How many of them are counted as read from the bytes before `next`; those above are the same as in the bytes from there on.
    held: u32,
    next: usize,
}

impl<'a> Bits<'a> {
    /// Reads bytes that [`PADDING`] zeros follow.
    pub(super) fn new(padded: &'a [u8]) -> Bits<'a> {
        Bits { padded, cache: 0, held: 0, next: 0 }
    }

    /// Brings the register to 56 bits or more.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let word = match self.padded.get(self.next..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => 0,
        };
        self.cache |= word << self.held;
        self.next += ((63 - self.held) >> 3) as usize;
        self.held |= 56;
    }

    /// The next bits at the bottom of a word, as many as the register holds.
    #[inline(always)]
    pub(super) fn ahead(&self) -> u64 {
        self.cache
    }

    /// Takes bits that the register holds.
    #[inline(always)]
    pub(super) fn consume(&mut self, count: u32) {
        self.cache >>= count & 63;
        self.held -= count;
    }

    /// Up to 32 bits as a number.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        self.refill();
        let value = self.cache & ((1 << count) - 1);
        self.consume(count);
        value as u32
    }

    /// One bit.
    #[inline]
    pub(super) fn flag(&mut self) -> bool {
        self.take(1) == 1
    }

    /// Bits of the packet that are left; less than none where some were read that are not there.
    #[inline(always)]
    pub(super) fn left(&self) -> isize {
        let length = self.padded.len() as isize - PADDING as isize;
        8 * (length - self.next as isize) + self.held as isize
    }

    /// Whether bits were read that are not there.
    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        self.left() < 0
    }
}
