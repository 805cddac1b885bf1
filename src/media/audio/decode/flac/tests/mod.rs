//! Frames made here of every syntax there is, and files of other encoders against another decoder.

mod damage;
mod encoder;
mod oracle;
mod syntax;

use super::{Fault, frame::FrameDecoder, header::Header, info::Info};
use crate::{
    media::{
        audio::{Kind, decode::Block},
        format::Channel,
    },
    units::{Channels, SampleRate},
};

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }

    /// A number of so many bits with a sign.
    fn signed(&mut self, bits: u32) -> i64 {
        self.next().cast_signed() >> (64 - bits)
    }
}

fn info(channels: usize, width: u32) -> Info {
    Info { rate: SampleRate::HZ_48000, channels: Channels::new(channels).unwrap(), width, frames: None }
}

/// Decodes the frame at the beginning.
fn decode(bytes: &[u8], info: &Info, channel: Channel) -> Result<(usize, Block), Fault> {
    let header = Header::parse(bytes, info).ok_or(Fault::Damaged)?;
    let mut block = Block::new();
    let size = FrameDecoder::new(channel).decode(bytes, &header, info, &mut block)?;
    Ok((size, block))
}
