//! How the parameters of a frame lie in its bytes.
//!
//! ```text
//! parameter (table 1.1)  8 areas                          4 × { lag gain grid largest 13 × pulse }
//! bits                   6 6 5 5 4 4 3 3 (36)                 { 7   2    2    6       3          }     260 in all
//!
//! frame, 33 bytes (RFC 3551 §4.5.8.1): 0xD in four bits, then the parameters, highest bits first
//! pair, 65 bytes (Microsoft's WAV, tag 0x31): the parameters of two frames, lowest bits first, nothing between
//! ```

/// Bytes of a frame by itself.
pub(in crate::media::audio) const FRAME_SIZE: usize = 33;
/// Bytes of two frames packed as in WAV.
pub(in crate::media::audio) const PAIR_SIZE: usize = 65;
/// What a frame by itself begins with.
const SIGNATURE: u8 = 0xd;
/// Stages of the filter.
pub(super) const STAGES: usize = 8;
/// Pulses in a quarter of a frame.
pub(super) const PULSES: usize = 13;
/// Bits of the areas.
const AREA_BITS: [u32; STAGES] = [6, 6, 5, 5, 4, 4, 3, 3];

/// The coded parameters of 20 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::media::audio) struct Frame {
    /// Logarithmic area ratios of the filter (LARc).
    pub(super) areas: [u8; STAGES],
    pub(super) subframes: [Subframe; 4],
}

/// The coded excitation of 5 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subframe {
    /// How far back the echo is taken from, in samples (Nc).
    pub(super) lag: u8,
    /// Index of the echo's gain (bc).
    pub(super) gain: u8,
    /// The first sample of the grid (Mc).
    pub(super) grid: u8,
    /// Height of the largest pulse (xmaxc).
    pub(super) largest: u8,
    /// Heights of the pulses relative to it (xMc).
    pub(super) pulses: [u8; PULSES],
}

impl Frame {
    /// Reads a frame by itself; `None` if it lacks the signature.
    pub(in crate::media::audio) fn parse(bytes: &[u8; FRAME_SIZE]) -> Option<Frame> {
        let mut bits = HighFirst { bytes: bytes.iter(), held: 0, count: 0 };
        (bits.take(4) == SIGNATURE).then(|| Frame::read(|count| bits.take(count)))
    }

    /// Reads two frames packed as in WAV.
    pub(in crate::media::audio) fn parse_pair(bytes: &[u8; PAIR_SIZE]) -> [Frame; 2] {
        let mut bits = LowFirst { bytes: bytes.iter(), held: 0, count: 0 };
        [(); 2].map(|()| Frame::read(|count| bits.take(count)))
    }

    /// Takes the parameters in their order; `bits` gives the next 1 to 8 bits.
    fn read(mut bits: impl FnMut(u32) -> u8) -> Frame {
        Frame {
            areas: AREA_BITS.map(&mut bits),
            subframes: [(); 4].map(|()| Subframe {
                lag: bits(7),
                gain: bits(2),
                grid: bits(2),
                largest: bits(6),
                pulses: [(); PULSES].map(|()| bits(3)),
            }),
        }
    }
}

/// Bits of bytes that are filled from the highest bit on. Zeros follow the end.
struct HighFirst<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// The lowest `count` bits are those not taken yet.
    held: u32,
    count: u32,
}

impl HighFirst<'_> {
    fn take(&mut self, count: u32) -> u8 {
        if self.count < count {
            self.held = self.held << 8 | u32::from(self.bytes.next().copied().unwrap_or_default());
            self.count += 8;
        }
        self.count -= count;
        ((self.held >> self.count) & ((1 << count) - 1)) as u8
    }
}

/// Bits of bytes that are filled from the lowest bit on. Zeros follow the end.
struct LowFirst<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// The lowest `count` bits are those not taken yet; the others are zero.
    held: u32,
    count: u32,
}

impl LowFirst<'_> {
    fn take(&mut self, count: u32) -> u8 {
        if self.count < count {
            self.held |= u32::from(self.bytes.next().copied().unwrap_or_default()) << self.count;
            self.count += 8;
        }
        let taken = self.held & ((1 << count) - 1);
        self.held >>= count;
        self.count -= count;
        taken as u8
    }
}
