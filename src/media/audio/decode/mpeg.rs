//! MPEG audio frame headers (ISO/IEC 11172-3 §2.4.1.3, 13818-3; 2.5 is Fraunhofer's extension).

/// kbit/s by bitrate index 1..=14, for MPEG-1 layer II, MPEG-1 layer III, and MPEG-2/2.5 layers II and III.
const BITRATES: [[u16; 14]; 3] = [
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// Hz by rate index, MPEG-1; MPEG-2 has half, MPEG-2.5 a quarter.
const RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// A valid header of a layer II or III frame with a known length (no free format).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::audio) struct Header {
    bytes: [u8; 4],
    frame_size: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` if it is none.
    pub(in crate::media::audio) fn parse(bytes: &[u8]) -> Option<Header> {
        let [a, b, c, d] = *bytes.first_chunk::<4>()?;
        let version = (b >> 3) & 3;
        let layer = (b >> 1) & 3;
        // Version 1 and layer 0 are reserved; layer 3 (that is, layer I) is not seen in files; emphasis 2 is reserved.
        if a != 0xff || b & 0xe0 != 0xe0 || version == 1 || layer == 0 || layer == 3 || d & 3 == 2 {
            return None;
        }
        let table = match (version, layer) {
            (3, 2) => &BITRATES[0],
            (3, _) => &BITRATES[1],
            _ => &BITRATES[2],
        };
        let bitrate = u32::from(*table.get(usize::from(c >> 4).checked_sub(1)?)?) * 1000;
        let header = Header { bytes: [a, b, c, d], frame_size: 0 };
        let rate = RATES.get(usize::from((c >> 2) & 3)).map(|_| header.rate())?;
        let padding = u32::from((c >> 1) & 1);
        let frame_size = (header.samples() as u32 / 8 * bitrate / rate + padding) as usize;
        Some(Header { frame_size, ..header })
    }

    /// Bytes of the whole frame, header included.
    pub(in crate::media::audio) fn frame_size(self) -> usize {
        self.frame_size
    }

    /// Fields that stay the same throughout a stream: version, layer, rate.
    pub(in crate::media::audio) fn signature(self) -> u32 {
        let [_, b, c, _] = self.bytes;
        u32::from(b & 0xfe) << 8 | u32::from(c & 0x0c)
    }

    /// Sample rate in Hz.
    pub(super) fn rate(self) -> u32 {
        let [_, b, c, _] = self.bytes;
        let full = RATES.get(usize::from((c >> 2) & 3)).copied().unwrap_or_default();
        match (b >> 3) & 3 {
            3 => full,
            2 => full / 2,
            _ => full / 4,
        }
    }

    /// Bytes of the header, with the check sum where there is one.
    pub(super) fn length(self) -> usize {
        let [_, b, ..] = self.bytes;
        if b & 1 == 1 { 4 } else { 6 }
    }

    pub(super) fn is_layer_3(self) -> bool {
        let [_, b, ..] = self.bytes;
        (b >> 1) & 3 == 1
    }

    /// MPEG-1, neither 2 nor 2.5.
    pub(super) fn is_mpeg_1(self) -> bool {
        let [_, b, ..] = self.bytes;
        (b >> 3) & 3 == 3
    }

    /// Samples of each channel in a frame.
    pub(super) fn samples(self) -> usize {
        if self.is_layer_3() && !self.is_mpeg_1() { 576 } else { 1152 }
    }

    /// One channel or two.
    pub(super) fn channels(self) -> usize {
        if self.bytes[3] >> 6 == 3 { 1 } else { 2 }
    }

    /// Whether the channels of a layer III frame are coded as their middle and their side (mode_extension).
    pub(super) fn has_middle_side(self) -> bool {
        self.is_joint() && self.bytes[3] & 0x20 != 0
    }

    /// Whether the upper bands of a layer III frame may be one sound and its place between left and right.
    pub(super) fn has_intensity(self) -> bool {
        self.is_joint() && self.bytes[3] & 0x10 != 0
    }

    fn is_joint(self) -> bool {
        self.bytes[3] >> 6 == 1
    }
}
