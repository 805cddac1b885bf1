//! Frames made here of every syntax there is, and files of other encoders against another decoder.

mod damage;
mod encoder;
mod oracle;
mod syntax;

use super::{Fault, frame::FrameDecoder, header::Header, info::Info};
use crate::{
    media::{
        audio::{
            Kind,
            decode::{Block, random::Random},
        },
        format::Channel,
    },
    units::{Channels, SampleRate},
};

impl Random {
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
