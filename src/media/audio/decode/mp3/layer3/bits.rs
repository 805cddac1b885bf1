//! Reading bits, and the reservoir that lends the bits of earlier frames to later ones.

/// Bits from the left of a byte string. Behind its end there are zeros without end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0 }
    }

    /// The same bytes from `count` bits further on.
    pub(super) fn further(self, count: usize) -> Bits<'a> {
        Bits { at: self.at + count, ..self }
    }

    /// Bits before the next one.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bits from the next one to the end.
    pub(super) fn left(&self) -> usize {
        (8 * self.bytes.len()).saturating_sub(self.at)
    }

    /// The next bits from the highest down; at least 57 of them are true, the last seven may be zeros.
    pub(super) fn window(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let bytes = rest.first_chunk().map_or_else(|| padded(rest), |whole| *whole);
        u64::from_be_bytes(bytes) << (self.at % 8)
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.at += count;
    }

    /// The next `count` bits as a number; at most 32.
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let value = top(self.window(), count);
        self.at += count as usize;
        value
    }

    pub(super) fn flag(&mut self) -> bool {
        self.take(1) == 1
    }
}

/// The highest `count` bits of a window, at most 32, as a number.
pub(super) fn top(window: u64, count: u32) -> u32 {
    // In two steps, because a shift by all 64 bits is none.
    (window >> 1 >> (63 - count)) as u32
}

#[cold]
fn padded(rest: &[u8]) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(rest) {
        *to = *from;
    }
    bytes
}

/// Bytes that a frame may borrow of those before it (§2.4.2.7: main_data_begin has 9 bits).
const BORROWED_MAX: usize = 511;
/// Bytes of the longest frame: 320 kbit/s at 32 kHz, padded. Longer ones cannot be announced.
const FRAME_MAX: usize = 1_441;

/// The main data of the newest frame behind the last bytes of those before it.
#[derive(Debug)]
pub(super) struct Reservoir {
    bytes: [u8; BORROWED_MAX + FRAME_MAX],
    length: usize,
}

impl Reservoir {
    pub(super) fn new() -> Reservoir {
        Reservoir { bytes: [0; BORROWED_MAX + FRAME_MAX], length: 0 }
    }

    /// Whether it holds as much as a frame can borrow.
    pub(super) fn is_full(&self) -> bool {
        BORROWED_MAX <= self.length
    }

    /// Takes the main data of the next frame; gives where it begins for one that borrows `borrowed` bytes, or `None` where there are
    /// not as many: after a cut, or at the very start.
    pub(super) fn push(&mut self, main_data: &[u8], borrowed: usize) -> Option<Bits<'_>> {
        let kept = self.length.min(BORROWED_MAX);
        self.bytes.copy_within(self.length - kept..self.length, 0);
        let room = self.bytes.get_mut(kept..).unwrap_or_default();
        let taken = main_data.len().min(room.len());
        for (to, from) in room.iter_mut().zip(main_data) {
            *to = *from;
        }
        self.length = kept + taken;
        let from = kept.checked_sub(borrowed)?;
        self.bytes.get(from..self.length).map(Bits::new)
    }
}
