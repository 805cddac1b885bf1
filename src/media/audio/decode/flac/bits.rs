//! Bits of a frame, from the most significant on.

use super::Fault;

/// Bits that are there after [`Bits::refill`] at least.
pub(super) const REFILLED: u32 = 56;

/// Reads bits through a register; zeros follow the end.
///
/// It is copied into loops and back, so that it lives in the processor's registers there: what is rare takes it by value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bits, the first at the top.
    cache: u64,
    /// How many of them may be taken. What stands below is right as well, or zero.
    held: u32,
    /// Byte behind those.
    next: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, cache: 0, held: 0, next: 0 }
    }

    /// Brings the register to [`REFILLED`] bits or more.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        match self.bytes.get(self.next..).and_then(<[u8]>::first_chunk) {
            Some(word) => {
                self.cache |= u64::from_be_bytes(*word) >> self.held;
                self.next += ((63 - self.held) >> 3) as usize;
                self.held |= REFILLED;
            }
            None => *self = self.refilled_at_the_end(),
        }
    }

    #[cold]
    #[inline(never)]
    fn refilled_at_the_end(mut self) -> Bits<'a> {
        while self.held < REFILLED {
            let byte = self.bytes.get(self.next).copied().unwrap_or(0);
            self.cache |= u64::from(byte) << (REFILLED - self.held);
            self.held += 8;
            self.next += 1;
        }
        self
    }

    #[inline(always)]
    fn consume(&mut self, count: u32) {
        self.cache <<= count;
        self.held -= count;
    }

    /// Up to 32 bits as a number.
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if self.held < count {
            self.refill();
        }
        // Two shifts, because one by 64 is none.
        let value = self.cache >> 1 >> (63 - count);
        self.consume(count);
        value as u32
    }

    /// Up to 33 bits as a number with a sign.
    pub(super) fn take_signed(&mut self, count: u32) -> i64 {
        if self.held < count {
            self.refill();
        }
        let value = if count == 0 { 0 } else { self.cache.cast_signed() >> (64 - count) };
        self.consume(count);
        value
    }

    pub(super) fn flag(&mut self) -> bool {
        self.take(1) == 1
    }

    /// Zeros before the next one, which is taken as well.
    pub(super) fn unary(&mut self) -> Result<u32, Fault> {
        let mut zeros = 0;
        loop {
            self.refill();
            let run = self.cache.leading_zeros().min(self.held);
            zeros += run;
            if run < self.held {
                self.consume(run + 1);
                return Ok(zeros);
            }
            self.consume(run);
            self.check()?;
        }
    }

    /// A Rice code (§9.2.7.3): how often 2ᵖ goes into the number in unary, the rest in `p` bits. `None` where the register does not hold
    /// all of it.
    #[inline(always)]
    pub(super) fn rice(&mut self, p: u32) -> Option<u32> {
        let place = self.cache.checked_ilog2()?;
        let length = 64 + p - place;
        if self.held < length {
            return None;
        }
        // The one that ends the zeros is in it: 2ᵖ too much.
        let rest = (self.cache >> (place - p)) as u32;
        self.consume(length);
        Some((62u32.wrapping_sub(place) << p).wrapping_add(rest))
    }

    /// The same however long it is.
    #[cold]
    #[inline(never)]
    pub(super) fn long_rice(mut self, p: u32) -> Result<(u32, Bits<'a>), Fault> {
        let zeros = self.unary()?;
        if zeros.leading_zeros() < p {
            return Err(Fault::Damaged);
        }
        let rest = self.take(p);
        Ok((zeros << p | rest, self))
    }

    /// Goes to the next byte's beginning.
    pub(super) fn align(&mut self) {
        self.consume(self.held % 8);
    }

    /// Bits read so far.
    pub(super) fn position(&self) -> usize {
        8 * self.next - self.held as usize
    }

    /// Whether nothing was read that is not there.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.position() <= 8 * self.bytes.len() { Ok(()) } else { Err(Fault::Short) }
    }
}
