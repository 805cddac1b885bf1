//! A frame: the subframes of its channels, put together (§9).

use super::{
    Fault,
    bits::Bits,
    check::crc_16,
    header::{Coding, Header},
    info::Info,
    subframe,
};
use crate::{
    media::{
        audio::{decode::Block, mix::Layout},
        format::Channel,
    },
    units::Channels,
};

/// Bytes of the check sum at the end.
const FOOTER_SIZE: usize = 2;
/// Widest samples of which two make a sum that is rounded as their mix would be: once.
const MEAN_WIDTH_MAX: u32 = 24;

/// Decodes frames, each by itself.
pub(super) struct FrameDecoder {
    channel: Channel,
    /// The subframes, one behind the other.
    planes: Vec<i32>,
    /// The difference of two channels of 32 bits.
    wide: Vec<i64>,
}

impl FrameDecoder {
    /// `channel` is what of the channels is heard.
    pub(super) fn new(channel: Channel) -> FrameDecoder {
        FrameDecoder { channel, planes: Vec::new(), wide: Vec::new() }
    }

    /// Decodes the frame at the beginning of `bytes` into `block`; returns how many bytes it takes.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        header: &Header,
        info: &Info,
        block: &mut Block,
    ) -> Result<usize, Fault> {
        let mut bits = Bits::new(bytes.get(header.size..).unwrap_or_default());
        let subframes = self.subframes(&mut bits, header, info);
        bits.align();
        let size = header.size + bits.position() / 8;
        let footer = bits.take(8 * FOOTER_SIZE as u32);
        // What was read behind the end is nothing, and nothing that it says counts.
        bits.check()?;
        subframes?;
        let sum = crc_16(bytes.get(..size).unwrap_or_default());
        if u32::from(sum) != footer {
            return Err(Fault::Damaged);
        }
        self.put_together(header, info, block);
        Ok(size + FOOTER_SIZE)
    }

    fn subframes(&mut self, bits: &mut Bits<'_>, header: &Header, info: &Info) -> Result<(), Fault> {
        self.planes.resize(header.block_size * info.channels.count(), 0);
        self.wide.clear();
        for (at, plane) in self.planes.chunks_exact_mut(header.block_size).enumerate() {
            // A difference has one bit more.
            let width = info.width + u32::from(header.coding.difference() == Some(at));
            if width <= i32::BITS {
                subframe::decode(bits, width, plane)?;
            } else {
                self.wide.resize(header.block_size, 0);
                subframe::decode(bits, width, &mut self.wide)?;
            }
        }
        Ok(())
    }

    fn put_together(&mut self, header: &Header, info: &Info, block: &mut Block) {
        block.rate = info.rate;
        block.samples.clear();
        let is_mean = self.channel == Channel::Mix && info.channels == Channels::STEREO && info.width <= MEAN_WIDTH_MAX;
        if is_mean {
            block.layout = Layout::MONO;
            self.mean(header, info.width, &mut block.samples);
        } else {
            block.layout = Layout::wave_default(info.channels);
            self.separate(header);
            self.interleave(header, info, &mut block.samples);
        }
    }

    /// Half the sum of two channels, without knowing them.
    fn mean(&self, header: &Header, width: u32, samples: &mut Vec<f32>) {
        let (first, second) = self.planes.split_at(header.block_size);
        let scale = 0.5 / full_scale(width);
        let pairs = first.iter().zip(second);
        match header.coding {
            Coding::Independent => samples.extend(pairs.map(|(l, r)| l.wrapping_add(*r) as f32 * scale)),
            Coding::LeftSide => samples.extend(pairs.map(|(l, s)| l.wrapping_mul(2).wrapping_sub(*s) as f32 * scale)),
            Coding::SideRight => samples.extend(pairs.map(|(s, r)| r.wrapping_mul(2).wrapping_add(*s) as f32 * scale)),
            // What the middle lacks of half the sum is half of the lowest bit, which the difference has as well (§4.2).
            Coding::MidSide => samples.extend(pairs.map(|(m, s)| (m.wrapping_mul(2) | s & 1) as f32 * scale)),
        }
    }

    /// Turns two subframes into left and right.
    fn separate(&mut self, header: &Header) {
        let (first, second) = self.planes.split_at_mut(header.block_size);
        let Some(difference) = header.coding.difference() else { return };
        for (at, (first, second)) in first.iter_mut().zip(second).enumerate() {
            let narrow = if difference == 0 { *first } else { *second };
            let side = self.wide.get(at).copied().unwrap_or_else(|| i64::from(narrow));
            let (left, right) = match header.coding {
                Coding::Independent => (i64::from(*first), i64::from(*second)),
                Coding::LeftSide => (i64::from(*first), i64::from(*first).wrapping_sub(side)),
                Coding::SideRight => (i64::from(*second).wrapping_add(side), i64::from(*second)),
                Coding::MidSide => {
                    let sum = i64::from(*first) << 1 | side & 1;
                    (sum.wrapping_add(side) >> 1, sum.wrapping_sub(side) >> 1)
                }
            };
            (*first, *second) = (left as i32, right as i32);
        }
    }

    fn interleave(&self, header: &Header, info: &Info, samples: &mut Vec<f32>) {
        let channels = info.channels.count();
        let scale = 1.0 / full_scale(info.width);
        samples.resize(self.planes.len(), 0.0);
        for (at, plane) in self.planes.chunks_exact(header.block_size).enumerate() {
            let places = samples.iter_mut().skip(at).step_by(channels);
            for (place, sample) in places.zip(plane) {
                *place = *sample as f32 * scale;
            }
        }
    }
}

/// What samples of `width` bits are divided by.
fn full_scale(width: u32) -> f32 {
    (1u64 << (width - 1)) as f32
}

impl Coding {
    /// The subframe that is a difference.
    fn difference(self) -> Option<usize> {
        match self {
            Coding::Independent => None,
            Coding::SideRight => Some(0),
            Coding::LeftSide | Coding::MidSide => Some(1),
        }
    }
}

impl Header {
    /// Bytes that a frame may take: an encoder that finds no better way stores the samples as they are, and a little more.
    pub(super) fn frame_size_max(&self, info: &Info) -> usize {
        let plain = self.block_size * info.channels.count() * (info.width as usize + 1) / 8;
        plain + plain / 4 + FRAME_SIZE_SPARE
    }
}

/// Bytes beside the samples: headers, coefficients, 2¹⁵ parameters in each of eight channels.
const FRAME_SIZE_SPARE: usize = 256 * 1024;
